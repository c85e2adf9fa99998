"""`imagetree train`: what is said before it begins."""

from __future__ import annotations

import pytest
import torch

from imagetree.cli.train import _tell_of_slow_bf16
from imagetree.training.config import TrainConfig


@pytest.mark.parametrize(
    ("precision", "has_bf16", "is_told"),
    [("bf16", False, True), ("bf16", True, False), ("auto", False, False), ("fp32", False, False)],
)
def test_slow_bf16_is_told(precision, has_bf16, is_told, monkeypatch, capsys) -> None:
    found = {"avx512_bf16": has_bf16}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    _tell_of_slow_bf16(TrainConfig(precision=precision, device="cpu"))
    assert ("--precision fp32" in capsys.readouterr().err) is is_told
