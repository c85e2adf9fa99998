"""Tables in Parquet with the bytes of images in them, as Hugging Face's data sets are stored.

An image is found by its row. To know lengths an import reads the image column, a row group at a
time, and decodes no picture (tiny32: 100,000 rows in 0.3 s); without lengths it reads the labels
alone. To read an image its whole row group is decoded, and kept for the next: row groups of some
hundred images are what both want.

Both columns are read as dictionaries: a value that a hostile file repeats a million times, which
costs it a byte, is in memory once.
Source: the Apache Parquet format; `datasets` of Hugging Face for its metadata and its image struct.
"""

from __future__ import annotations

import json
import threading
from bisect import bisect_right
from collections import Counter, OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import IO, TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from imagetree.errors import DatabaseError
from imagetree.sources.entries import FoundImage, SetAside, base_of, fault_of_length, image_name
from imagetree.sources.numbering import unnamed_numbering
from imagetree.sources.tarscan import fault_of_name, printable
from imagetree.sources.webdataset import resolve_label

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from imagetree.sources.entries import Resolve

Open = Callable[[], IO[bytes]]
"""Opens the file once more; called from any thread."""

IMAGE_COLUMNS = ("image", "img", "jpg", "jpeg", "png", "image_bytes", "bytes")
LABEL_COLUMNS = ("wnid", "synset", "label", "labels", "class", "class_name")
MAX_GROUP_BYTES = 1 << 30
"""Largest row group, unpacked: all its images are in memory to read one of them."""
MAX_GROUP_ROWS = 10_000_000
CACHE_BYTES = 1 << 28
_ARROW_ERRORS = (pa.ArrowException, OSError, ValueError, LookupError)
_HINT = "write it again with row groups of some hundred images, the bytes in a binary column"


class _Columns(NamedTuple):  # where image and label are
    image: str  # the bytes: `image`, or `image.bytes`
    path: str  # the file names that Hugging Face keeps, `image.path`; empty without
    label: str
    classes: Sequence[str] | None  # labels by number


def parquet_files(root: Path) -> list[Path]:
    """The tables of a data set, sorted by their path: the file itself, or all below a folder.

    Raises:
        DatabaseError: the folder has none.
    """
    if root.is_file():
        return [root]
    found = sorted(path for path in root.rglob("*.parquet") if path.is_file())
    if not found:
        raise DatabaseError(
            f"{root}: no Parquet file is there", hint="name a folder with *.parquet in it"
        )
    return found


def scan_parquet(
    files: Sequence[tuple[str, Open]],
    resolve: Resolve,
    *,
    classes: Sequence[str] | None = None,
    with_lengths: bool = True,
) -> Iterator[FoundImage | SetAside]:
    """The images of a table, or of one that is dealt out to several files.

    An image is named by the base name of the path beside its bytes, where there is one that no
    other row of its file has; else by synset, file and row: row 17 of `val.parquet` is
    `n02084071_val_17`. So a name stays the same as long as the file does.

    Args:
        files: path below the source, and how to open it. Of several files the ones that cannot be
            read are set aside.
        resolve: the synset of a label.
        classes: labels in the order of their numbers, from 0, for a column of numbers whose names
            are not in the file.
        with_lengths: read the image column for its lengths, by which missing and empty images are
            found too; False for a place where reading is dear: the lengths are 0 then.

    Returns:
        Images in the order of files and rows; their offset is the row in the file.

    Raises:
        DatabaseError: no file can be read, or has columns of images and labels.
    """
    faults: list[DatabaseError] = []
    for name, open_file in files:
        scan = _Scan(name, resolve, classes, with_lengths, name if len(files) > 1 else None)
        try:
            with open_file() as file:
                yield from scan.run(file)
        except (DatabaseError, OSError) as error:
            fault = str(getattr(error, "message", error))
            faults.append(DatabaseError(fault, hint=getattr(error, "hint", None)))
            if len(faults) == len(files):
                raise faults[0] from None
            yield SetAside(printable(name), 0, printable(fault))


