"""The images as pages show them: small JPEGs, made once and kept on disk.

Nothing is kept for good: an image that was removed or hidden is not shown from then on, and its
files go with the next request for any image; beyond `MAX_BYTES` the oldest go. The original is in
the downloads alone.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import time
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from imagetree.database import ImageReader
from imagetree.database.counting import current_revision
from imagetree.database.journal import sources
from imagetree.database.showing import shown_ids
from imagetree.errors import DatabaseError, ImagetreeError
from imagetree.files import write_atomic
from imagetree.sources.shrinking import encode_small_jpeg
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from imagetree.database import Database, ImageRow, SourceRow

SIZES = {"thumb": 240, "view": 1024}
"""Pixels of the longer side."""

MAX_BYTES = 256 << 20
"""Of all kept files, some 25,000; looked at by each process when it has written enough to pass it.
All are looked through after each change of the database, which takes a second for so many."""

LOOK_SECONDS = 1.0
"""After which the sources are looked at again."""

_KEPT_SHARE = 0.8  # of MAX_BYTES, once it is passed
_MAKERS = 2  # at a time: decoding takes memory
_VERSION = "1"  # of how they are made
_KEY = re.compile(r"(n[0-9]{8})(?:/([^\0]+)|_[^\0]+)")
_FILE = re.compile(r"([0-9]+)-[0-9a-f]{16}-[a-z]+\.jpg")
_log = logging.getLogger(__name__)


class _Kept(NamedTuple):
    """A file that is kept."""

    image_id: int
    path: str
    size: int
    changed: float


def key_of(image: ImageRow) -> str:
    """What an image is called in addresses: its name, after its synset where that is not in it.

    >>> from imagetree.database import ImageRow
    >>> key_of(ImageRow(1, "n02084071", "n02084071_10", 1, 0, 9, None))
    'n02084071_10'
    >>> key_of(ImageRow(1, "n02084071", "val_17", 1, 0, 9, None))
    'n02084071/val_17'
    """
    is_own = image.name.startswith(f"{image.wnid}_")
    return image.name if is_own else f"{image.wnid}/{image.name}"


def parse_key(text: str) -> tuple[str, str] | None:
    """Synset and name of what `key_of` gives; None for anything else.

    >>> parse_key("n02084071_10"), parse_key("n02084071/val_17"), parse_key("val_17")
    (('n02084071', 'n02084071_10'), ('n02084071', 'val_17'), None)
    """
    found = _KEY.fullmatch(text)
    return (found[1], found[2] or text) if found else None


def path_of(image: ImageRow) -> str:
    """Address of an image's page."""
    return f"/image/{quote(key_of(image))}"


