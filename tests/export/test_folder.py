"""A folder for each class: read back by import, gone on with, made plain."""

from __future__ import annotations

import hashlib
import io
import os

import numpy as np
import pytest
from PIL import Image

from imagetree.database import ImageReader, import_source, open_database
from imagetree.errors import DatabaseError
from imagetree.export.folder import write_folder
from imagetree.export.selection import Running, Selection

from .conftest import CAT, CHIHUAHUA, DOG, encode, jpeg, tar_of


def listing(folder) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_folder_comes_back_by_import(store, tmp_path, images, reimport):
    """Every name and byte survives; the ending is that of the bytes; nothing else lies there."""
    report = write_folder(store, tmp_path / "out")
    assert (report.num_images, report.set_aside) == (7, ())
    assert reimport(tmp_path / "out") == images
    assert (tmp_path / "out" / CHIHUAHUA / f"{CHIHUAHUA}_a.b%.png").exists()
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(images)
    assert not list(tmp_path.glob(".out*"))


def test_a_broken_off_export_goes_on(store, tmp_path, monkeypatch):
    """Classes appear whole; those that are there are not read again."""
    folder = tmp_path / "out"

    def stop(done: int, _total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_folder(store, folder, running=Running(stop))
    assert [p.name for p in folder.iterdir()] == [DOG]
    read, plainly = [], ImageReader.read
    monkeypatch.setattr(
        ImageReader, "read", lambda self, row: read.append(row.name) or plainly(self, row)
    )
    report = write_folder(store, folder)
    assert (len(read), report.num_kept) == (4, 3)
    write_folder(store, tmp_path / "whole")
    assert listing(folder) == listing(tmp_path / "whole")


def test_a_changed_file_is_written_again(store, tmp_path):
    """An export that was tampered with is repaired, the rest of it kept."""
    folder = tmp_path / "out"
    write_folder(store, folder)
    expected = listing(folder)
    path = folder / CAT / f"{CAT}_1.JPEG"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    (folder / CAT / "stray.txt").write_text("left by someone")
    report = write_folder(store, folder)
    assert (report.num_kept, listing(folder)) == (5, expected)


def test_another_selection_leaves_no_class_behind(store, tmp_path):
    """A class that is no longer selected would shift every class index."""
    write_folder(store, tmp_path / "out")
    write_folder(store, tmp_path / "out", Selection((CAT,)))
    assert [p.name for p in (tmp_path / "out").iterdir()] == [CAT]


def test_unreadable_images_are_set_aside(broken, tmp_path, reimport):
    """The rest is written."""
    report = write_folder(broken, tmp_path / "out")
    assert {i.item for i in report.set_aside} == {f"{DOG}/{DOG}_2", f"{CAT}/{CAT}_4"}
    expected = {DOG: {f"{DOG}_1": jpeg(1), f"{DOG}_3": jpeg(3)}, CAT: {f"{CAT}_5": jpeg(5)}}
    assert reimport(tmp_path / "out") == expected


def test_a_file_in_the_way(store, tmp_path):
    """The folder of an export is no file, and not one that cannot be made."""
    (tmp_path / "out").write_text("a file")
    with pytest.raises(DatabaseError, match="is no export that was broken off"):
        write_folder(store, tmp_path / "out")
    with pytest.raises(DatabaseError, match="cannot be made"):
        write_folder(store, tmp_path / "out" / "below")


@pytest.fixture
def odd(tmp_path):
    """A database with what ImageNet is known to hold, all called .JPEG."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    frames = io.BytesIO()
    pages = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    pages[0].save(frames, "GIF", save_all=True, append_images=pages[1:])
    files = {
        "cmyk": encode("JPEG", "CMYK", color=(0, 255, 255, 0)),
        "png": encode("PNG", "RGBA", color=(255, 0, 0, 255)),
        "turned": encode("JPEG", size=(30, 10), exif=exif.tobytes(), color=(255, 0, 0)),
        "moving": frames.getvalue(),
        "grey": encode("JPEG", "L", color=77),
        "good": jpeg(1),
        "cut": encode("PNG", "RGB", (64, 64))[:60],
    }
    inner = tar_of((f"{DOG}_{name}.JPEG", data) for name, data in files.items())
    (tmp_path / "odd.tar").write_bytes(tar_of([(f"{DOG}.tar", inner)]))
    with open_database(tmp_path / "odd.db", create=True) as database:
        import_source(database, tmp_path / "odd.tar")
        yield database, files


def test_plain_makes_rgb_jpegs(odd, tmp_path):
    """CMYK, PNG, rotated and animated ones become upright RGB; good ones keep their bytes."""
    database, files = odd
    report = write_folder(database, tmp_path / "out", plain=True)
    assert [item.item for item in report.set_aside] == [f"{DOG}/{DOG}_cut"]
    made = {p.name.removesuffix(".JPEG"): p for p in (tmp_path / "out" / DOG).iterdir()}
    assert {name.removeprefix(f"{DOG}_") for name in made} == files.keys() - {"cut"}
    for name in ("grey", "good"):
        assert made[f"{DOG}_{name}"].read_bytes() == files[name]
    for name in ("cmyk", "png", "turned", "moving"):
        with Image.open(made[f"{DOG}_{name}"]) as image:
            assert (image.format, image.mode) == ("JPEG", "RGB")
            assert image.getexif().get(0x0112, 1) == 1
            assert np.abs(np.asarray(image).astype(int) - (255, 0, 0)).max() < 12, name
    with Image.open(made[f"{DOG}_turned"]) as image:
        assert image.size == (10, 30)


def test_bytes_as_they_are_unless_asked(odd, tmp_path):
    """Without `plain` even a damaged image keeps its bytes; it is its content that is named."""
    database, files = odd
    write_folder(database, tmp_path / "out")
    found = {p.name: p.read_bytes() for p in (tmp_path / "out" / DOG).iterdir()}
    assert found[f"{DOG}_cmyk.JPEG"] == files["cmyk"]
    assert found[f"{DOG}_png.png"] == files["png"]
    assert found[f"{DOG}_moving.gif"] == files["moving"]
    assert found[f"{DOG}_cut.png"] == files["cut"]


def test_plain_is_another_export(store, tmp_path):
    """A run with `plain` over one without it converts what the other has left."""
    write_folder(store, tmp_path / "out")
    report = write_folder(store, tmp_path / "out", plain=True)
    assert report.num_kept == 0
    assert all(path.endswith(".JPEG") for path in listing(tmp_path / "out"))


@pytest.mark.slow
def test_imagenette_in_every_form(imagenette, tmp_path, contents):
    """Real images: a tar and a folder come back by import, hashes and names equal."""
    from imagetree.export.archive import write_tar

    chosen = Selection(("n02102040", "n03028079"))

    def hashed(found):
        return {
            wnid: {name: hashlib.sha256(data).digest() for name, data in images.items()}
            for wnid, images in found.items()
        }

    with open_database(tmp_path / "all.db", create=True) as database:
        import_source(database, imagenette / "train.tar")
        with ImageReader(database) as reader:
            expected: dict[str, dict[str, bytes]] = {}
            for row in chosen.rows(database):
                digest = hashlib.sha256(reader.read(row)).digest()
                expected.setdefault(row.wnid, {})[row.name] = digest
        assert sum(map(len, expected.values())) > 1_800
        write_tar(database, tmp_path / "two.tar", chosen)
        write_folder(database, tmp_path / "two", chosen)
    for path in (tmp_path / "two.tar", tmp_path / "two"):
        with open_database(tmp_path / f"{path.name}.db", create=True) as again:
            assert import_source(again, os.fspath(path)).set_aside == ()
            assert hashed(contents(again)) == expected
