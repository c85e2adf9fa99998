"""What files lie in: a tar, a zip, a folder, a table, a list; each lists them and reads one.

A container is opened once and read from any thread by positioned reads. A path inside a folder is
followed part by part without links, which could lead out of it.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import threading
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from imagetree.errors import DatabaseError
from imagetree.sources.blocks import BlockReader
from imagetree.sources.entries import MAX_IMAGE_BYTES, Entry, SetAside
from imagetree.sources.fetching import Fetcher
from imagetree.sources.folders import walk_folder
from imagetree.sources.inflate import read_zip_member
from imagetree.sources.places import is_url, list_place, open_place
from imagetree.sources.tarscan import Problem, scan_tar
from imagetree.sources.zips import scan_zip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from imagetree.sources.entries import Read
    from imagetree.sources.parquet import ParquetImages
    from imagetree.sources.places import Place

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW  # a pipe must not block
_FOLDER_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY


class ContainerKind(StrEnum):
    """How the images of a source are read."""

    TAR = "tar"
    ZIP = "zip"
    FOLDER = "folder"
    PARQUET = "parquet"
    LIST = "list"


class Container(Protocol):
    """An open container."""

    @property
    def size_bytes(self) -> int:
        """Of its bytes; 0 for a folder of images."""

    @property
    def version(self) -> str:
        """Changes whenever its bytes do; empty for a folder of images.

        Those are held one by one to the length that they had.
        """

    def entries(self) -> Iterator[Entry | SetAside]:
        """Its files, from the beginning each time."""

    def read(self, offset: int, length: int, path: str | None) -> bytes:
        """The bytes of a file at its place; length 0 where it is not known.

        Raises:
            DatabaseError: it is not there, or not as it was.
        """

    def close(self) -> None:
        """Close it, when no thread reads any more."""


class Tar:
    """An archive of plain files: where a member lies is a place in the archive."""

    def __init__(self, place: Place) -> None:
        self.place, self.size_bytes, self.version = place, place.size, place.version
        self._read = place.read

    def entries(self) -> Iterator[Entry | SetAside]:
        """Its members."""
        for found in scan_tar(headers_of(self.place), 0, self.size_bytes):
            if isinstance(found, Problem):
                yield SetAside(found.name or "archive", found.offset, found.reason)
            else:
                yield Entry(*found)

    def read(self, offset: int, length: int, path: str | None) -> bytes:
        """A member, or a part of one."""
        return _read_whole(self._read, offset, length)

    def close(self) -> None:
        """Close the archive."""
        self.place.close()


class Zip(Tar):
    """A zip: where a member lies is its local header, its length that of the file itself."""

    def entries(self) -> Iterator[Entry | SetAside]:
        """Its members."""
        return scan_zip(headers_of(self.place), self.size_bytes)

    def read(self, offset: int, length: int, path: str | None) -> bytes:
        """A member, inflated where it is deflated."""
        return read_zip_member(self._read, offset, length)


class Folder:
    """A folder on this machine, whose files are read whole, or tars in it in part.

    Args:
        root: where it is.
        names: files that are archives or tables, whose sizes and times are the folder's version.
    """

    def __init__(self, root: Path, names: Iterable[str] = ()) -> None:
        self.root = root
        try:
            self._fd = os.open(root, _FOLDER_FLAGS)
        except OSError as error:
            raise DatabaseError(f"{root}: cannot be opened ({error.strerror})") from error
        facts = [(name, os.stat(name, dir_fd=self._fd)) for name in sorted(names)]
        self.size_bytes = sum(fact.st_size for _, fact in facts)
        self.version = _version_of((name, f"{f.st_size} {f.st_mtime_ns}") for name, f in facts)

    def entries(self) -> Iterator[Entry | SetAside]:
        """Its files, and those of the folders in it."""
        return walk_folder(self.root)

    def read(self, offset: int, length: int, path: str | None) -> bytes:
        """A file, or from an offset on a part of one."""
        fd = self.open_fd(path or "")
        try:
            size = os.fstat(fd).st_size
            if not offset and length not in {0, size}:
                raise DatabaseError(f"has {size} bytes now (expected {length})")
            if not length and size > MAX_IMAGE_BYTES:
                raise DatabaseError(f"has {size} bytes (expected at most {MAX_IMAGE_BYTES})")
            return _read_whole(partial(os.pread, fd), offset, length or size)
        finally:
            os.close(fd)

    def open_fd(self, path: str) -> int:
        """A descriptor of a regular file below the folder, to which no link leads."""
        *folders, name = path.split("/")
        fd = at = os.dup(self._fd)
        try:
            for folder in folders:
                fd = os.open(folder, _FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=at)
                os.close(at)
                at = fd
            fd = os.open(name, _FLAGS, dir_fd=at)
        except OSError as error:
            raise DatabaseError(error.strerror or str(error)) from error
        finally:
            os.close(at)
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return fd
        os.close(fd)
        raise DatabaseError("is no regular file")

    @contextmanager
    def reader(self, path: str) -> Iterator[Read]:
        """Positioned reads of a file below the folder."""
        fd = self.open_fd(path)
        try:
            yield partial(os.pread, fd)
        finally:
            os.close(fd)

    def open_file(self, path: str) -> IO[bytes]:
        """A file below the folder, opened for reading."""
        return os.fdopen(self.open_fd(path), "rb")

    def close(self) -> None:
        """Close the folder."""
        os.close(self._fd)


class RemoteFolder:
    """The objects below a prefix, whose files are read whole, or tars in it in part.

    Args:
        url: with a slash at its end.
        names: objects that are archives or tables, whose versions are the folder's.
    """

    def __init__(self, url: str, names: Iterable[str] = ()) -> None:
        self.url = url
        self._places: dict[str, Place] = {}
        self._lock = threading.Lock()
        try:
            facts = [(name, self.place(name)) for name in sorted(names)]
        except DatabaseError:
            self.close()
            raise
        self.size_bytes = sum(place.size for _, place in facts)
        self.version = _version_of((name, place.version) for name, place in facts)

    def entries(self) -> Iterator[Entry | SetAside]:
        """Its objects."""
        return list_place(self.url)

    def read(self, offset: int, length: int, path: str | None) -> bytes:
        """An object, or from an offset on a part of one."""
        place = self.place(path or "")
        if not offset and length not in {0, place.size}:
            raise DatabaseError(f"has {place.size} bytes now (expected {length})")
        return _read_whole(place.read, offset, length or place.size)

    def place(self, path: str) -> Place:
        """One of its objects, opened once."""
        with self._lock:
            if path not in self._places:
                self._places[path] = open_place(self.url + path)
            return self._places[path]

    @contextmanager
    def reader(self, path: str) -> Iterator[Read]:
        """Positioned reads of an object, ahead where that saves requests."""
        yield headers_of(self.place(path))

    def open_file(self, path: str) -> IO[bytes]:
        """An object, opened for reading."""
        return io.BufferedReader(_PlaceFile(self.place(path)))

    def close(self) -> None:
        """Close what was opened."""
        for place in self._places.values():
            place.close()


class Parquet:
    """One table, or several in a folder: where an image lies is its row."""

    def __init__(self, location: str) -> None:
        self._folder, self._name, names = _folder_of_tables(location)
        self.files = [(name, partial(self._folder.open_file, name)) for name in names]
        self.size_bytes, self.version = self._folder.size_bytes, self._folder.version
        self._tables: dict[str, ParquetImages] = {}
        self._lock = threading.Lock()

    def entries(self) -> Iterator[Entry | SetAside]:
        """None: the rows of a table are no files."""
        return iter(())

    def read(self, offset: int, length: int, path: str | None) -> bytes:
        """The image of a row."""
        from imagetree.sources.parquet import ParquetImages

        name = path or self._name
        with self._lock:
            if name not in self._tables:
                self._tables[name] = ParquetImages(partial(self._folder.open_file, name), name)
        data = self._tables[name].read(offset)
        if length not in {0, len(data)}:
            raise DatabaseError(f"row {offset} has {len(data)} bytes now (expected {length})")
        return data

    def close(self) -> None:
        """Close what was opened."""
        self._folder.close()


class List:
    """A list of paths and URLs: the files are read whole."""

    def __init__(self, path: Path) -> None:
        with open_place(path) as place:
            self.size_bytes, self.version = place.size, place.version
        self._folder = Folder(path.parent)
        self._fetcher = Fetcher()

    def entries(self) -> Iterator[Entry | SetAside]:
        """None: the list itself says what it names."""
        return iter(())

    def read(self, offset: int, length: int, path: str | None) -> bytes:
        """A file beside the list, or what a URL gives."""
        if path and is_url(path):
            return self._fetcher.fetch(path)
        return self._folder.read(offset, length, path)

    def close(self) -> None:
        """Close the folder and the connections."""
        self._folder.close()
        self._fetcher.close()


def open_container(kind: str, location: str, *, of_tars: bool = False) -> Container:
    """Open a container.

    Args:
        kind: a ContainerKind.
        location: absolute path, or URL.
        of_tars: a folder's images lie in the tars in it, whose change is a change of the folder.

    Raises:
        DatabaseError: it is not there, or cannot be opened.
    """
    if kind == ContainerKind.TAR:
        return Tar(open_place(location))
    if kind == ContainerKind.ZIP:
        return Zip(open_place(location))
    if kind == ContainerKind.PARQUET:
        return Parquet(location)
    if kind == ContainerKind.LIST:
        return List(Path(location))
    if is_url(location):
        names = _names_in(list_place(location), ".tar") if of_tars else []
        return RemoteFolder(location, names)
    names = _names_in(walk_folder(Path(location)), ".tar") if of_tars else []
    return Folder(Path(location), names)


def headers_of(place: Place) -> Read:
    """Reads for one scan of headers: ahead, where each read is a request."""
    return BlockReader(place.read, place.size).read if place.is_remote else place.read


def _names_in(items: Iterable[Entry | SetAside], suffix: str) -> list[str]:
    names = (item.name for item in items if isinstance(item, Entry))
    return [name for name in names if name.lower().endswith(suffix)]


def _folder_of_tables(location: str) -> tuple[Folder | RemoteFolder, str, list[str]]:
    """The folder of a table or of tables, the name of a single one, and all their names."""
    if is_url(location):
        url, _, name = location.rpartition("/")
        names = [name] if name else _names_in(list_place(location), ".parquet")
        return RemoteFolder(f"{url}/", names), name, names
    from imagetree.sources.parquet import parquet_files  # pyarrow, which takes 170 ms

    path = Path(location)
    root = path if path.is_dir() else path.parent
    names = [str(file.relative_to(root)) for file in parquet_files(path)]
    return Folder(root, names), "" if path.is_dir() else path.name, names


def _version_of(facts: Iterable[tuple[str, str]]) -> str:
    """One text for the versions of several files; empty for none."""
    text = "".join(f"{name} {version}\n" for name, version in facts)
    return hashlib.sha256(text.encode()).hexdigest()[:32] if text else ""


def _read_whole(read: Callable[[int, int], bytes], offset: int, length: int) -> bytes:
    try:
        data = read(length, offset)
        while len(data) < length:
            more = read(length - len(data), offset + len(data))
            if not more:
                raise DatabaseError(f"ends after {len(data)} bytes (expected {length})")
            data += more
    except OSError as error:
        raise DatabaseError(error.strerror or str(error)) from error
    return data


class _PlaceFile(io.RawIOBase):
    """A place as a file that can be sought in."""

    def __init__(self, place: Place) -> None:
        self._place, self._at = place, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._place.size}[whence]
        self._at = start + offset
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        wanted = min(len(buffer), max(0, self._place.size - self._at))
        data = self._place.read(wanted, self._at) if wanted else b""
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
