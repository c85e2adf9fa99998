"""ILSVRC's development kits of 2010 to 2012: synsets, their ids, and the ground truth of val.

A kit is read from its `.tar.gz`, the folder that it was unpacked to, or a bare `meta.mat`. Nothing
is unpacked: the few files that count are read into memory, and each, and all that the archive
holds, is bounded before it is decompressed. What they hold is checked field by field.
Sources: the readme.txt of either kit, "Data" and "Meta Data"; ILSVRC2015's, 3.2.2, for the
blacklist.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from imagetree.errors import DatabaseError
from imagetree.sources.matfile import Value, read_mat
from imagetree.sources.numbering import (
    Ilsvrc2010Id,
    Ilsvrc2011Id,
    Ilsvrc2012Id,
    IlsvrcId,
    Numbering,
    parse_number,
    parse_numbers,
    raise_faults,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

MAX_FILE_BYTES = 32 << 20
"""Longest file of a kit, and longest content of all in meta.mat; that of 2010 has 2.3 MB."""
MAX_KIT_BYTES = 256 << 20
"""Most that is decompressed of a kit's archive; those published have 20 MB and less."""
MAX_MEMBERS = 10_000
KINDS: dict[int, type[IlsvrcId]] = {2010: Ilsvrc2010Id, 2011: Ilsvrc2011Id, 2012: Ilsvrc2012Id}
"""The ids of each year's kit."""

_META = "meta.mat"
_TRUTH = re.compile(r"ILSVRC(20\d\d)_validation_ground_truth\.txt")
_BLACKLIST = re.compile(r"ILSVRC(20\d\d)_(?:clsloc_)?validation_blacklist\.txt")
_ID_FIELD = re.compile(r"ILSVRC(20\d\d)_ID")
_WNID = re.compile(r"n[0-9]{8}")
_FIELDS = (
    *("WNID", "words", "gloss", "num_children", "children", "wordnet_height"),
    "num_train_images",
)
_HINT = "download the kit again; it is published as ILSVRC2012_devkit_t12.tar.gz"


class KitSynset(NamedTuple):
    """A synset of a kit.

    Args:
        id: 1 to the number of classes for a class, above for an ancestor of classes.
        wnid: of WordNet 3.0.
        words: parted by commas.
        gloss: its definition.
        children: ids of its hyponyms in the kit; none for a class.
        wordnet_height: longest way down to a leaf of the whole of WordNet.
        num_train_images: 0 for an ancestor.
    """

    id: IlsvrcId
    wnid: str
    words: str
    gloss: str
    children: tuple[IlsvrcId, ...]
    wordnet_height: int
    num_train_images: int


@dataclass(frozen=True)
class Devkit:
    """A development kit.

    Args:
        path: where it was read.
        year: 2010, 2011 or 2012.
        synsets: in the order of their ids, from 1; the classes first.
        cost_matrix: of 2010, the hierarchical cost of each pair of classes in levels; uint8 (K, K);
            None in other years.
        ground_truth: id of each val image, in the order of their names; empty where the kit has
            none. The ids of different years are of different types.
        truth_sha256: of the file of the ground truth; empty where there is none.
        blacklist: numbers of val images, from 1, that the localization task does not score.
    """

    path: Path
    year: int
    synsets: tuple[KitSynset, ...]
    cost_matrix: NDArray[np.uint8] | None
    ground_truth: tuple[IlsvrcId, ...]
    truth_sha256: str
    blacklist: frozenset[int]

    @cached_property
    def numbering(self) -> Numbering[IlsvrcId]:
        """The ids of the classes, which alone may be answers and ground truth."""
        return _numbering(self.year, self.synsets)

    def val_wnids(self) -> dict[str, str]:
        """The synset of each val image, by the name of its file; in the order of the names.

        Empty where the kit has no ground truth. Source: readme.txt, "Validation images".
        """
        return {
            f"ILSVRC{self.year}_val_{number:08}.JPEG": self.numbering.wnid_of(id)
            for number, id in enumerate(self.ground_truth, 1)
        }


def is_devkit(path: Path) -> bool:
    """Whether a path is meant as a kit, by its kind: a folder, `.tar.gz`, `.tgz` or `.mat`.

    >>> from pathlib import Path
    >>> is_devkit(Path("ILSVRC2012_devkit_t12.tar.gz")), is_devkit(Path("val.txt"))
    (True, False)
    """
    return path.name.lower().endswith((".tar.gz", ".tgz", ".mat")) or path.is_dir()


def load_devkit(path: Path) -> Devkit:
    """Read a development kit.

    Args:
        path: the kit's `.tar.gz`, the folder it was unpacked to, or its `meta.mat`, beside which
            the ground truth may lie.

    Raises:
        DatabaseError: it cannot be read, is no kit of 2010 to 2012, or contradicts itself; or a
            line of the ground truth is the id of no class.
    """
    return parse_devkit(path, read_kit_files(path))


