"""Lists of images, one on a line: the path or URL of each, and its label.

CSV (quoted as in RFC 4180), text parted by tabs (no quotes, as IANA's text/tab-separated-values has
it), or JSON objects a line. Columns are known by their names, in a file without names by what is in
them. In ImageNet's own lists, `n01440764_10026<TAB>http://...`, the wnid is in the name. Nothing is
opened that a list names, and a line that cannot be used is set aside with its number.

A list may have ImageNet's fourteen million lines: it is read once, in blocks, by Python's own csv
and json, and one regular expression passes what is beyond doubt.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast

from imagetree.errors import DatabaseError
from imagetree.sources.entries import (
    IMAGE_SUFFIXES,
    FoundImage,
    SetAside,
    base_of,
    fault_of_base,
    stem_of,
)
from imagetree.sources.numbering import unnamed_numbering
from imagetree.sources.tarscan import fault_of_name, printable
from imagetree.sources.webdataset import number_of, resolve_label

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from imagetree.sources.entries import Resolve

LISTING_SUFFIXES = frozenset({"csv", "tsv", "txt", "jsonl", "ndjson"})
PATH_COLUMNS = ("path", "file", "filename", "file_name", "image", "image_path", "url")
LABEL_COLUMNS = ("wnid", "synset", "label", "class", "class_name")
NAME_COLUMNS = ("name",)
MAX_LINE_BYTES = 1 << 20
MAX_URL_LENGTH = 2048
MAX_NAME_LENGTH = 200

_BLOCK = 1 << 20
_BATCH = 10_000
_SAMPLE = 100  # lines by which the columns are found
_MAX_LABELS_KEPT = 1 << 16
_FAULT = "\0"
_TOO_LONG = f"{_FAULT}line of more than {MAX_LINE_BYTES} bytes"  # stands for such a line
_EXAMPLE = "expected a first line `path,wnid` and lines such as `dogs/17.jpg,n02084071`"
_NOT_TEXT = {b"PAR1": "Parquet", b"\x1f\x8b": "gzip", b"PK\3\4": "zip", b"\xff\xfe": "UTF-16"}

_IMAGENET_NAME = re.compile(r"n\d{8}_\w+", re.ASCII)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_URL = re.compile(r"(?:https?|s3)://([^\s/?#\\]+)(?:[/?#]|$)", re.IGNORECASE)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][\w -]{0,150}", re.ASCII)
_PLAIN_PLACE = re.compile(
    r"(?=.{1,999}$)(?:(?:https?|s3)://[\w.-]++/)?+"
    r"(?:[\w~%+,()-][\w.~%+,() -]*+/)*+"
    r"([\w~%+,()-][\w.~%+,() -]{0,150})\.(?:JPEG|jpe?g|JPG|png|webp|gif|bmp)",
    re.ASCII,
)
"""A path or URL that is beyond doubt; its group is the name of the image."""


class ListingBatch(NamedTuple):
    """Images of some lines, the same lines each time: column by column, in the list's order."""

    wnids: list[str]
    names: list[str]
    paths: list[str]  # below the list's folder, or a URL
    set_aside: list[SetAside]
    done_bytes: int = 0  # how much of the list has been read


class _Columns(NamedTuple):  # which field of a line is what
    path: int
    label: int | None  # None where the name begins with the wnid
    name: int | None
    number: int
    has_header: bool


_LookUp = Callable[[str], tuple[str, str]]
_Rows = Iterator[tuple[int, list[str]]]
"""The number of a line, from 1, and its fields; `_FAULT` and why in place of those of no row."""


def scan_listing(
    path: Path,
    resolve: Resolve,
    *,
    root: Path | None = None,
    classes: Sequence[str] | None = None,
) -> Iterator[FoundImage | SetAside]:
    """The images of a list, and what is set aside; see `scan_listing_batches`."""
    for batch in scan_listing_batches(path, resolve, root=root, classes=classes):
        for wnid, name, place in zip(batch.wnids, batch.names, batch.paths, strict=True):
            yield FoundImage(name, wnid, 0, 0, place)
        yield from batch.set_aside


