"""What a network computes in: bf16 where that is fast, unless something is asked for."""

from __future__ import annotations

import pytest
import torch

from imagetree.training.config import TrainConfig
from imagetree.training.device import autocast, precision_on

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("capabilities", "found"),
    [
        ({"avx512_bf16": True, "amx_bf16": True}, "bf16"),
        ({"avx512_bf16": True, "amx_bf16": False}, "bf16"),
        ({"avx2": True, "avx512_f": True, "avx512_bf16": False}, "fp32"),  # it would be emulated
        ({}, "fp32"),
    ],
)
def test_auto_is_what_the_processor_has(
    capabilities: dict[str, bool], found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert TrainConfig().precision == "auto"
    assert precision_on(CPU, "auto") == found
    a = torch.ones(2, 2)
    with autocast(CPU, "auto"):
        assert (a @ a).dtype == {"bf16": torch.bfloat16, "fp32": torch.float32}[found]


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_what_is_asked_for_is_taken(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    assert precision_on(CPU, precision) == precision
