"""Several processes as one run: who this one is, and what they tell each other.

`torchrun` starts the processes and says in the environment how many there are; each takes every
n-th image of a batch, and their gradients are averaged by DistributedDataParallel. One process
alone needs none of it, and every function here then costs nothing.
"""

from __future__ import annotations

import os
import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
from torch import distributed, nn
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from imagetree.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterator

_TIMEOUT = timedelta(minutes=10)
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class World:
    """The processes of a run.

    Args:
        rank: of this one, from 0.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Does this process write the files and show the progress?"""
        return self.rank == 0

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network with gradients averaged over all processes."""
        if self.size == 1:
            return network
        # the bucket's gradients are the parameters' own: 250 MB less
        return DistributedDataParallel(network, gradient_as_bucket_view=True)

    def sum(self, *values: float, device: torch.device) -> tuple[float, ...]:
        """Each value summed over all processes, the same sum in each of them."""
        if self.size == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64, device=device)
        distributed.all_reduce(tensor)
        return tuple(tensor.tolist())

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def joined_world(device: torch.device) -> Iterator[World]:
    """Join the processes that torchrun has started; alone where it has not.

    Args:
        device: where the network is; NCCL connects GPUs, gloo all else.

    Raises:
        TrainingError: the others cannot be reached.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World()
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    try:
        store, rank, _ = next(rendezvous("env://", timeout=_TIMEOUT))
        distributed.init_process_group(
            backend,
            store=PrefixStore(_agree_on_round(store, rank, size), store),
            rank=rank,
            world_size=size,
            timeout=_TIMEOUT,
        )
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            f"the {size} processes of this run cannot reach each other ({error})",
            hint="start them all by torchrun, on machines that see each other's master address",
        ) from error
    try:
        yield World(rank, size)
    finally:
        distributed.destroy_process_group()


def _agree_on_round(store: Store, rank: int, size: int) -> str:
    """A name that all processes of this start know, and none of an earlier one.

    After a rank was killed torchrun starts all anew over the same store, in which the addresses of
    the dead still stand; whoever reads one waits for it until the timeout. How often each was
    started differs from machine to machine, so it cannot tell the starts apart. Rank 0 therefore
    names the start, and tells the name to whoever says hello until all have confirmed it: a hello
    of the dead may be answered, but never confirms.

    Raises:
        RuntimeError: not all came in time.
    """
    own = secrets.token_hex(8)
    if rank:
        store.set(f"hello/{rank}", own)
        name: str = store.get(f"name for/{own}").decode()
        store.set(f"{name}/confirmed/{rank}", "")
        return name
    missing = set(range(1, size))
    ends = time.monotonic() + _TIMEOUT.total_seconds()
    while missing:
        if time.monotonic() > ends:
            raise RuntimeError(f"ranks {sorted(missing)} did not come")
        for each in sorted(missing):
            if store.check([f"hello/{each}"]):
                store.set(f"name for/{store.get(f'hello/{each}').decode()}", own)
            if store.check([f"{own}/confirmed/{each}"]):
                missing.remove(each)
        time.sleep(_POLL_SECONDS)
    return own
