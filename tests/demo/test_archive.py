"""The drawn archive is laid out as ILSVRC's, and the same seed gives the same bytes."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

import pytest
import simplejpeg

from imagetree.demo import FIGURES, DrawnArchive, draw_archive
from imagetree.errors import ImagetreeError
from imagetree.files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IMAGES_PER_CLASS = 3


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> DrawnArchive:
    path = tmp_path_factory.mktemp("demo") / "figures_train.tar"
    return draw_archive(path, IMAGES_PER_CLASS, workers=1)


def iter_members(archive: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    for member in archive:
        file = archive.extractfile(member)
        assert file is not None
        yield member, file.read()


def test_layout_is_a_tar_of_one_tar_for_each_wnid(drawn: DrawnArchive) -> None:
    """Outer members are `<wnid>.tar` by wnid, inner ones `<wnid>_<number>.JPEG` from 1."""
    with tarfile.open(drawn.path) as outer:
        found = {m.name: data for m, data in iter_members(outer)}
    assert list(found) == [f"{figure.wnid}.tar" for figure in FIGURES]
    for name, data in found.items():
        with tarfile.open(fileobj=io.BytesIO(data)) as inner:
            wnid = name.removesuffix(".tar")
            names = [f"{wnid}_{n}.JPEG" for n in range(1, IMAGES_PER_CLASS + 1)]
            assert inner.getnames() == names


def test_every_member_is_a_colour_jpeg_of_256_pixels_or_more(drawn: DrawnArchive) -> None:
    with tarfile.open(drawn.path) as outer:
        for _, data in iter_members(outer):
            with tarfile.open(fileobj=io.BytesIO(data)) as inner:
                for _, jpeg in iter_members(inner):
                    height, width, colours, _ = simplejpeg.decode_jpeg_header(jpeg)
                    assert min(height, width) >= 256
                    assert colours == "YCbCr"
                    assert simplejpeg.decode_jpeg(jpeg).std() > 5


def test_headers_say_nothing_of_machine_or_hour(drawn: DrawnArchive) -> None:
    with tarfile.open(drawn.path) as outer:
        seen = {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in outer}
    assert seen == {(0, 0, "", "", 1_262_304_000)}


def test_counts_are_what_was_drawn(drawn: DrawnArchive) -> None:
    assert (drawn.num_images, drawn.num_synsets) == (IMAGES_PER_CLASS * 14, 14)


def test_workers_do_not_change_a_byte(drawn: DrawnArchive, tmp_path: Path) -> None:
    again = draw_archive(tmp_path / "again.tar", IMAGES_PER_CLASS, workers=2)
    assert sha256_of(again.path) == sha256_of(drawn.path)


def test_seed_changes_the_pictures(drawn: DrawnArchive, tmp_path: Path) -> None:
    one = draw_archive(tmp_path / "one.tar", 1, seed=1, workers=1)
    zero = draw_archive(tmp_path / "zero.tar", 1, seed=0, workers=1)
    assert sha256_of(one.path) != sha256_of(zero.path)


def test_progress_rises_to_the_total(tmp_path: Path) -> None:
    """More pictures than one task holds: the last call has all of them."""
    calls: list[tuple[int, int]] = []
    draw_archive(
        tmp_path / "a.tar", 1, workers=1, progress=lambda done, total: calls.append((done, total))
    )
    assert calls == [(n, 14) for n in range(1, 15)]


@pytest.mark.parametrize(
    ("images_per_class", "seed", "workers", "message"),
    [
        (0, 0, 1, r"images_per_class is 0 \(expected at least 1\)"),
        (1, -1, 1, r"seed is -1 \(expected at least 0\)"),
        (1, 0, 0, r"workers is 0 \(expected at least 1\)"),
    ],
)
def test_numbers_out_of_range_are_refused(
    tmp_path: Path, images_per_class: int, seed: int, workers: int, message: str
) -> None:
    with pytest.raises(ImagetreeError, match=message):
        draw_archive(tmp_path / "a.tar", images_per_class, seed=seed, workers=workers)
    assert list(tmp_path.iterdir()) == []


def test_interrupted_drawing_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt("stopped")

    with pytest.raises(KeyboardInterrupt, match="stopped"):
        draw_archive(tmp_path / "a.tar", 1, workers=1, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_importing_the_room_loads_no_image_library() -> None:
    code = "import sys, imagetree.demo; assert not {'cv2', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