class Thumbnails:
    """Small JPEGs of a database's images.

    Args:
        database: whose.
        folder: where they are kept; None for `default_folder`.
        max_bytes: of all kept files.
    """

    def __init__(
        self, database: Database, folder: Path | None = None, max_bytes: int = MAX_BYTES
    ) -> None:
        self._database = database
        self._folder = folder or default_folder(database)
        self._max_bytes = max_bytes
        self._bytes = 0
        self._swept: int | None = None
        self._sweeping, self._opening = Lock(), Lock()
        self.making = BoundedSemaphore(_MAKERS)
        """Held while an image is decoded: a few at a time, as it takes memory."""
        self._reader = ImageReader(())
        self._readers = [self._reader]
        self._sources: dict[int, SourceRow] = {}
        self._known: int | None = None
        self._looked = 0.0

    def close(self) -> None:
        """Close the images' archives."""
        for reader in self._readers:
            reader.close()

    def describe(self, images: Iterable[ImageRow]) -> list[dict[str, Any]]:
        """Images in a list: the name, synset, words and addresses of each."""
        self._follow(current_revision(self._database))
        return [
            {
                "name": image.name,
                "key": key_of(image),
                "wnid": image.wnid,
                "words": load_nouns().synset(image.wnid).words,
                "path": (path := path_of(image)),
                "thumb": f"{path}/thumb?v={self._version(image)}",
            }
            for image in images
        ]

    def version(self, image: ImageRow) -> str:
        """Changes when the bytes of an image do; 16 hexadecimal digits."""
        self._follow(current_revision(self._database))
        return self._version(image)

    def source(self, image: ImageRow) -> SourceRow:
        """Where an image lies."""
        self._follow(current_revision(self._database))
        return self._source(image)

    def read(self, image: ImageRow) -> bytes:
        """The file of an image.

        Raises:
            DatabaseError: it lies on the web, from where nothing is fetched for a page; or its
                source is missing or was changed.
        """
        if image.path is not None and "://" in image.path:
            raise DatabaseError("it lies on the web, and nothing is fetched from there for a page")
        self._follow(current_revision(self._database))
        return self._reader.read(image)

    def get(self, image: ImageRow, size: str) -> bytes:
        """A JPEG of an image that may be shown, from the disk if it was made before.

        Args:
            image: asked of the database a moment ago.
            size: one of SIZES.

        Raises:
            DatabaseError: the image cannot be read or decoded.
        """
        revision = current_revision(self._database)
        self._follow(revision)
        self._sweep_if_needed(revision)
        name = f"{image.id}-{self._version(image)}-{size}.jpg"
        path = self._folder / f"{image.id % 1000:03d}" / name
        try:
            return path.read_bytes()
        except OSError:
            with self.making:
                data = encode_small_jpeg(self.read(image), SIZES[size])
        self._keep(path, data)
        if current_revision(self._database) != revision:
            self._swept = None  # it may have been removed before its file was there
        return data

    def _version(self, image: ImageRow) -> str:
        source = self._source(image)
        state = source.version or source.imported_at  # a folder of images has no version
        place = (_VERSION, source.location, state, source.size_bytes, *image[4:])
        return hashlib.sha256(repr(place).encode()).hexdigest()[:16]

    def _source(self, image: ImageRow) -> SourceRow:
        try:
            return self._sources[image.source_id]
        except KeyError:
            raise DatabaseError(f"no source has the id {image.source_id}") from None

    def _follow(self, revision: int) -> None:
        """Know the sources as they are: one that was imported again has other bytes.

        That alone changes no count and so no revision; the sources are looked at once a second.
        """
        with self._opening:
            now = time.monotonic()
            if revision == self._known and now - self._looked < LOOK_SECONDS:
                return
            rows = {row.id: row for row in sources(self._database)}
            places = [
                {key: (row.location, row.size_bytes, row.version) for key, row in each.items()}
                for each in (rows, self._sources)
            ]
            if places[0] != places[1]:
                self._reader = ImageReader(rows.values())  # others may be reading with the old one
                self._readers.append(self._reader)
            self._sources, self._known, self._looked = rows, revision, now

    def _keep(self, path: Path, data: bytes) -> None:
        try:
            write_atomic(path, data)
        except ImagetreeError as error:  # a full or read-only disk: they are made each time
            _log.warning("a thumbnail was not kept: %s", error.message)
        else:
            self._bytes += len(data)

    def _sweep_if_needed(self, revision: int) -> None:
        if revision == self._swept and self._bytes <= self._max_bytes:
            return
        if self._sweeping.acquire(blocking=False):
            try:
                self._sweep()
                self._swept = revision
            finally:
                self._sweeping.release()

    def _sweep(self) -> None:
        """Delete files of images that may not be shown, and the oldest of too many."""
        kept = sorted(self._iter_kept(), key=lambda each: (each.changed, each.path))
        shown = shown_ids(self._database, {each.image_id for each in kept})
        total = sum(each.size for each in kept if each.image_id in shown)
        wanted = self._max_bytes * _KEPT_SHARE if total > self._max_bytes else self._max_bytes
        for each in kept:
            is_shown = each.image_id in shown
            if not is_shown or total > wanted:
                Path(each.path).unlink(missing_ok=True)  # another process may be quicker
                total -= each.size if is_shown else 0
        self._bytes = total

    def _iter_kept(self) -> Iterator[_Kept]:
        if not self._folder.is_dir():
            return
        for folder in self._folder.iterdir():
            with os.scandir(folder) as entries:
                for entry in entries:
                    if found := _FILE.fullmatch(entry.name):
                        status = entry.stat()
                        yield _Kept(int(found[1]), entry.path, status.st_size, status.st_mtime)


def default_folder(database: Database) -> Path:
    """Beside an SQLite file; for a server, `imagetree/` in the user's XDG_CACHE_HOME."""
    url = database.engine.url
    if url.get_backend_name() == "sqlite":
        file = Path(str(url.database)).absolute()
        return file.with_name(f"{file.name}.thumbnails")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "imagetree" / hashlib.sha256(str(url).encode()).hexdigest()[:16]
