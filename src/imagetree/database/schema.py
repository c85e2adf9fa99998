"""The tables of the image database, the same on SQLite and PostgreSQL.

Only tables stand here; every SELECT is in `queries` and its neighbours. A row of `images` is kept
small, because there may be fourteen million: a synset is its eight digits, and a name has neither
its ending nor the wnid before it. The steps from an older schema are in `imagetree.migrations`.
"""

from __future__ import annotations

from enum import IntEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
)

REVISION = "0002"
"""The newest step of `imagetree.migrations`, which these tables are."""
FORMAT = "imagetree database"


class State(IntEnum):
    """What may be done with an image; only `OK` ones are counted, shown and trained on."""

    OK = 0
    QUARANTINED = 1  # found bad when it was decoded, a duplicate, or voted out
    REMOVED = 2  # taken down; stays so when its source is imported again


# Sorted by bytes on every engine, so that a page begins at the same image on each.
Name = String().with_variant(String(collation="C"), "postgresql")

metadata = MetaData()

alembic_version = Table(
    "alembic_version", metadata, Column("version_num", String(32), primary_key=True)
)

meta = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True),  # "format" and "revision"
    Column("value", String, nullable=False),
)

sources = Table(
    "sources",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("location", String, nullable=False, unique=True),  # absolute path, or URL
    Column("container", String, nullable=False),  # a ContainerKind: how its images are read
    Column("layout", String, nullable=False),  # a Layout: how it says what they show
    Column("size_bytes", BigInteger, nullable=False),
    Column("version", String, nullable=False),  # of its bytes: time of change in ns, or ETag
    Column("labels_path", String),
    Column("labels_sha256", String),
    Column("imported_at", String, nullable=False),  # UTC, ISO 8601
    Column("resume_at", String),  # where an import that was broken off goes on; NULL when done
)

images = Table(
    "images",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source_id", Integer, ForeignKey("sources.id"), nullable=False),
    Column("synset", Integer, nullable=False),  # the digits of the wnid
    Column("name", Name, nullable=False),  # see `stored_name`
    Column("offset", BigInteger, nullable=False),  # 0 for a whole file; in parquet the row
    Column("length", Integer, nullable=False),  # 0 where it is not known before it is read
    Column("path", String),  # below a folder, or URL; NULL where the source is the file
    Column("state", SmallInteger, nullable=False),  # a State
    UniqueConstraint("synset", "name"),  # also the index by which a synset's images are found
)

synset_counts = Table(
    "synset_counts",
    metadata,
    Column("synset", Integer, primary_key=True, autoincrement=False),
    Column("num_images", Integer, nullable=False),  # in state OK, its own only
    Column("num_quarantined", Integer, nullable=False),
    Column("num_removed", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),  # of those in state OK
)

problems = Table(
    "problems",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source_id", Integer, ForeignKey("sources.id"), nullable=False),
    # NULL where the item was never imported; set where an image was set aside later
    Column("image_id", Integer, ForeignKey("images.id", ondelete="CASCADE"), index=True),
    Column("item", String, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("reason", String, nullable=False),
    Column("seen_at", String, nullable=False),  # UTC, ISO 8601
)

image_facts = Table(  # of an image that was read and decoded
    "image_facts",
    metadata,
    Column("image_id", Integer, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("format", String, nullable=False),  # by content: JPEG, PNG, ...
    Column("width", Integer, nullable=False),  # pixels, as stored in the file
    Column("height", Integer, nullable=False),
    Column("sha256", LargeBinary(32), nullable=False),
    Column("phash", BigInteger),  # perceptual hash, 64 bits as a signed number
    Column("traits", SmallInteger, nullable=False),  # bits of a Trait
)

votes = Table(
    "votes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("image_id", Integer, ForeignKey("images.id", ondelete="CASCADE"), nullable=False),
    Column("voter", String, nullable=False),
    Column("is_match", Boolean, nullable=False),  # the image shows its synset
    Column("voted_at", String, nullable=False),  # UTC, ISO 8601
    UniqueConstraint("image_id", "voter"),
)

gold = Table(  # images whose truth is known, by which voters are judged
    "gold",
    metadata,
    Column("image_id", Integer, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("is_match", Boolean, nullable=False),
)

hidden_synsets = Table(
    "hidden_synsets",
    metadata,
    Column("synset", Integer, primary_key=True, autoincrement=False),
    Column("subtree", Boolean, nullable=False),  # all below it are hidden too
    Column("reason", String, nullable=False),
    Column("hidden_at", String, nullable=False),  # UTC, ISO 8601
)

releases = Table(
    "releases",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("created_at", String, nullable=False),  # UTC, ISO 8601
    Column("num_images", Integer, nullable=False),
    Column("num_synsets", Integer, nullable=False),
    Column("sha256", String, nullable=False),  # of all its synsets' digests
)

release_synsets = Table(
    "release_synsets",
    metadata,
    Column("release_id", Integer, ForeignKey("releases.id"), primary_key=True),
    Column("synset", Integer, primary_key=True, autoincrement=False),
    Column("num_images", Integer, nullable=False),
    Column("sha256", LargeBinary(32), nullable=False),  # of its names
    Column("names", LargeBinary, nullable=False),  # sorted, a line each, compressed by zlib
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


def stored_name(name: str, wnid: str) -> str:
    """A name as it is stored: without the wnid that ImageNet's names begin with.

    >>> stored_name("n02084071_17", "n02084071"), stored_name("val_17", "n02084071")
    ('_17', 'val_17')
    """
    return name[9:] if name.startswith(f"{wnid}_") else name


def full_name(stored: str, wnid: str) -> str:
    """A name as it is shown; the other way of `stored_name`.

    >>> full_name("_17", "n02084071"), full_name("val_17", "n02084071")
    ('n02084071_17', 'val_17')
    """
    return wnid + stored if stored.startswith("_") else stored
