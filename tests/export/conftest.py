"""A small database of real JPEGs, and of images that are not what they are called."""

from __future__ import annotations

import io
import tarfile

import pytest
from PIL import Image

from imagetree.database import import_source, open_database

DOG, CAT, CHIHUAHUA = "n02084071", "n02121808", "n02085620"


def encode(kind: str, mode: str = "RGB", size: tuple[int, int] = (16, 12), **options) -> bytes:
    """A picture in one colour, as a file."""
    file = io.BytesIO()
    Image.new(mode, size, options.pop("color", None) or 0).save(file, kind, **options)
    return file.getvalue()


def jpeg(number: int) -> bytes:
    return encode("JPEG", size=(16 + number, 12), color=(9 * number, 40, 200))


def tar_of(members) -> bytes:
    """(name, bytes) pairs as an archive."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, data in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return file.getvalue()


@pytest.fixture
def images() -> dict[str, dict[str, bytes]]:
    """Seven images: of a dog, of what lies below it, and of a cat; one is a PNG."""
    return {
        DOG: {f"{DOG}_{n}": jpeg(n) for n in (10, 2, 3)},
        CHIHUAHUA: {f"{CHIHUAHUA}_1": jpeg(4), f"{CHIHUAHUA}_a.b%": encode("PNG")},
        CAT: {f"{CAT}_1": jpeg(6), f"{CAT}_2": encode("JPEG", size=(300, 200))},
    }


@pytest.fixture
def source(tmp_path, images):
    """The images as a tar of tars, in no order."""
    inner = {
        wnid: tar_of((f"{name}.JPEG", data) for name, data in found.items())
        for wnid, found in images.items()
    }
    path = tmp_path / "source.tar"
    path.write_bytes(tar_of((f"{wnid}.tar", data) for wnid, data in inner.items()))
    return path


@pytest.fixture
def store(tmp_path, source):
    """A database with these images."""
    with open_database(tmp_path / "images.db", create=True) as database:
        import_source(database, source)
        yield database


@pytest.fixture
def contents():
    """The function that reads every image of a database, by wnid and name."""
    from imagetree.database import ImageReader, locate

    def read(database):
        found: dict[str, dict[str, bytes]] = {}
        with ImageReader(database) as reader:
            for row in locate(database):
                found.setdefault(row.wnid, {})[row.name] = reader.read(row)
        return found

    return read


@pytest.fixture
def reimport(tmp_path, contents):
    """The function that imports an export into a new database and reads all images of it."""

    def read(path):
        with open_database(tmp_path / f"{path.name}.db", create=True) as database:
            report = import_source(database, path)
            assert report.set_aside == ()
            return contents(database)

    return read


@pytest.fixture
def broken(tmp_path):
    """A database over a folder, two of whose five files have gone or changed since."""
    root = tmp_path / "classes"
    for wnid, numbers in ((DOG, (1, 2, 3)), (CAT, (4, 5))):
        (root / wnid).mkdir(parents=True)
        for n in numbers:
            (root / wnid / f"{wnid}_{n}.JPEG").write_bytes(jpeg(n))
    with open_database(tmp_path / "broken.db", create=True) as database:
        import_source(database, root)
        (root / DOG / f"{DOG}_2.JPEG").unlink()
        (root / CAT / f"{CAT}_4.JPEG").write_bytes(b"longer than it was" * 100)
        yield database
