"""What all tests share: where published files and real images lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def need(is_here: object, message: str) -> None:
    """Skip a test for want of something on this machine; fail it where `CI` is set."""
    if not is_here:
        if os.environ.get("CI"):
            pytest.fail(f"{message}, and CI is set")
        pytest.skip(message)


def shared_path(*parts: str) -> Path:
    """A file outside the project that a test is held against; see CONTRIBUTING.md."""
    path = SHARED.joinpath(*parts)
    need(path.exists(), f"{path} is missing")
    return path


@pytest.fixture(scope="session")
def imagenette() -> Path:
    """The folder with Imagenette's archives."""
    return shared_path("data", "imagenette")


@pytest.fixture(scope="session")
def oracles() -> Path:
    """The folder with files published by others."""
    return shared_path("oracles")
