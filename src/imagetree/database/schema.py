"""The tables of the image database, the same on SQLite and PostgreSQL.

Only tables stand here; every SELECT is in `queries`. A row of `images` is kept small, because there
may be fourteen million: a synset is its eight digits, and a name has no ending.
"""

from __future__ import annotations

from enum import IntEnum

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
)

SCHEMA_VERSION = 1
FORMAT = "imagetree database"


class State(IntEnum):
    """What may be done with an image; only `OK` ones are counted, shown and trained on."""

    OK = 0
    QUARANTINED = 1  # found bad when it was decoded
    REMOVED = 2  # taken down; stays so when its source is imported again


metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True),  # "format" and "schema_version"
    Column("value", String, nullable=False),
)

sources = Table(
    "sources",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("path", String, nullable=False, unique=True),  # absolute
    Column("kind", String, nullable=False),  # a SourceKind
    Column("size_bytes", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("labels_path", String),
    Column("labels_sha256", String),
    Column("imported_at", String, nullable=False),  # UTC, ISO 8601
)

images = Table(
    "images",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source_id", Integer, ForeignKey("sources.id"), nullable=False),
    Column("synset", Integer, nullable=False),  # the digits of the wnid
    Column("name", String, nullable=False),
    Column("offset", BigInteger, nullable=False),  # 0 in a folder
    Column("length", Integer, nullable=False),
    Column("path", String),  # below the folder; NULL in an archive
    Column("state", SmallInteger, nullable=False),  # a State
    UniqueConstraint("synset", "name"),  # also the index by which a synset's images are found
)

synset_counts = Table(
    "synset_counts",
    metadata,
    Column("synset", Integer, primary_key=True, autoincrement=False),
    Column("num_images", Integer, nullable=False),  # in state OK, its own only
)

problems = Table(
    "problems",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source_id", Integer, ForeignKey("sources.id"), nullable=False),
    # NULL where the item was never imported; set where an image was found bad later
    Column("image_id", Integer, ForeignKey("images.id", ondelete="CASCADE"), index=True),
    Column("item", String, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("reason", String, nullable=False),
    Column("seen_at", String, nullable=False),  # UTC, ISO 8601
)


def synset_of(wnid: str) -> int:
    """The number a wnid is stored as.

    >>> synset_of("n02084071")
    2084071
    """
    return int(wnid[1:])


def wnid_of(synset: int) -> str:
    """The wnid of a stored number.

    >>> wnid_of(2084071)
    'n02084071'
    """
    return f"n{synset:08d}"
