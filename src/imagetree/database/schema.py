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
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
)

REVISION = "0007"
"""The newest step of `imagetree.migrations`, which these tables are."""
FORMAT = "imagetree database"


class State(IntEnum):
    """What may be done with an image; only `OK` ones are counted, shown and trained on."""

    OK = 0
    QUARANTINED = 1  # found bad when it was decoded, a duplicate, or voted out
    REMOVED = 2  # taken down; stays so when its source is imported again
    SEALED = 3  # of the test of a challenge: what class it has would be told by where it is shown


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
    Column("num_sealed", Integer, nullable=False, server_default="0"),
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

teams = Table(
    "teams",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Name, nullable=False),
    Column("key", Name, nullable=False, unique=True),  # the name without its case and form
    Column("members", String, nullable=False),
    Column("account_id", Integer),  # of the site that keeps accounts; NULL where there is none
    Column("created_at", String, nullable=False),  # UTC, ISO 8601
)

leaderboards = Table(
    "leaderboards",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Name, nullable=False, unique=True),
    Column("title", String, nullable=False),
    Column("challenge", String, nullable=False),  # absolute path of its folder
    Column("version", String, nullable=False),  # of the challenge; it never changes
    Column("split", String, nullable=False),
    Column("num_images", Integer, nullable=False),  # in the split
    Column("num_classes", Integer, nullable=False),
    Column("entries_folder", String, nullable=False),  # absolute path, where files are kept
    Column("weekly_limit", Integer, nullable=False),  # entries of a team in seven days
    Column("rank_k", Integer, nullable=False),  # guesses that count for the rank
    Column("shows_classes", Boolean, nullable=False),  # figures by class before it is closed
    Column("opened_at", String, nullable=False),  # UTC, ISO 8601
    Column("closed_at", String),  # NULL while it is open
)

entries = Table(
    "entries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("board_id", Integer, ForeignKey("leaderboards.id"), nullable=False),
    Column("team_id", Integer, ForeignKey("teams.id"), nullable=False),
    Column("title", String, nullable=False),
    Column("description", String, nullable=False),
    Column("method", String, nullable=False),
    Column("uses_extra_data", Boolean, nullable=False),
    Column("who", String, nullable=False),
    Column("submitted_at", String, nullable=False),  # UTC, ISO 8601
    Column("file_name", String, nullable=False),  # as it was sent
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", String, nullable=False),  # of the file, and its name where it is kept
    Column("format", String, nullable=False),  # that it was read in
    Column("labels", String),  # a kind of labels it was read with; NULL for the file's own
    Column("equal_to", Integer, ForeignKey("entries.id")),  # the first entry of the same bytes
    Column("withdrawn_at", String),  # UTC, ISO 8601; NULL while it stands
    # also the index by which the entries of a board, and of a team on it, are found
    UniqueConstraint("board_id", "team_id", "sha256"),
)

entry_scores = Table(  # of an entry at k guesses; the newest row counts, older ones are kept
    "entry_scores",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("entry_id", Integer, ForeignKey("entries.id"), nullable=False, index=True),
    Column("k", SmallInteger, nullable=False),
    Column("num_misses", Integer, nullable=False),
    Column("error", Double, nullable=False),
    Column("error_low", Double, nullable=False),
    Column("error_high", Double, nullable=False),
    Column("hierarchical_error", Double, nullable=False),  # levels
    Column("hierarchical_low", Double, nullable=False),
    Column("hierarchical_high", Double, nullable=False),
    Column("misses", LargeBinary, nullable=False),  # a bit for each image; never shown
    Column("scorer", String, nullable=False),  # the version that computed it
    Column("scored_at", String, nullable=False),  # UTC, ISO 8601
)

leaderboard_log = Table(  # what was done, by whom; rows are never changed
    "leaderboard_log",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", String, nullable=False),  # UTC, ISO 8601
    Column("board_id", Integer, ForeignKey("leaderboards.id"), index=True),
    Column("team_id", Integer, ForeignKey("teams.id")),
    Column("entry_id", Integer, ForeignKey("entries.id")),
    Column("who", String, nullable=False),
    Column("action", String, nullable=False),  # an Action
    Column("note", String, nullable=False),
)


news = Table(  # announcements; a row is never deleted, so that its number is never used again
    "news",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uuid", String, nullable=False, unique=True),  # its permanent name in feeds
    Column("title", String, nullable=False),
    Column("text", String, nullable=False),  # plain; a blank line parts paragraphs
    Column("author", String, nullable=False),
    Column("posted_at", String, nullable=False),  # UTC, ISO 8601
    Column("updated_at", String, nullable=False),  # UTC, ISO 8601
    Column("withdrawn_at", String),  # UTC, ISO 8601; NULL while it is shown
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Name, nullable=False),
    Column("key", Name, nullable=False, unique=True),  # names that read as the same share it
    Column("email", String, unique=True),  # in lower case; NULL where none was told
    Column("password", String),  # Argon2id's text; NULL once the account is deleted
    Column("role", String, nullable=False),
    Column("created_at", String, nullable=False),  # UTC, ISO 8601, as all times here
    Column("disabled_at", String),
    Column("terms", String),  # the version of the terms that was accepted
    Column("terms_at", String),
)

account_keys = Table(  # what opens an account besides its password; only hashes are kept
    "account_keys",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account_id", Integer, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("purpose", String, nullable=False),  # session, token, reset
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("label", String, nullable=False),  # browser of a session, name of a token
    Column("created_at", String, nullable=False),
    Column("used_at", String, nullable=False),
    Column("expires_at", String, nullable=False),
)

account_tries = Table(  # what is limited in number; old rows are deleted
    "account_tries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String, nullable=False, index=True),
    Column("at", Double, nullable=False),  # seconds since 1970 UTC
)

account_log = Table(  # what was done to accounts, by whom; rows are never changed
    "account_log",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", String, nullable=False),
    Column("account_id", Integer, ForeignKey("accounts.id"), index=True),
    Column("who", String, nullable=False),
    Column("action", String, nullable=False),
    Column("address", String, nullable=False),
)

subscribers = Table(  # of the mailing list
    "subscribers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("email", String, nullable=False, unique=True),
    Column("nonce", String, nullable=False),  # links that name another are used up
    Column("asked_at", String, nullable=False),
    Column("joined_at", String),  # NULL until the address is confirmed
)

outbox = Table(  # mail that is to be sent; a row is deleted once its mail is sent or given up
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("purpose", String, nullable=False),  # a Purpose
    Column("email", String),  # NULL for an announcement
    Column("subscriber_id", Integer, ForeignKey("subscribers.id", ondelete="CASCADE"), index=True),
    Column("news_id", Integer, ForeignKey("news.id")),
    Column("made_at", Double, nullable=False),  # seconds since 1970 UTC
    Column("tries", Integer, nullable=False),
    Column("next_at", Double, nullable=False),  # not before this time
    UniqueConstraint("news_id", "subscriber_id"),
    Index("ix_outbox_purpose_next_at", "purpose", "next_at"),
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
