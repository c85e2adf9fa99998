"""What is exported, what is said while it is, and what came out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetree.database import closure, queries
from imagetree.errors import DatabaseError
from imagetree.sources.entries import SetAside
from imagetree.sources.tarscan import fault_of_name

if TYPE_CHECKING:
    from collections.abc import Generator

    from imagetree.database.queries import ImageRow
    from imagetree.database.store import Database

Progress = Callable[[int, int], None]
"""Called with the images done and the images in all."""

_MAX_NAME_BYTES = 200  # of a file; what is written first has a longer name than the file itself


@dataclass(frozen=True)
class Selection:
    """Which images of a database.

    Args:
        wnids: of the synsets; None for every one that has images.
        subtree: take the synsets below them too.
    """

    wnids: tuple[str, ...] | None = None
    subtree: bool = False

    def counts(self, database: Database) -> dict[str, int]:
        """How many images each selected synset has, by wnid in rising order.

        A class index of an export is the position of a wnid here, from 0.

        Raises:
            WordnetError: one of the wnids is no noun of WordNet 3.0.
            DatabaseError: one of the synsets has no image, or there is none at all.
        """
        found = queries.counts(database)
        if self.wnids is not None:
            below = {
                wnid: closure.descendants([wnid]) if self.subtree else {wnid} for wnid in self.wnids
            }
            empty = [wnid for wnid in self.wnids if found.keys().isdisjoint(below[wnid])]
            wanted = set().union(*below.values())
            found = {wnid: number for wnid, number in found.items() if wnid in wanted}
        else:
            empty = [] if found else ["any synset"]
        if empty:
            raise DatabaseError(
                f"{database.place}: no images of {', '.join(empty)}",
                hint="imagetree database tree shows which synsets have images; "
                "--subtree takes those below a synset",
            )
        return found

    def rows(self, database: Database) -> Generator[ImageRow, None, None]:
        """The images in the order of every export: by wnid, then by name as it is stored."""
        return queries.locate(database, self.wnids, subtree=self.subtree)


@dataclass(frozen=True)
class Running:
    """How an export goes on; nothing of it changes what comes out.

    Args:
        progress: told how far it is.
        threads: that read ahead.
    """

    progress: Progress | None = None
    threads: int = 4

    def tell(self, num_done: int, total: int) -> None:
        """Say how far it is."""
        if self.progress is not None:
            self.progress(num_done, total)


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote.

    Args:
        num_images: written, or found complete from an earlier run.
        num_bytes: of all files together.
        num_kept: files that an earlier run had written and that are still whole.
        sha256: of the file; of several, of their names and hashes in the form of `sha256sum`.
        set_aside: the images that are not there, and why.
    """

    num_images: int
    num_bytes: int
    num_kept: int
    sha256: str
    set_aside: tuple[SetAside, ...]


def file_name(row: ImageRow, ending: str) -> str:
    """The name of an image's file; safe below any folder.

    Raises:
        DatabaseError: the name could lead elsewhere, or is too long for a file.
    """
    name = f"{row.name}.{ending}"
    fault = fault_of_name(name)
    if not fault and ("/" in name or "\\" in name or name.startswith(".")):
        fault = "name is that of no plain file"
    if not fault and len(name.encode()) > _MAX_NAME_BYTES:
        fault = f"name of {len(name.encode())} bytes (expected at most {_MAX_NAME_BYTES})"
    if fault:
        raise DatabaseError(f"image {row.name!r} of {row.wnid}: {fault}")
    return name


def set_aside(row: ImageRow, reason: str) -> SetAside:
    """An image that cannot be exported, as a report lists it."""
    return SetAside(f"{row.wnid}/{row.name}", row.offset, reason)