def read_kit_files(path: Path) -> dict[str, bytes]:
    """The files of a kit that count, by the last part of their names: `meta.mat` and the lists.

    Args:
        path: as for `load_devkit`.

    Raises:
        DatabaseError: it cannot be read, holds more than a kit does, or has no `meta.mat`.
    """
    if not (path.is_dir() or path.is_file()):
        raise DatabaseError(f"{path}: no development kit is there", hint=_HINT)
    try:
        files = dict(_iter_folder(path) if _is_folder(path) else _iter_archive(path))
    except (OSError, EOFError, zlib.error, tarfile.TarError, ValueError) as error:
        raise DatabaseError(f"{path}: cannot be read as a kit ({error})", hint=_HINT) from error
    if _META not in files:
        raise DatabaseError(
            f"{path}: no {_META} in it (expected a development kit of ILSVRC2010 to ILSVRC2012)",
            hint=_HINT,
        )
    return files


def truth_file_name(year: int) -> str:
    """What the ground truth of a year's val images is called."""
    return f"ILSVRC{year}_validation_ground_truth.txt"


def parse_devkit(path: Path, files: dict[str, bytes]) -> Devkit:
    """A development kit out of its files; see `load_devkit`.

    Args:
        path: where they were read.
        files: of `read_kit_files`, all or `meta.mat` alone.

    Raises:
        DatabaseError: they are those of no kit of 2010 to 2012, or contradict each other.
    """
    year, synsets, costs = _parse_meta(files[_META], f"{path}: {_META}")
    truth_name, truth = _file_of_year(files, _TRUTH, year)
    blacklist_name, blacklist = _file_of_year(files, _BLACKLIST, year)
    ids = parse_numbers(truth, _numbering(year, synsets), truth_name) if truth else ()
    sha256 = hashlib.sha256(files[truth_name]).hexdigest() if truth else ""
    images = _parse_blacklist(blacklist, blacklist_name, len(ids))
    return Devkit(path, year, synsets, costs, ids, sha256, images)


def _is_folder(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() == ".mat"


def _is_wanted(name: str) -> bool:
    return name == _META or bool(_TRUTH.fullmatch(name) or _BLACKLIST.fullmatch(name))


def _iter_folder(path: Path) -> Iterator[tuple[str, bytes]]:
    """The files that count, by name: beside `meta.mat`, or in the folder, `data` or `*/data`."""
    if not path.is_dir():
        yield _META, _read_capped(path.open("rb"), str(path))
        path = path.parent
        found = [path]
    else:
        found = [path, path / "data", *sorted(path.glob("*/data"))]
        found = [folder for folder in found if (folder / _META).is_file()][:1]
        for folder in found:
            yield _META, _read_capped((folder / _META).open("rb"), str(folder / _META))
    for folder in found:
        for file in sorted(folder.iterdir()):
            if file.name != _META and _is_wanted(file.name) and file.is_file():
                yield file.name, _read_capped(file.open("rb"), str(file))


def _iter_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    """The files that count, by the last part of their names; members are read one after another."""
    with gzip.open(path) as file, _opened_tar(file) as archive:
        for number, member in enumerate(archive):
            if number == MAX_MEMBERS:
                raise DatabaseError(f"{path}: more than {MAX_MEMBERS} members", hint=_HINT)
            *folders, name = member.name.split("/")
            content = archive.extractfile(member) if member.isreg() and _is_wanted(name) else None
            if content is not None:
                if member.name.startswith("/") or ".." in folders:
                    raise DatabaseError(f"{path}: {member.name[:80]!r} leads out of it", hint=_HINT)
                yield name, _read_capped(content, f"{path}: {name}")


def _opened_tar(file: gzip.GzipFile) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BufferedReader(_Bounded(file)), mode="r|")


class _Bounded(io.RawIOBase):
    """A stream of which no more than MAX_KIT_BYTES can be read."""

    def __init__(self, file: gzip.GzipFile) -> None:
        self._file, self._left = file, MAX_KIT_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise ValueError(f"more than {MAX_KIT_BYTES} bytes in it")
        buffer[: len(data)] = data
        return len(data)


def _read_capped(file: IO[bytes], where: str) -> bytes:
    with file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise DatabaseError(f"{where}: more than {MAX_FILE_BYTES} bytes", hint=_HINT)
    return data


def _file_of_year(files: dict[str, bytes], kind: re.Pattern[str], year: int) -> tuple[str, str]:
    """Name and text of a file of the kit's own year; two empty texts where there is none."""
    for name, data in sorted(files.items()):
        found = kind.fullmatch(name)
        if found and int(found[1]) == year:
            return name, data.decode("ascii", "replace")
    return "", ""