def scan_listing_batches(
    path: Path,
    resolve: Resolve,
    *,
    root: Path | None = None,
    classes: Sequence[str] | None = None,
) -> Iterator[ListingBatch]:
    """The images of a list, ten thousand lines at a time.

    An image is named by the column `name`, else by the base name of its path or URL; by a hash of a
    URL that does not end like an image. Two paths of one synset may give the same name: which one
    stays is the importer's choice.

    Args:
        path: of the list.
        resolve: the synset of a label; asked once for each.
        root: the folder that paths are relative to; None for the list's own.
        classes: labels in the order of their numbers, from 0, where the labels are numbers.

    Raises:
        DatabaseError: the list cannot be read, is no text, has no columns of paths and labels, or
            has numbers for labels and `classes` are not given.
    """
    root = path.parent if root is None else root
    roots = (f"{root.absolute()}/", f"{root.resolve()}/")
    look_up = partial(resolve_label, classes=classes, resolve=resolve)
    try:
        with path.open("rb", buffering=0) as file:
            iter_rows, columns = _find_form(file.read(_BLOCK), path, look_up)
            file.seek(0)
            rows = iter_rows(_iter_lines(file))
            if columns.has_header:
                next(rows)
            taker = _Taker(printable(path.name), columns, roots, look_up)
            for first in rows:
                batch = taker.take(chain([first], islice(rows, _BATCH - 1)))
                yield batch._replace(done_bytes=file.tell())
    except OSError as error:
        raise DatabaseError(f"{path}: the list cannot be read ({error.strerror})") from error


def judge_place(place: str, roots: Sequence[str] = ()) -> tuple[str, str, str]:
    """A path or URL as it is stored, the name of its image, and why it is refused.

    Args:
        place: as a list has it.
        roots: beginnings of absolute paths that are taken off.

    Returns:
        Three texts; where the last is not empty the first two are.

    >>> judge_place("./dogs//17.jpg"), judge_place("file:///etc/passwd.png")[2][:13]
    (('dogs/17.jpg', '17', ''), "scheme 'file:")
    """
    if _SCHEME.match(place) or "://" in place:
        return _judge_url(place)
    for root in roots:
        place = place.removeprefix(root)
    fault = fault_of_name(place) if place else "no path"
    if place.startswith("/"):
        fault = "absolute path outside of the list's folder"
    place = "/".join(part for part in place.split("/") if part not in {"", "."})
    base = base_of(place)
    fault = fault or fault_of_base(base)
    if not fault and len(base) > MAX_NAME_LENGTH:
        fault = f"name of {len(base)} characters (expected at most {MAX_NAME_LENGTH})"
    return ("", "", fault) if fault else (place, stem_of(base), "")


def _judge_url(url: str) -> tuple[str, str, str]:
    found = _URL.match(url)
    fault = ""
    if len(url) > MAX_URL_LENGTH:
        fault = f"URL of {len(url)} characters (expected at most {MAX_URL_LENGTH})"
    elif not url.isprintable():
        fault = "URL holds control characters or is not UTF-8"
    elif found is None:
        scheme = url.partition(":")[0][:20]
        fault = f"scheme '{scheme}:' or no host (expected a path, or http, https or s3)"
    elif "@" in found[1]:
        fault = "URL holds credentials"
    elif "::" in url:  # fsspec would open what follows, whatever its scheme
        fault = "URL holds '::', which chains file systems"
    if fault or found is None:
        return "", "", fault
    base = base_of(url)
    is_plain = base != found[1] and not {"?", "#"} & {*base} and len(base) <= MAX_NAME_LENGTH
    if not is_plain or fault_of_base(base):
        return url, hashlib.sha256(url.encode()).hexdigest()[:16], ""
    return url, stem_of(base), ""


