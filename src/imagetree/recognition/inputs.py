"""What a user points at: files, folders, patterns, URLs, standard input; one image after another.

Nothing is read before it is asked for, and a folder of any size is walked as it is worked through.
What is no image comes out with its reason, like any other; photographs are turned as EXIF says.
"""

from __future__ import annotations

import glob
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, overload

import numpy as np

from imagetree.errors import DatabaseError, TrainingError
from imagetree.sources.decoding import decode_image, read_header
from imagetree.sources.entries import (
    MAX_IMAGE_BYTES,
    SetAside,
    base_of,
    fault_of_base,
    fault_of_length,
)
from imagetree.sources.folders import walk_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from imagetree.sources.fetching import Fetcher

STANDARD_INPUT = "-"
_URL_KINDS = ("http://", "https://", "s3://")
_LEAVINGS = "left by a file manager"


class Input(NamedTuple):
    """One thing to look at.

    Args:
        name: what the user calls it: a path, a URL, `-`.
        data: the file, where it is here already, as from standard input.
        fault: why it is no image, where that is known without reading it.
    """

    name: str
    data: bytes | None = None
    fault: str | None = None


class Upcoming(Sequence[Input]):
    """Inputs by their number, from where they are read ahead to where they are answered."""

    def __init__(self) -> None:
        self._rows: dict[int, Input] = {}
        self._next = 0

    def put(self, inputs: Sequence[Input]) -> NDArray[np.int64]:
        """Keep some more; their numbers."""
        numbers = np.arange(self._next, self._next + len(inputs))
        self._rows.update(zip(numbers.tolist(), inputs, strict=True))
        self._next += len(inputs)
        return numbers

    def take(self, number: int) -> Input:
        """One of them, which is then forgotten."""
        return self._rows.pop(number)

    def __len__(self) -> int:
        return self._next

    @overload
    def __getitem__(self, number: int) -> Input: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Input]: ...
    def __getitem__(self, number: int | slice) -> Input | Sequence[Input]:
        if isinstance(number, slice):
            return [self._rows[each] for each in range(*number.indices(self._next))]
        return self._rows[number]


def iter_inputs(places: Iterable[str], *, allow_urls: bool = False) -> Iterator[Input]:
    """Everything that some places stand for, in their order, and each folder's by name.

    In a folder a file is judged by the ending of its name first; what file managers leave is passed
    over; links are not followed. A file that is named itself is read whatever its name.

    Args:
        places: paths of files or folders, patterns (`photos/**/*.jpg`), URLs, `-` for the bytes of
            an image on standard input.
        allow_urls: fetch from http, https and S3.

    Raises:
        TrainingError: a URL is there and `allow_urls` is not given, or what looks like an option:
            at once, before any image.
    """
    known = [str(place) for place in places]
    for place in known:
        if place.startswith("-") and place != STANDARD_INPUT:
            raise TrainingError(f"{place}: no such option", hint=f"a file of this name: ./{place}")
        if "://" in place and not (allow_urls and place.lower().startswith(_URL_KINDS)):
            raise TrainingError(
                f"{place}: URLs are fetched only where it is allowed"
                if place.lower().startswith(_URL_KINDS)
                else f"{place}: no URL that is fetched (expected http, https or s3)",
                hint="add --allow-urls, or name a file",
            )
    return (found for place in known for found in _at(place))


def _at(place: str) -> Iterator[Input]:
    path = Path(place)
    if place == STANDARD_INPUT:
        yield _standard_input()
    elif "://" in place:
        yield Input(place)
    elif _is_folder(path):
        yield from _in_folder(path)
    elif not glob.has_magic(place) or path.exists():
        yield Input(place)
    else:
        found = sorted(glob.glob(place, recursive=True))  # noqa: PTH207  absolute patterns, too
        if not found:
            yield Input(place, fault="no file matches the pattern")
        for each in found:
            # `**` gives a folder and all that is in it: only the files, or they would come twice
            if not _is_folder(Path(each)):
                yield Input(each)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # no permission on the way; a name that holds a zero byte
        return False


def _in_folder(root: Path) -> Iterator[Input]:
    num_found = 0
    try:
        for entry in walk_folder(root):
            num_found += 1
            if isinstance(entry, SetAside):
                yield Input(str(root / entry.item), fault=entry.reason)
                continue
            fault = fault_of_base(base_of(entry.name)) or fault_of_length(entry.length)
            if not fault.startswith(_LEAVINGS):
                yield Input(str(root / entry.name), fault=fault or None)
    except DatabaseError as error:
        yield Input(str(root), fault=error.message.removeprefix(f"{root}: "))
        return
    if not num_found:
        yield Input(str(root), fault="an empty folder")


def _standard_input() -> Input:
    data = sys.stdin.buffer.read(MAX_IMAGE_BYTES + 1)
    fault = fault_of_length(len(data)) or None
    return Input(STANDARD_INPUT, b"" if fault else data, fault)


class InputReader:
    """Reads inputs for whoever decodes them; picklable, each process has its own connections."""

    def __init__(self) -> None:
        self._fetcher: Fetcher | None = None

    def __reduce__(self) -> tuple[type[InputReader], tuple[()]]:
        return InputReader, ()

    def read(self, row: Input) -> bytes | NDArray[np.uint8]:
        """The file of an input; its pixels, uint8 (H, W, 3), where they have to be turned.

        Raises:
            DatabaseError: it cannot be read.
        """
        if row.fault is not None:
            raise DatabaseError(row.fault)
        data = row.data if row.data is not None else self._load(row.name)
        # all but the few that have to be turned are left to the caller, who decodes a part alone
        return data if read_header(data).orientation == 1 else decode_image(data, upright=True)

    def _load(self, name: str) -> bytes:
        if "://" not in name:
            return read_file(Path(name))
        if self._fetcher is None:
            from imagetree.sources.fetching import Fetcher

            self._fetcher = Fetcher()
        data = self._fetcher.fetch(name)
        if fault := fault_of_length(len(data)):
            raise DatabaseError(fault)
        return data


def read_file(path: Path) -> bytes:
    """All bytes of a regular file.

    A device or a pipe is not opened: it would never end, or never begin.

    Raises:
        DatabaseError: it is missing, no regular file, empty, too large, or cannot be read.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise DatabaseError("device, pipe or folder, no regular file")
        if fault := fault_of_length(found.st_size):
            raise DatabaseError(fault)
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DatabaseError(f"cannot be read: {reason}") from None


class FileReader:
    """Reads image files by their paths."""

    def read(self, row: Path) -> bytes:
        """The bytes of one file.

        Raises:
            DatabaseError: it cannot be read.
        """
        return read_file(row)


class ImageFiles:
    """Image files on the disk as something to predict on; their labels are unknown, all -1."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.rows = tuple(paths)
        self.names = tuple(str(path) for path in paths)
        self.labels: NDArray[np.int64] = np.full(len(paths), -1, dtype=np.int64)
        self.reader = FileReader()


class ImageBytes:
    """Image files in memory as something to predict on; their labels are unknown, all -1."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.rows = tuple(files.values())
        self.names = tuple(files)
        self.labels: NDArray[np.int64] = np.full(len(files), -1, dtype=np.int64)
        self.reader = self

    def read(self, row: bytes) -> bytes:
        """The bytes of one file, which are what stands for it."""
        return row