def _parse_meta(
    data: bytes, where: str
) -> tuple[int, tuple[KitSynset, ...], NDArray[np.uint8] | None]:
    """Year, synsets and costs of a `meta.mat`."""
    try:
        found = read_mat(data, MAX_FILE_BYTES)
    except ValueError as error:
        raise DatabaseError(f"{where}: {error}", hint=_HINT) from error
    table = found.get("synsets")
    if not isinstance(table, list) or not table:
        raise DatabaseError(f"{where}: no table of synsets", hint=_HINT)
    names = list(table[0])
    years = [int(found_id[1]) for name in names if (found_id := _ID_FIELD.fullmatch(name))]
    if len(years) != 1 or years[0] not in KINDS or not set(_FIELDS) <= set(names):
        raise DatabaseError(
            f"{where}: the fields of a synset are {', '.join(names) or 'none'} "
            f"(expected ILSVRC2010_ID or that of 2011 or 2012, {', '.join(_FIELDS)})",
            hint=_HINT,
        )
    try:
        synsets = tuple(_parse_synset(row, years[0]) for row in table)
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        raise DatabaseError(f"{where}: a field is not what it should be ({error})") from error
    num_classes = _check_synsets(synsets, where)
    return years[0], synsets, _costs(found.get("cost_matrix"), num_classes, where)


def _parse_synset(row: dict[str, Value], year: int) -> KitSynset:
    kind = KINDS[year]
    children = tuple(kind(int(child)) for child in np.asarray(row["children"]).ravel())
    if _number(row["num_children"]) != len(children):
        raise ValueError(f"{_number(row['num_children'])} children, {len(children)} are named")
    return KitSynset(
        id=kind(_number(row[f"ILSVRC{year}_ID"])),
        wnid=_text(row["WNID"]),
        words=_text(row["words"]),
        gloss=_text(row["gloss"]),
        children=children,
        wordnet_height=_number(row["wordnet_height"]),
        num_train_images=_number(row["num_train_images"]),
    )


def _number(field: Value) -> int:
    """A number of MATLAB, which is a matrix."""
    return int(np.asarray(field).item())


def _text(field: Value) -> str:
    """A text of MATLAB; an empty one is an empty array of numbers."""
    if isinstance(field, str):
        return field
    if len(field):
        raise ValueError("numbers or structs in place of a text")
    return ""


def _check_synsets(synsets: tuple[KitSynset, ...], where: str) -> int:
    """Hold the synsets to what a kit is; the number of its classes."""
    num_classes = next((n for n, s in enumerate(synsets) if s.children), len(synsets))
    faults = []
    for number, synset in enumerate(synsets, 1):
        if synset.id.value != number:
            faults.append(f"{synset.id} where {number} is expected")
        if not _WNID.fullmatch(synset.wnid):
            faults.append(f"{synset.id}: {synset.wnid[:20]!r} is no wnid")
        if not all(1 <= child.value <= len(synsets) for child in synset.children):
            faults.append(f"{synset.id}: a child is not in 1..{len(synsets)}")
        if number > num_classes and not synset.children:
            faults.append(f"{synset.id}: a class behind the ancestors of classes")
    if not faults and len({synset.wnid for synset in synsets}) < len(synsets):
        faults.append("a wnid is there twice")
    raise_faults(where, faults or ([] if num_classes else ["no class in it"]), _HINT)
    return num_classes


def _numbering(year: int, synsets: tuple[KitSynset, ...]) -> Numbering[IlsvrcId]:
    return Numbering(KINDS[year], tuple(s.wnid for s in synsets if not s.children))


def _costs(matrix: Value | None, num_classes: int, where: str) -> NDArray[np.uint8] | None:
    if matrix is None:
        return None
    shape = (num_classes, num_classes)
    if not isinstance(matrix, np.ndarray) or matrix.shape != shape:
        raise DatabaseError(f"{where}: cost_matrix is no matrix of {shape}", hint=_HINT)
    costs: NDArray[np.uint8] = np.clip(np.nan_to_num(matrix), 0, 255).astype(np.uint8)
    if (costs != matrix).any():
        raise DatabaseError(f"{where}: cost_matrix holds other than 0 to 255", hint=_HINT)
    return costs


def _parse_blacklist(text: str, where: str, num_images: int) -> frozenset[int]:
    """The numbers of val images, from 1; where the truth is missing, their number is not known."""
    words = text.split()
    faults = [
        f"{word[:20]!r} is no image (expected 1 to {num_images or 'their number'})"
        for word in words
        if not 1 <= (parse_number(word) or 0) <= (num_images or 99_999)
    ]
    raise_faults(where, faults, _HINT)
    return frozenset(map(int, words))