@dataclass
class _Taker:
    """Makes images of rows."""

    item: str
    columns: _Columns
    roots: Sequence[str]
    look_up: _LookUp
    known: dict[str, tuple[str, str]] = field(default_factory=dict)

    def take(self, rows: _Rows) -> ListingBatch:
        """The images of some rows; a loop without calls, because of its fourteen million turns."""
        batch = ListingBatch([], [], [], [])
        at_path, at_label, at_name, number, _ = self.columns
        known, plain_place, plain_name = self.known, _PLAIN_PLACE.fullmatch, _PLAIN_NAME.fullmatch
        for line, row in rows:
            if len(row) != number:
                if fault := _fault_of_row(row, number):
                    batch.set_aside.append(SetAside(f"{self.item}:{line}", 0, fault))
                continue
            place, name = row[at_path], "" if at_name is None else row[at_name]
            label = name[:9] if at_label is None else row[at_label]
            wnid, fault = known.get(label) or self._resolve(label)
            match = plain_place(place)
            if match:
                stem = match[1]
            elif not fault:
                place, stem, fault = judge_place(place.strip(), self.roots)
            if name and not fault:
                stem, fault = (name, "") if plain_name(name) else _judge_name(name)
            if fault:
                batch.set_aside.append(SetAside(f"{self.item}:{line}", 0, fault))
                continue
            batch.wnids.append(wnid)
            prefix = wnid + "_"
            is_whole = name or stem.startswith(prefix)
            batch.names.append(stem if is_whole and stem[0] != "_" else prefix + stem)
            batch.paths.append(place)
        return batch

    def _resolve(self, label: str) -> tuple[str, str]:
        """The synset of a label that was not met before, and why it has none."""
        found = self.look_up(label) if label.strip() else ("", "no label")
        if len(label) <= MAX_NAME_LENGTH:
            if len(self.known) >= _MAX_LABELS_KEPT:
                self.known.clear()
            self.known[label] = found
        return found


def _judge_name(name: str) -> tuple[str, str]:
    """A name without its ending, and why it is refused."""
    stem, _, suffix = name.strip().rpartition(".")
    stem = stem if stem and suffix.lower() in IMAGE_SUFFIXES else name.strip()
    if "/" in stem or "\\" in stem or len(stem) > MAX_NAME_LENGTH:
        return "", f"name {printable(stem[:40])!r} holds a slash or is too long"
    return stem, fault_of_name(stem)


def _fault_of_row(row: list[str], number: int) -> str:
    """Why a line is no row; empty for a blank one."""
    if row[0].startswith(_FAULT):
        return printable(row[0][1:])
    return f"{len(row)} columns (expected {number})" if len(row) > 1 or row[0].strip() else ""


def _iter_lines(file: IO[bytes]) -> Iterator[str]:
    """The lines of a file with their ends; of one without end no more than two blocks are held."""
    tail, is_skipping = b"", False
    data = file.read(_BLOCK).removeprefix(b"\xef\xbb\xbf")
    while data:
        end = data.rfind(b"\n") + 1
        if is_skipping:
            start = data.find(b"\n") + 1
            data, end = data[start:], end - start
            if start:
                is_skipping = False
                yield _TOO_LONG + "\n"
            else:
                data = b""
        yield from io.StringIO(data[:end].decode("utf-8", "surrogateescape"), newline="\n")
        tail = data[end:]
        if len(tail) > MAX_LINE_BYTES:
            tail, is_skipping = b"", True
        block = file.read(_BLOCK)
        data = tail + block if block else b""
    if is_skipping:
        yield _TOO_LONG
    elif tail:
        yield tail.decode("utf-8", "surrogateescape")


def _csv_rows(lines: Iterable[str], *, delimiter: str, quoting: Any) -> _Rows:
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting)
    line = 1
    while True:
        try:
            for row in reader:
                if row:
                    yield line, row
                line = reader.line_num + 1
            return
        except csv.Error as error:
            reason = f"{error}; what follows up to line {reader.line_num} was not read"
            yield line, [_FAULT + reason]
            line = reader.line_num + 1


