"""A split with its images: what to read, and the class of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from imagetree.database.queries import locate
from imagetree.database.sealing import sealed_images
from imagetree.errors import ChallengeError
from imagetree.export import tarwriter
from imagetree.files import atomic_writer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from imagetree.challenge.definition import Challenge
    from imagetree.database.queries import ImageRow
    from imagetree.database.reading import ImageReader
    from imagetree.database.store import Database


class SplitImages:
    """The images of a split in its order: labelled, and readable from several threads.

    Args:
        rows: where each image lies.
        labels: class index of each; int64 (N,).
        reader: reads them.
    """

    def __init__(
        self, rows: Sequence[ImageRow], labels: NDArray[np.int64], reader: ImageReader
    ) -> None:
        self.rows = tuple(rows)
        self.labels = labels
        self.names = tuple(row.name for row in rows)
        self.reader = reader

    def read(self, index: int) -> bytes:
        """The file of one image.

        Raises:
            DatabaseError: it cannot be read.
        """
        return self.reader.read(self.rows[index])

    def select(self, indices: Sequence[int]) -> SplitImages:
        """Some of the images, in the order asked for."""
        rows = [self.rows[index] for index in indices]
        return SplitImages(rows, self.labels[list(indices)], self.reader)


def locate_split(
    challenge: Challenge, split: str, database: Database, reader: ImageReader
) -> SplitImages:
    """Find the images of a split in the database.

    Args:
        challenge: what the split belongs to.
        split: `train`, `minival` or `val`; `test` where its sealed labels are.
        database: where the images are.
        reader: open on the same database.

    Raises:
        ChallengeError: an image of the split is not in the database, or its labels are sealed
            and not here.
        DatabaseError: an archive of the split is missing, or has changed since it was imported.
    """
    rows = rows_of_split(challenge, split, database)
    class_index = {wnid: index for index, wnid in enumerate(challenge.wnids)}
    labels = np.array([class_index[row.wnid] for row in rows], dtype=np.int64)
    reader.open_all({row.source_id for row in rows})
    return SplitImages(rows, labels, reader)


def rows_of_split(challenge: Challenge, split: str, database: Database) -> list[ImageRow]:
    """Where the images of a split are, in its order, those of a sealed test too.

    Raises:
        ChallengeError: as for `locate_split`.
    """
    entries = challenge.read_split(split)
    found = {(row.name, row.wnid): row for row in locate(database, challenge.wnids)}
    if split == "test":
        sealed = sealed_images(database, challenge.wnids)
        found |= {(row.name, row.wnid): row for row in sealed}
    missing = [entry for entry in entries if entry not in found]
    if missing:
        raise ChallengeError(
            f"{challenge.folder}: {len(missing)} of {len(entries)} images of {split!r} are not in "
            f"the database, the first {missing[0].name!r}",
            hint="import the archives that the challenge was cut from, or name their database "
            "with --database",
        )
    return [found[entry] for entry in entries]


def write_test_images(
    challenge: Challenge,
    database: Database,
    reader: ImageReader,
    out: Path,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write the images of test as a tar, under their public names, which tell no class.

    The files are as they are in the database. The same images give the same bytes.

    Args:
        challenge: with its sealed labels, which say what the names stand for.
        database: where the images are.
        reader: open on the same database.
        out: the file to write.
        progress: told after each image: done, total.

    Returns:
        How many images were written.

    Raises:
        ChallengeError: there is no test, its labels are not here, or an image is not in the
            database.
        DatabaseError: an image cannot be read; nothing is written then.
    """
    images = locate_split(challenge, "test", database, reader)
    names = challenge.read_names("test")
    with atomic_writer(out) as file:
        size = 0
        for index, name in enumerate(names):
            size += file.write(tarwriter.member(f"{name}.JPEG", images.read(index)))
            if progress is not None:
                progress(index + 1, len(names))
        file.write(tarwriter.archive_end(size))
    return len(names)
