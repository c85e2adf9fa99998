"""Batches on their way to a GPU while it still computes with the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from imagetree.training.resident import DeviceBatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from imagetree.training.batches import Batch


def iter_uploaded(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch | DeviceBatch]:
    """The batches with their pixels on the device, one of them ahead; on a CPU as they are.

    Pixels are copied into pinned memory first, which a GPU reads by itself, and go up as uint8, a
    quarter of what floats would be. The workers' own memory is free again once a batch is copied.

    Args:
        batches: as the workers fill them.
        device: where the network is.
    """
    if device.type != "cuda":
        yield from batches
        return
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    upcoming: DeviceBatch | None = None
    for batch in batches:
        pinned = torch.from_numpy(batch.pixels).pin_memory()
        with torch.cuda.stream(stream):
            pixels = pinned.to(device, non_blocking=True)
        following = DeviceBatch(pixels, batch.labels, batch.indices, batch.bad)
        if upcoming is not None:
            yield _arrived(upcoming, stream)
        upcoming = following
    if upcoming is not None:
        yield _arrived(upcoming, stream)


def _arrived(batch: DeviceBatch, stream: torch.cuda.Stream) -> DeviceBatch:
    """A batch that what is computed next may read."""
    current = torch.cuda.current_stream(batch.pixels.device)
    current.wait_stream(stream)
    batch.pixels.record_stream(current)  # its memory is not given away before that is done
    return batch