def _json_rows(lines: Iterable[str], *, keys: Sequence[str]) -> _Rows:
    """Values of some keys; a missing one is an empty text."""
    decode = json.JSONDecoder().raw_decode
    for number, line in enumerate(lines, 1):
        text = line.strip()
        try:
            value, end = decode(text)
        except (ValueError, RecursionError):
            value, end = None, 0
        if end < len(text) or not isinstance(value, dict):
            yield number, [text if text in {"", _TOO_LONG} else _FAULT + "no JSON object"]
            continue
        fields = [*map(value.get, keys)]
        if set(map(type, fields)) != {str}:
            fields = [str(field) if type(field) in {str, int} else "" for field in fields]
        yield number, cast("list[str]", fields)


def _find_form(
    head: bytes, path: Path, look_up: _LookUp
) -> tuple[Callable[[Iterable[str]], _Rows], _Columns]:
    """How a list is parsed, and its columns, by its first lines."""
    kind = next((kind for magic, kind in _NOT_TEXT.items() if head.startswith(magic)), "")
    if kind or 20 * head.count(0) > len(head):
        raise DatabaseError(f"{path}: no UTF-8 text ({kind or 'full of zeros'}; {_EXAMPLE})")
    lines = [line for line in _iter_lines(io.BytesIO(head)) if line.strip()]
    first = lines[0] if lines else ""
    keys = _keys_of(lines[:_SAMPLE]) if first.lstrip().startswith("{") else []
    if keys:
        iter_rows = partial(_json_rows, keys=keys)
    elif "\t" in first:
        iter_rows = partial(_csv_rows, delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        iter_rows = partial(_csv_rows, delimiter=",", quoting=csv.QUOTE_MINIMAL)
    rows = [row for _, row in islice(iter_rows(lines), _SAMPLE)]
    columns = _columns_by_name(keys or next(iter(rows), []), not keys)
    columns = columns or _columns_by_content(rows, look_up)
    if columns is None:
        raise DatabaseError(
            f"{path}: no columns of paths and labels ({_EXAMPLE}; got {printable(first[:80])!r})",
            hint="name the columns in a first line: path or url, and wnid or label",
        )
    at = columns.label
    labels = [row[at] for row in rows[columns.has_header :] if at is not None and len(row) > at]
    if labels and not any(number_of(label) is None or look_up(label)[0] for label in labels):
        raise unnamed_numbering(f"{path}")
    return iter_rows, columns


def _keys_of(lines: Iterable[str]) -> list[str]:
    """The keys of JSON objects for path, label and name, as far as there are any."""
    found: dict[str, str] = {}
    for line in lines:
        with suppress(ValueError, RecursionError):
            value = json.loads(line)
            if isinstance(value, dict):
                found |= {key.lower(): key for key in value}
    wanted = (PATH_COLUMNS, LABEL_COLUMNS, NAME_COLUMNS)
    first = (next((found[name] for name in names if name in found), "") for names in wanted)
    return [key for key in first if key]


def _columns_by_name(header: Sequence[str], has_header: bool) -> _Columns | None:
    lower = [name.strip().lower() for name in header]

    def find(names: Sequence[str]) -> int | None:
        return next((lower.index(name) for name in names if name in lower), None)

    path, label, name = find(PATH_COLUMNS), find(LABEL_COLUMNS), find(NAME_COLUMNS)
    if path is None or (label is None and name is None):
        return None
    return _Columns(path, label, name, len(lower), has_header)


def _columns_by_content(rows: Sequence[Sequence[str]], look_up: _LookUp) -> _Columns | None:
    """The columns of which most fields are labels, or paths and URLs, or ImageNet's names."""
    [(number, _)] = Counter(map(len, rows)).most_common(1) or [(0, 0)]
    rows = [row for row in rows if len(row) == number]

    def find(is_it: Callable[[str], object]) -> int | None:
        shares = [sum(bool(is_it(row[at].strip())) for row in rows) for at in range(number)]
        return shares.index(max(shares)) if 2 * max(shares, default=0) > len(rows) else None

    path = find(lambda text: _URL.match(text) or not fault_of_base(base_of(text)))
    label, name = find(lambda text: look_up(text)[0]), find(_IMAGENET_NAME.fullmatch)
    if path is None or (label is None and name is None):
        return None
    return _Columns(path, label, name, number, has_header=False)
