"""A small archive of pictures in ILSVRC's layout, and the commands in this process."""

from __future__ import annotations

import io
import shutil
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from imagetree.cli.main import main
from imagetree.database import import_source, open_database

from ..web.conftest import browser
from ..web.furnished import PLANE, SQUARE, draw, open_boards
from .days import World

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["browser"]  # a fixture
WNIDS = ("n02084071", "n02121808", "n02691156")  # dog, domestic cat, airplane


def picture(class_index: int, seed: int) -> bytes:
    """Stripes whose direction tells the class, in any phase and colour."""
    rng = np.random.default_rng([class_index, seed])
    y, x = np.mgrid[:96, :96]
    along = (x, y, x + y)[class_index] / 4
    wave = np.sin(along + rng.uniform(0, 6))[..., None] * rng.uniform(40, 90, 3)
    pixels = (128 + wave + rng.normal(0, 15, (96, 96, 3))).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def write_train(path: Path, per_class: int = 30) -> None:
    """A tar of one tar per wnid, as ILSVRC2012_img_train.tar."""
    with tarfile.open(path, "w") as outer:
        for class_index, wnid in enumerate(WNIDS):
            buffer = io.BytesIO()
            with tarfile.open(fileobj=buffer, mode="w") as inner:
                for number in range(per_class):
                    add(inner, f"{wnid}_{number}.JPEG", picture(class_index, number))
            add(outer, f"{wnid}.tar", buffer.getvalue())


def write_val(path: Path, labels: Path, per_class: int = 8) -> None:
    """A flat tar and its labels, as ILSVRC2012_img_val.tar."""
    lines = []
    with tarfile.open(path, "w") as archive:
        for number in range(3 * per_class):
            name = f"ILSVRC2012_val_{number + 1:08}.JPEG"
            add(archive, name, picture(number % 3, 1000 + number))
            lines.append(f"{name}\t{WNIDS[number % 3]}\n")
    labels.write_text("".join(lines))


@dataclass(frozen=True)
class Said:
    """What a command ended with."""

    status: int
    out: str
    err: str


@pytest.fixture
def imagetree(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Runs a command in this process, without colours and at a fixed width."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("IMAGETREE_DATABASE", raising=False)

    def run(*words: object) -> Said:
        capsys.readouterr()
        status = main([str(word) for word in words])
        said = capsys.readouterr()
        return Said(status, said.out, said.err)

    return run


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    made = draw(tmp_path_factory.mktemp("drawn"))
    return World(made.place, made.run, SQUARE, PLANE, "sqaure")


@pytest.fixture(scope="session")
def challenged(tmp_path_factory, drawn):
    """The drawn world with a challenge of four figures, whose test is sealed."""
    folder = tmp_path_factory.mktemp("challenged")
    place = shutil.copyfile(drawn.place, folder / "images.db")
    with open_database(place) as database:
        open_boards(database, folder)
    return drawn._replace(place=place)


@pytest.fixture(scope="session")
def real(tmp_path_factory, imagenette, drawn):
    place = tmp_path_factory.mktemp("real") / "images.db"
    with open_database(place, create=True) as database:
        import_source(database, imagenette / "train.tar")
    return World(place, drawn.run, "n02979186", "n03183080", "casette player")
