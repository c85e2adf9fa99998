"""Parquet as Hugging Face's `datasets` reads it: a column of images, a column of classes.

`image` holds the bytes of the file and its name, `label` the class index, from 0, in the order of
the sorted wnids; that these are an Image and a ClassLabel stands in the schema's metadata. Classes
are named by wnid, for words are no keys: crane is two of ILSVRC's classes.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from imagetree.export.selection import ExportReport, Running, Selection
from imagetree.export.sharding import ClassIndex, Content, Sharding, write_sharded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from imagetree.database.queries import ImageRow
    from imagetree.database.store import Database
    from imagetree.export.tarwriter import HashingFile

SHARDING = Sharding("train", max_images=1_000_000, max_bytes=500 << 20)
GROUP_IMAGES, GROUP_BYTES = 100, 100 << 20
"""Most of a row group, which is read as a whole: as the Hub's viewer wants them."""

_IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def write_parquet(
    database: Database,
    folder: Path,
    selection: Selection | None = None,
    sharding: Sharding = SHARDING,
    running: Running | None = None,
) -> ExportReport:
    """Write `train-00000-of-00005.parquet` and so on; run again, it goes on.

    `datasets.load_dataset(FOLDER)` then gives the split with images and classes.

    Args:
        database: where the images are.
        folder: to write into; `FOLDER.manifest.jsonl` is written beside it.
        selection: which images; all if None.
        sharding: names and limits of the files; the name is the split's.
        running: threads and progress.

    Raises:
        DatabaseError: there are no images, a source is missing, or the folder holds something else.
        ImagetreeError: a file cannot be written.
    """
    selection = selection or Selection()
    kind = _Parquet(sharding, ClassIndex(selection.counts(database)))
    return write_sharded(database, folder, selection, kind, running)


@dataclass(frozen=True)
class _Parquet:
    sharding: Sharding
    classes: ClassIndex

    @property
    def style(self) -> object:
        return ("parquet", self.classes.wnids, pa.__version__)

    def name_of(self, number: int, total: int) -> str:
        return f"{self.sharding.name}-{number:05d}-of-{total:05d}.parquet"

    def size_of(self, row: ImageRow, length: int) -> int:
        return length + len(row.name) + 16  # lengths, label, levels

    def write(self, file: HashingFile, images: Iterator[tuple[ImageRow, Content]]) -> None:
        # Photographs are packed already, and no two of them are equal.
        plain = {"compression": "NONE", "use_dictionary": False, "write_statistics": ["label"]}
        with pq.ParquetWriter(_Sink(file), self._schema(), **plain) as writer:
            group: list[tuple[ImageRow, Content]] = []
            size = 0
            for row, content in images:
                more = len(content.data)
                is_full = len(group) == GROUP_IMAGES
                if group and (is_full or size + more > GROUP_BYTES):
                    writer.write_table(self._table(group))
                    group, size = [], 0
                group.append((row, content))
                size += more
            if group:
                writer.write_table(self._table(group))

    def _schema(self) -> pa.Schema:
        features = {
            "image": {"_type": "Image"},
            "label": {"names": list(self.classes.wnids), "_type": "ClassLabel"},
        }
        metadata = {"huggingface": json.dumps({"info": {"features": features}})}
        return pa.schema({"image": _IMAGE, "label": pa.int64()}, metadata=metadata)

    def _table(self, group: list[tuple[ImageRow, Content]]) -> pa.Table:
        images = [
            {"bytes": content.data, "path": f"{row.name}.{content.ending}"}
            for row, content in group
        ]
        labels = [self.classes.index_of(row) for row, _ in group]
        columns = [pa.array(images, _IMAGE), pa.array(labels, pa.int64())]
        return pa.Table.from_arrays(columns, schema=self._schema())


class _Sink(io.RawIOBase):
    """A `HashingFile` as pyarrow writes to it."""

    def __init__(self, file: HashingFile) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.size

    def write(self, data: Any) -> int:
        self._file.write(bytes(data))
        return len(data)
