"""Exports of many files, which go on where they were broken off.

A part is what is written at once: a shard, or the folder of a class. When it is whole, a line about
it goes into a journal beside the export; at the end the journal becomes `NAME.manifest.jsonl`, a
JSON object a line: each part with its files, sizes and hashes, and last that the export is
complete. Run again, a part is kept if the database still says the same of its images and its files
still have their hashes.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from imagetree.database import journal
from imagetree.errors import DatabaseError
from imagetree.export.selection import ExportReport
from imagetree.files import atomic_writer, sha256_of
from imagetree.sources.entries import SetAside
from imagetree.sources.tarscan import fault_of_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from imagetree.database.queries import ImageRow
    from imagetree.database.store import Database


class File(NamedTuple):
    """A written file.

    Args:
        name: below the export's folder.
        size: in bytes.
        sha256: of its bytes, 64 hexadecimal digits.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Part:
    """A part that is whole.

    Args:
        name: of the part, one of its kind in the export.
        fingerprint: of what the database says of its images.
        num_images: in its files.
        files: in their order.
        set_aside: images that are not in them, and why.
    """

    name: str
    fingerprint: str
    num_images: int
    files: tuple[File, ...]
    set_aside: tuple[SetAside, ...]


class Fingerprints:
    """Says whether images are those of an earlier export.

    Args:
        database: where they are.
        style: all that the bytes of the export depend on besides.
    """

    def __init__(self, database: Database, style: object) -> None:
        self._style = repr(style)
        self._versions = {
            source.id: (source.location, source.size_bytes, source.version)
            for source in journal.sources(database)
        }

    def begin(self) -> hashlib._Hash:
        """The fingerprint of no image."""
        return hashlib.sha256(self._style.encode())

    def add(self, digest: hashlib._Hash, row: ImageRow) -> None:
        """Add an image to a fingerprint."""
        facts = (row.wnid, row.name, row.offset, row.length, row.path)
        digest.update(repr((facts, self._versions.get(row.source_id))).encode())

    def watch(self, rows: Iterable[ImageRow], expected: str) -> Iterator[ImageRow]:
        """The same images.

        Raises:
            DatabaseError: at their end, if they have not the expected fingerprint.
        """
        digest = self.begin()
        for row in rows:
            self.add(digest, row)
            yield row
        if digest.hexdigest() != expected:
            raise changed_meanwhile()


class PartStore:
    """The parts of one export, written and kept.

    Args:
        folder: of the export; made if it is missing.

    Raises:
        DatabaseError: the folder holds something else, or cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._manifest = folder.with_name(f"{folder.name}.manifest.jsonl")
        self._journal = folder.with_name(f".{folder.name}.manifest.part")
        if folder.exists() and not (self._manifest.exists() or self._journal.exists()):
            _check_empty(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._journal.touch()
        except OSError as error:
            raise DatabaseError(f"{folder}: cannot be made ({error.strerror})") from error
        self._places: dict[str, tuple[Path, int]] = {}  # where the line of a part begins
        for path in (self._manifest, self._journal):
            self._index(path)
        self._kept: set[str] = set()

    def find(self, name: str, fingerprint: str) -> Part | None:
        """A part of an earlier run, if it is still what it was."""
        part = self._load(name) if name in self._places else None
        if part is None or part.fingerprint != fingerprint:
            return None
        if not all(_is_whole(self.folder, file) for file in part.files):
            return None
        self._kept.add(name)
        return part

    def add(self, part: Part) -> None:
        """Note that a part is whole; from now on it is kept."""
        line = json.dumps(asdict(part), ensure_ascii=False, sort_keys=True) + "\n"
        try:
            with self._journal.open("ab") as file:
                offset = file.seek(0, os.SEEK_END)
                if offset and not _ends_line(self._journal):  # torn when an earlier run was killed
                    offset += file.write(b"\n")
                file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise cannot_write(self._journal, error) from error
        self._places[part.name] = (self._journal, offset)

    def finish(self, names: Sequence[str]) -> ExportReport:
        """Write the manifest, and remove the files of parts that are no longer in the export.

        Args:
            names: of all parts, in their order.
        """
        num_images = num_bytes = num_kept = 0
        set_aside: list[SetAside] = []
        digest = hashlib.sha256()
        with atomic_writer(self._manifest) as file:
            for name in names:
                part = self._load(name)
                assert part is not None  # it was added or found in this run
                file.write(json.dumps(asdict(part), ensure_ascii=False, sort_keys=True).encode())
                file.write(b"\n")
                num_images += part.num_images
                num_bytes += sum(each.size for each in part.files)
                num_kept += len(part.files) if name in self._kept else 0
                set_aside += part.set_aside
                for each in part.files:
                    digest.update(f"{each.sha256}  {each.name}\n".encode())
            total = {"complete": True, "num_images": num_images, "sha256": digest.hexdigest()}
            # the old parts' lines are needed until here
            for name in self._places.keys() - set(names):
                self._remove(name)
            file.write(json.dumps(total).encode() + b"\n")
        self._journal.unlink()
        return ExportReport(num_images, num_bytes, num_kept, digest.hexdigest(), tuple(set_aside))

    def _index(self, path: Path) -> None:
        """Note where the line of each part begins; the later line counts."""
        if not path.exists():
            return
        offset = 0
        with path.open("rb") as file:
            for line in file:
                part = _parse(line)
                if part is not None:
                    self._places[part.name] = (path, offset)
                offset += len(line)

    def _load(self, name: str) -> Part | None:
        path, offset = self._places[name]
        with path.open("rb") as file:
            file.seek(offset)
            return _parse(file.readline())

    def _remove(self, name: str) -> None:
        part = self._load(name)
        for each in part.files if part else ():
            path = self.folder / each.name
            path.unlink(missing_ok=True)
            if path.parent != self.folder:
                with suppress(OSError):  # not empty yet, or gone
                    path.parent.rmdir()


def changed_meanwhile() -> DatabaseError:
    """The error of an export that would mix two states of a database."""
    return DatabaseError(
        "the images changed while they were exported",
        hint="run the same export again; what is whole is kept",
    )


def cannot_write(path: Path, error: OSError) -> DatabaseError:
    """The error of a file that cannot be written."""
    return DatabaseError(
        f"{path}: cannot be written ({error.strerror or error})",
        hint="free some space or choose another folder, and run the command again",
    )


def _parse(line: bytes) -> Part | None:
    """A line of a manifest; None for the last one, and for one that is torn or not ours."""
    try:
        found: dict[str, Any] = json.loads(line)
        files = tuple(File(*each) for each in found["files"])
        set_aside = tuple(SetAside(*each) for each in found["set_aside"])
        part = Part(
            str(found["name"]), found["fingerprint"], int(found["num_images"]), files, set_aside
        )
    except (ValueError, KeyError, TypeError):
        return None
    return None if any(fault_of_name(str(each.name)) for each in files) else part


def _is_whole(folder: Path, file: File) -> bool:
    path = folder / file.name
    try:
        return path.stat().st_size == file.size and sha256_of(path) == file.sha256
    except OSError:
        return False


def _ends_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _check_empty(folder: Path) -> None:
    if not folder.is_dir() or any(folder.iterdir()):
        raise DatabaseError(
            f"{folder}: is no export that was broken off (expected a new or empty folder)",
            hint="name another folder",
        )
