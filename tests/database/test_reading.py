"""Reading images where they lie, from many threads, and checking that they can be decoded."""

from __future__ import annotations

import os
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imagetree.database import (
    ImageReader,
    find_image,
    import_source,
    journal,
    locate,
)
from imagetree.errors import DatabaseError

DOG, CAT = "n02084071", "n02121808"


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def num_open() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_bytes_are_the_files(database, train_tar, class_folder, jpegs):
    """Archives and folders give the very bytes of each image."""
    import_source(database, train_tar)
    import_source(database, class_folder)
    with ImageReader(database) as reader:
        assert reader.read(find_image(database, f"{DOG}_2")) == jpegs[2]
        assert reader.read(find_image(database, f"{DOG}_a")) == jpegs[1]
    with ImageReader(journal.sources(database)) as reader:
        assert len([reader.read(row) for row in locate(database)]) == 8


def test_sixteen_threads(database, tmp_path, write_tar):
    """Sixteen threads that share a reader get every image whole."""
    files = {f"{n}.jpg": os.urandom(3000 + 7 * n) for n in range(200)}
    path = write_tar(tmp_path / "t.tar", [(f"{DOG}.tar", write_tar(None, list(files.items())))])
    import_source(database, path)
    rows = list(locate(database)) * 10
    with ImageReader(database) as reader, ThreadPoolExecutor(16) as pool:
        found = list(pool.map(reader.read, rows))
    assert found == [files[row.name.removeprefix(f"{DOG}_") + ".jpg"] for row in rows]


def test_descriptors_are_closed(database, train_tar, class_folder):
    """A reader opens each source once and leaves nothing open."""
    import_source(database, train_tar)
    import_source(database, class_folder)
    before = num_open()
    with ImageReader(database) as reader:
        rows = list(locate(database))
        for row in rows * 3:
            reader.read(row)
        assert num_open() <= before + 2
    assert num_open() == before
    with pytest.raises(DatabaseError, match="reader of the images is closed"):
        reader.read(rows[0])


def test_source_imported_after_the_reader_was_made(database, train_tar):
    """A reader of a database finds sources that came later."""
    with ImageReader(database) as reader:
        import_source(database, train_tar)
        assert len(reader.read(find_image(database, f"{CAT}_3"))) > 100
        with pytest.raises(DatabaseError, match="no source has the id 77"):
            reader.read(find_image(database, f"{CAT}_3")._replace(source_id=77))


def test_missing_source(database, train_tar):
    """An archive that is gone is named."""
    import_source(database, train_tar)
    train_tar.unlink()
    with (
        ImageReader(database) as reader,
        pytest.raises(DatabaseError, match=r"train\.tar: the sou"),
    ):
        reader.open_all()


@pytest.mark.parametrize("change", ["longer", "touched"])
def test_changed_source(database, train_tar, change):
    """An archive of another size or time is refused, and importing it again repairs that."""
    import_source(database, train_tar)
    if change == "longer":
        train_tar.write_bytes(train_tar.read_bytes() + bytes(512))
    os.utime(train_tar, ns=(1, 1))
    row = find_image(database, f"{DOG}_0")
    with (
        ImageReader(database) as reader,
        pytest.raises(DatabaseError, match="changed since it was"),
    ):
        reader.read(row)
    import_source(database, train_tar)
    with ImageReader(database) as reader:
        reader.read(row)


def test_archive_cut_off_while_open(database, train_tar):
    """Fewer bytes than expected are an error that names the image and the source."""
    import_source(database, train_tar)
    row = find_image(database, f"{CAT}_4")
    with ImageReader(database) as reader:
        reader.open_all()
        os.truncate(train_tar, row.offset + 5)
        with pytest.raises(
            DatabaseError, match=rf"{CAT}_4.*train\.tar: ends after 5 bytes \(expec"
        ):
            reader.read(row)


def test_folder_whose_files_change(database, class_folder):
    """A file that is gone, longer or a link out of the folder is refused by name."""
    import_source(database, class_folder)
    row = find_image(database, f"{DOG}_b")
    path = class_folder / DOG / "b.jpg"
    with ImageReader(database) as reader:
        path.write_bytes(b"longer than before" * 100)
        with pytest.raises(DatabaseError, match="has 1800 bytes now"):
            reader.read(row)
        path.unlink()
        with pytest.raises(DatabaseError, match="No such file"):
            reader.read(row)
        path.symlink_to("/etc/passwd")
        with pytest.raises(DatabaseError, match="symbolic links"):
            reader.read(row)
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(DatabaseError, match="is no regular file"):
            reader.read(row)