class ParquetImages:
    """Reads images of one file by row, from any thread.

    Args:
        open_file: opens the file; called once for each row group that is decoded.
        name: of the file, for messages.
        cache_bytes: how much of decoded row groups is kept; the last one is kept in any case.

    Raises:
        DatabaseError: the file is no table with images.
    """

    def __init__(self, open_file: Open, name: str, cache_bytes: int = CACHE_BYTES) -> None:
        self._open, self._name, self._cache_bytes = open_file, name, cache_bytes
        with open_file() as file:
            table = _open_table(file, name, ())
            self._metadata = table.metadata
            self._column, _ = _find_image(table.schema_arrow, name)
        self._starts = _starts_of_groups(self._metadata)
        self._decoding = [threading.Lock() for _ in self._starts]
        self._lock = threading.Lock()
        self._decoded: OrderedDict[int, pa.DictionaryArray] = OrderedDict()

    def read(self, row: int) -> bytes:
        """The bytes of an image.

        Raises:
            DatabaseError: the file has no such row, no image in it, or cannot be read there.
        """
        if not 0 <= row < self._starts[-1]:
            raise DatabaseError(
                f"{self._name}: no row {row} (expected 0 to {self._starts[-1] - 1})",
                hint="import the source again: it has changed",
            )
        group = bisect_right(self._starts, row) - 1
        images = self._group(group)
        index = images.indices[row - self._starts[group]].as_py()
        if index is None:
            raise DatabaseError(f"{self._name}: row {row} has no image")
        return bytes(images.dictionary[index].as_py())

    def _group(self, group: int) -> pa.DictionaryArray:
        """A row group's images; of several threads that ask for them the first one decodes."""
        with self._decoding[group]:
            with self._lock:
                if group in self._decoded:
                    self._decoded.move_to_end(group)
                    return self._decoded[group]
            images = self._decode(group)
            with self._lock:
                self._decoded[group] = images
                sizes = {key: kept.nbytes for key, kept in self._decoded.items()}
                while len(self._decoded) > 1 and sum(sizes.values()) > self._cache_bytes:
                    del sizes[self._decoded.popitem(last=False)[0]]
            return images

    def _decode(self, group: int) -> pa.DictionaryArray:
        _check_group(self._metadata, group)
        with self._open() as file:
            table = _open_table(file, self._name, [self._column], self._metadata)
            return _read_column(table, group, self._column, self._name)


@dataclass(frozen=True)
class _Scan:
    """One file, and what is asked of it."""

    name: str
    resolve: Resolve
    classes: Sequence[str] | None
    with_lengths: bool
    path: str | None  # of the images: the file's name, None for a single file

    def run(self, file: IO[bytes]) -> Iterator[FoundImage | SetAside]:
        """Its images, row group after row group."""
        columns = _find_columns(_open_table(file, self.name, ()).schema_arrow, self)
        wanted = [name for name in (columns.label, columns.path, columns.image) if name]
        table = _open_table(file, self.name, wanted)
        repeated = _repeated_bases(table, columns.path, self.name)
        for group, (first, end) in enumerate(pairwise(_starts_of_groups(table.metadata))):
            try:
                _check_group(table.metadata, group)
                rows = _read_rows(table, group, columns, self)
            except DatabaseError as error:
                item = f"{printable(self.name)}: rows {first} to {end - 1}"
                yield SetAside(item, first, error.message)
            else:
                yield from self._judge(rows, first, repeated)

    def _judge(
        self, rows: _Rows, first: int, repeated: set[str]
    ) -> Iterator[FoundImage | SetAside]:
        for row, (index, length, path) in enumerate(
            zip(rows.labels, rows.lengths, rows.paths, strict=True), first
        ):
            wnid, fault = ("", "no label") if index is None else rows.wnids[index]
            if length is None:
                fault = "the path of a file without its bytes" if path else "no image"
            elif self.with_lengths and not fault:
                fault = fault_of_length(length)
            if fault or length is None:
                yield SetAside(f"{printable(self.name)}: row {row}", row, fault)
                continue
            base = base_of(path or "")
            if "." not in base[1:] or base in repeated or fault_of_name(base):
                base = f"{self.name.removesuffix('.parquet').replace('/', '-')}_{row}."
            yield FoundImage(image_name(base, wnid), wnid, row, length, self.path)


