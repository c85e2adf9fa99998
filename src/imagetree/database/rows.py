"""Rows of images and of sources, as other processes are given them; SQLAlchemy is not loaded here.

Processes that only read images begin in half the time without it.
"""

from __future__ import annotations

from typing import NamedTuple


class ImageRow(NamedTuple):
    """An image of the database and where it lies.

    Args:
        id: its number in the database.
        wnid: its synset.
        name: without ending, one of its kind within the synset.
        source_id: the source that it lies in; see `SourceRow`.
        offset: of its first byte in its file; in parquet its row.
        length: in bytes; 0 where it is not known before it is read.
        path: of its file below the source, or its URL; None where the source is that file.
    """

    id: int
    wnid: str
    name: str
    source_id: int
    offset: int
    length: int
    path: str | None


class SourceRow(NamedTuple):
    """An imported source.

    Args:
        id: its number in the database.
        location: absolute path, or URL.
        container: how its images are read; a ContainerKind.
        layout: how it says what they show; a Layout.
        size_bytes: of an archive, table or list; 0 for a folder of images.
        version: of its bytes, see `sources.places`; empty for a folder of images.
        labels_path: of the labels or the mapping it was imported with.
        labels_sha256: of that file.
        imported_at: UTC, ISO 8601; when it last changed the database.
        resume_at: where its import goes on; None when it was imported whole.
    """

    id: int
    location: str
    container: str
    layout: str
    size_bytes: int
    version: str
    labels_path: str | None
    labels_sha256: str | None
    imported_at: str
    resume_at: str | None
