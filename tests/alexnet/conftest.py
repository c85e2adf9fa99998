"""The same tests on a GPU, where there is one."""

from __future__ import annotations

import pytest
import torch

from imagetree.training.device import repeatable

CUDA = pytest.param(
    "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
)


@pytest.fixture(params=["cpu", CUDA])
def device(request: pytest.FixtureRequest) -> torch.device:
    """Where a test computes."""
    return torch.device(request.param)


@pytest.fixture
def deterministic():
    """Torch's deterministic mode, which refuses what has no repeatable form."""
    with repeatable(True):
        yield