class _Rows(NamedTuple):
    """A row group: its synsets; for each row the index of one, the image's length and path."""

    wnids: list[tuple[str, str]]
    labels: list[int | None]
    lengths: list[int | None]
    paths: list[str | None]


def _starts_of_groups(metadata: pq.FileMetaData) -> list[int]:
    """The first row of each row group, and the number of all rows."""
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    return [0, *accumulate(max(group.num_rows, 0) for group in groups)]


def _open_table(
    file: IO[bytes],
    name: str,
    dictionaries: Sequence[str],
    metadata: pq.FileMetaData | None = None,
) -> pq.ParquetFile:
    """A table of which some columns are read as dictionaries."""
    try:
        how = {"pre_buffer": False, "page_checksum_verification": True}
        table = pq.ParquetFile(file, metadata=metadata, read_dictionary=list(dictionaries), **how)
        if not len(table.schema_arrow):  # what is wrong with types comes up here
            raise ValueError("no columns")
        return table
    except _ARROW_ERRORS as error:
        raise DatabaseError(
            f"{printable(name)}: not a Parquet file, or damaged ({_first_line(error)})", hint=_HINT
        ) from None


def _find_columns(schema: pa.Schema, scan: _Scan) -> _Columns:
    image, path = _find_image(schema, scan.name)
    label = next((name for name in LABEL_COLUMNS if schema.get_field_index(name) >= 0), None)
    if label is None:
        wanted, where = ", ".join(LABEL_COLUMNS), printable(scan.name)
        raise DatabaseError(
            f"{where}: no column of labels (expected one of {wanted}; got {_shown(schema)})",
            hint="rename the column with the labels",
        )
    kind, where = schema.field(label).type, f"{printable(scan.name)}, column {label!r}"
    if _is_text(kind):
        return _Columns(image, path, label, scan.classes)
    if not pa.types.is_integer(kind):
        raise DatabaseError(f"{where}: holds {kind} (expected words or numbers)")
    classes = scan.classes or _class_names(schema, label)
    if not classes:
        raise unnamed_numbering(where)
    return _Columns(image, path, label, classes)


def _find_image(schema: pa.Schema, name: str) -> tuple[str, str]:
    """The column of the bytes, and that of the paths beside them or an empty text."""
    found = {field.name: leaves for field in schema if (leaves := _image_leaves(field))}
    named = [column for column in IMAGE_COLUMNS if column in found]
    if not named and len(found) != 1:
        raise DatabaseError(
            f"{printable(name)}: {'several columns' if found else 'no column'} of images (expected "
            f"`image`, binary or a struct of bytes and path; got {_shown(schema)})",
            hint=_HINT,
        )
    return found[named[0]] if named else next(iter(found.values()))


def _image_leaves(field: pa.Field) -> tuple[str, str] | None:
    if _is_binary(field.type):
        return field.name, ""
    parts = {part.name: part.type for part in field.type} if pa.types.is_struct(field.type) else {}
    if not _is_binary(parts.get("bytes", pa.null())):
        return None
    return f"{field.name}.bytes", f"{field.name}.path" if _is_text(parts.get("path")) else ""


def _is_binary(kind: pa.DataType) -> bool:
    return _value_type(kind) in (pa.binary(), pa.large_binary())


def _is_text(kind: pa.DataType | None) -> bool:
    return _value_type(kind) in (pa.string(), pa.large_string())


def _value_type(kind: pa.DataType | None) -> pa.DataType | None:
    return kind.value_type if isinstance(kind, pa.DictionaryType) else kind


