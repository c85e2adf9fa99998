"""The commands in this process, and a small database of real JPEGs in folders."""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from PIL import Image

from imagetree.cli.main import main
from imagetree.database import import_source, open_database

DOG, CAT, CHIHUAHUA = "n02084071", "n02121808", "n02085620"
DOGS = tuple(f"{DOG}_{n}" for n in (1, 2, 3))


@dataclass(frozen=True)
class Said:
    """What a command ended with."""

    status: int
    out: str
    err: str


@pytest.fixture
def imagetree(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Runs a command, without colours and at a fixed width."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*words: object) -> Said:
        capsys.readouterr()
        status = main([str(word) for word in words])
        said = capsys.readouterr()
        return Said(status, said.out, said.err)

    return run


def picture(seed: int, kind: str = "JPEG", *, mode: str = "RGB", width: int = 160, **how) -> bytes:
    """A drawn picture; the same seed is the same scene."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 7, 3), dtype=np.uint8)
    pixels = cv2.resize(coarse, (width, width * 3 // 4), interpolation=cv2.INTER_CUBIC)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind, **how)
    return buffer.getvalue()


@pytest.fixture
def pictures() -> dict[str, bytes]:
    """By name: the third dog is the first one's file, the first chihuahua looks like both."""
    return {
        DOGS[0]: picture(1, quality=95),
        DOGS[1]: picture(2),
        DOGS[2]: picture(1, quality=95),
        f"{CHIHUAHUA}_1": picture(1, width=240, quality=60),
        f"{CHIHUAHUA}_2": picture(5, mode="CMYK"),
        f"{CAT}_1": picture(6, "PNG"),
        f"{CAT}_2": picture(7, mode="L"),
    }


@pytest.fixture
def pets(tmp_path, monkeypatch, pictures):
    """The folder that the pictures lie in; the commands find the database that knows them."""
    root = tmp_path / "pets"
    for name, data in pictures.items():
        path = root / name.partition("_")[0] / f"{name}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    monkeypatch.setenv("IMAGETREE_DATABASE", str(tmp_path / "pets.db"))
    with open_database(tmp_path / "pets.db", create=True) as database:
        import_source(database, root)
    return root
