"""Images of a split under the names that its participants know, where their classes are sealed.

What `imagetree challenge test-images` wrote, or whoever holds the challenge has sent: a tar, a zip
or a folder, in which the images are found by their names. No database is needed, and no label.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from imagetree.errors import ChallengeError
from imagetree.files import Closable
from imagetree.sources.containers import open_container
from imagetree.sources.detection import kind_of
from imagetree.sources.entries import Entry, base_of, stem_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from imagetree.challenge.definition import Challenge
    from imagetree.sources.containers import Container, ContainerKind


class ContainerReader(Closable):
    """Reads files of a container; picklable, each process opens it for itself.

    Args:
        kind: of the container.
        location: where it is, an absolute path.
    """

    def __init__(self, kind: ContainerKind, location: str) -> None:
        self._kind, self._location = kind, location
        self._container: Container | None = None

    def __reduce__(self) -> tuple[type[ContainerReader], tuple[ContainerKind, str]]:
        return ContainerReader, (self._kind, self._location)

    def entries(self) -> dict[str, Entry]:
        """Its files by their names without folder and ending; of equal ones the first.

        Raises:
            DatabaseError: it cannot be opened.
        """
        found: dict[str, Entry] = {}
        for item in self._opened().entries():
            if isinstance(item, Entry):
                found.setdefault(stem_of(base_of(item.name)), item)
        return found

    def read(self, row: Entry) -> bytes:
        """The bytes of one of its files.

        Raises:
            DatabaseError: it cannot be read.
        """
        return self._opened().read(row.offset, row.length, row.path)

    def close(self) -> None:
        """Close the container, when no thread reads any more."""
        if self._container is not None:
            self._container.close()
            self._container = None

    def _opened(self) -> Container:
        if self._container is None:
            self._container = open_container(self._kind, self._location)
        return self._container


class UnlabelledImages:
    """Images of a split as something to answer; their labels are unknown, all -1.

    Args:
        names: of the images, in the order of the split.
        rows: where they lie.
        reader: reads them.
    """

    def __init__(
        self, names: tuple[str, ...], rows: tuple[Entry, ...], reader: ContainerReader
    ) -> None:
        self.names, self.rows, self.reader = names, rows, reader
        self.labels: NDArray[np.int64] = np.full(len(names), -1, dtype=np.int64)


def find_images(challenge: Challenge, split: str, place: Path) -> UnlabelledImages:
    """The images of a split, found by their public names.

    Args:
        challenge: what the split belongs to.
        split: whose names are looked for.
        place: tar, zip or folder with the images.

    Raises:
        ChallengeError: there is no such split, or an image of it is not there.
        DatabaseError: the place cannot be read.
    """
    names = challenge.read_names(split)
    location = str(place.absolute())
    reader = ContainerReader(kind_of(location), location)  # for its user to close
    found = reader.entries()
    missing = [name for name in names if name not in found]
    if missing:
        raise ChallengeError(
            f"{place}: {len(missing):,} of {len(names):,} images of {split!r} are not in it, the "
            f"first {missing[0]!r}",
            hint="who holds the challenge writes them: imagetree challenge test-images",
        )
    return UnlabelledImages(names, tuple(found[name] for name in names), reader)