def _class_names(schema: pa.Schema, label: str) -> list[str] | None:
    """The names of Hugging Face's ClassLabel, in the order of their numbers."""
    try:
        facts = json.loads((schema.metadata or {})[b"huggingface"])
        names = facts["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        names = None
    return [str(name) for name in names] if isinstance(names, list) else None


def _check_group(metadata: pq.FileMetaData, group: int) -> None:
    """Refuse a row group by what the footer says of it.

    No column chunk is asked: where the footer is damaged, pyarrow ends the process over that.
    """
    facts, fault = metadata.row_group(group), ""
    if not 0 <= facts.num_rows <= MAX_GROUP_ROWS:
        fault = f"{facts.num_rows} rows (expected at most {MAX_GROUP_ROWS})"
    if not 0 <= facts.total_byte_size <= MAX_GROUP_BYTES:
        fault = f"{facts.total_byte_size} bytes (expected at most {MAX_GROUP_BYTES})"
    if fault:
        raise DatabaseError(f"row group {group}: {fault}", hint=_HINT)


def _repeated_bases(table: pq.ParquetFile, path: str, name: str) -> set[str]:
    """The base names that more than one row has; a row group that cannot be read has none."""
    numbers: Counter[str] = Counter()
    for group in range(table.metadata.num_row_groups) if path else ():
        with suppress(DatabaseError):  # comes up again when its images are read
            _check_group(table.metadata, group)
            column = _read_column(table, group, path, name)
            bases = [base_of(text) for text in _texts(column.dictionary)]
            numbers.update(bases[i] for i in column.indices.drop_null().to_pylist())
    return {base for base, number in numbers.items() if number > 1}


def _read_rows(table: pq.ParquetFile, group: int, columns: _Columns, scan: _Scan) -> _Rows:
    labels = _read_column(table, group, columns.label, scan.name)
    is_words = not pa.types.is_integer(labels.dictionary.type)
    words = _texts(labels.dictionary) if is_words else labels.dictionary.to_pylist()
    wnids = [resolve_label(word, columns.classes, scan.resolve) for word in words]
    paths: list[str | None] = [None] * len(labels)
    if columns.path:
        column = _read_column(table, group, columns.path, scan.name)
        texts = _texts(column.dictionary)
        paths = [None if i is None else texts[i] for i in column.indices.to_pylist()]
    lengths: list[int | None] = [0] * len(labels)
    if scan.with_lengths:
        column = _read_column(table, group, columns.image, scan.name)
        lengths = pc.binary_length(column.dictionary).take(column.indices).to_pylist()
    return _Rows(wnids, labels.indices.to_pylist(), lengths, paths)


def _read_column(table: pq.ParquetFile, group: int, column: str, name: str) -> pa.DictionaryArray:
    """A column of a row group, as the values that are in it and an index for each row."""
    head, dot, leaf = column.partition(".")
    try:
        values = table.read_row_group(group, columns=[column], use_threads=False)[head]
        if dot and pa.types.is_struct(values.type):
            values = pc.struct_field(values, leaf)
        if not pa.types.is_dictionary(values.type):
            values = values.dictionary_encode()
        for chunk in values.chunks:  # the indices are the file's own, and no one has checked them
            pc.take(chunk.dictionary.is_valid(), chunk.indices)
        whole = values.unify_dictionaries().combine_chunks()
    except _ARROW_ERRORS as error:
        raise DatabaseError(
            f"{printable(name)}: row group {group} cannot be read ({_first_line(error)})"
        ) from None
    if len(whole) != table.metadata.row_group(group).num_rows:
        raise DatabaseError(f"{printable(name)}: row group {group} has {len(whole)} rows")
    return whole


def _texts(words: pa.Array) -> list[str]:
    """Words of a column, which need not be the UTF-8 that they should be."""
    return [word.decode("utf-8", "replace") for word in words.cast(pa.binary()).to_pylist()]


def _shown(schema: pa.Schema) -> str:
    return ", ".join(f"{printable(field.name)[:40]}: {field.type}"[:80] for field in schema)[:300]


def _first_line(error: Exception) -> str:
    return printable((str(error).splitlines() or [type(error).__name__])[0])[:200]
