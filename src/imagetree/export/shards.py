"""WebDataset shards: plain tars `NAME-000000.tar`, each image with its class beside it.

A sample is three members: `KEY.jpg` (the ending by the image's bytes), `KEY.cls` (the class index,
from 0, in the order of the sorted wnids of the whole export) and `KEY.json` (wnid and name).
Samples are sorted by wnid: a training run shuffles the shards, and a buffer of samples.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetree.export import tarwriter
from imagetree.export.selection import ExportReport, Running, Selection
from imagetree.export.sharding import ClassIndex, Content, Sharding, write_sharded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from imagetree.database.queries import ImageRow
    from imagetree.database.store import Database
    from imagetree.export.tarwriter import HashingFile

SHARDING = Sharding("train", max_images=10_000, max_bytes=1 << 30)


def write_shards(
    database: Database,
    folder: Path,
    selection: Selection | None = None,
    sharding: Sharding = SHARDING,
    running: Running | None = None,
) -> ExportReport:
    """Write WebDataset shards; run again, it goes on where it was broken off.

    Args:
        database: where the images are.
        folder: to write into; `FOLDER.manifest.jsonl` is written beside it.
        selection: which images; all if None.
        sharding: names and limits of the shards.
        running: threads and progress.

    Raises:
        DatabaseError: there are no images, a source is missing, or the folder holds something else.
        ImagetreeError: a file cannot be written.
    """
    selection = selection or Selection()
    kind = _WebDataset(sharding, ClassIndex(selection.counts(database)))
    return write_sharded(database, folder, selection, kind, running)


@dataclass(frozen=True)
class _WebDataset:
    sharding: Sharding
    classes: ClassIndex

    @property
    def style(self) -> object:
        return ("webdataset", self.classes.wnids)

    def name_of(self, number: int, total: int) -> str:
        return f"{self.sharding.name}-{number:06d}.tar"

    def size_of(self, row: ImageRow, length: int) -> int:
        blank = tarwriter.member_size(_key_of(row), length)
        return blank + sum(2 * tarwriter.BLOCK for _ in ("cls", "json"))

    def write(self, file: HashingFile, images: Iterator[tuple[ImageRow, Content]]) -> None:
        for row, (data, ending) in images:
            key = _key_of(row)
            facts = json.dumps({"name": row.name, "wnid": row.wnid}, ensure_ascii=False)
            file.write(tarwriter.member(f"{key}.{ending}", data))
            file.write(tarwriter.member(f"{key}.cls", str(self.classes.index_of(row)).encode()))
            file.write(tarwriter.member(f"{key}.json", facts.encode()))
        file.write(tarwriter.archive_end(file.size))


def _key_of(row: ImageRow) -> str:
    """What the members of a sample share: all before the first dot of the file's name."""
    name = row.name.replace("%", "%25").replace(".", "%2E").replace("/", "%2F")
    return f"{row.wnid}/{name}"
