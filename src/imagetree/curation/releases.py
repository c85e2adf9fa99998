"""Releases: the images of a moment under a name, as ImageNet's "Fall 2011" was.

A release is a list of names for each synset, with a hash of each list and one of all. It never
changes: what is removed later is missing from the next one, and `diff_releases` says so.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import insert, select, update

from imagetree.database import schema
from imagetree.database.counting import current_counts
from imagetree.database.journal import utc_now
from imagetree.database.schema import State, full_name, images, wnid_of
from imagetree.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from imagetree.database.store import Database

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_Digests = dict[int, tuple[int, bytes]]  # of each synset: its number of images, and their hash


class Release(NamedTuple):
    """A release as it is listed.

    Args:
        name: letters, digits, dots, dashes, underscores.
        created_at: UTC, ISO 8601.
        num_images: in it.
        num_synsets: with at least one image.
        sha256: of all its synsets' wnids and hashes; equal for equal content.
    """

    name: str
    created_at: str
    num_images: int
    num_synsets: int
    sha256: str


class SynsetDiff(NamedTuple):
    """What differs in a synset between two releases: names only in the newer, only in the older."""

    wnid: str
    added: tuple[str, ...]
    removed: tuple[str, ...]


class _Listed(NamedTuple):
    """A synset's images: how many, the hash of their names, and these, compressed."""

    num_images: int
    sha256: bytes
    names: bytes


def make_release(
    database: Database, name: str, progress: Callable[[int, int], None] | None = None
) -> Release:
    """Keep the images of this moment under a name.

    Args:
        database: whose images in state ok, of synsets that are not hidden, are listed.
        name: of the release; new.
        progress: told (synsets done, synsets in all).

    Raises:
        DatabaseError: the name is no name or taken, or there are no images.
    """
    if not _NAME.fullmatch(name):
        raise DatabaseError(
            f"{name!r} is no name of a release (expected up to 64 letters, digits, . _ -)",
            hint="for example: imagetree curation release fall-2026",
        )
    with database.writing() as connection:
        if name in {row.name for row in _rows(connection)}:
            raise DatabaseError(
                f"release {name!r} is there, and a release does not change",
                hint="choose another name; imagetree curation releases lists them",
            )
        counts = current_counts(database, connection)
        if not len(counts.synsets):
            raise DatabaseError(f"{database.place}: there are no images to release")
        num_images = int(counts.num_images.sum())
        release = Release(name, utc_now(), num_images, len(counts.synsets), "")
        added = insert(schema.releases).values(release._asdict()).returning(schema.releases.c.id)
        release_id = connection.execute(added).scalar_one()
        digest = hashlib.sha256()
        for number, synset in enumerate(counts.synsets.tolist(), 1):
            row = _list_synset(connection, synset)
            digest.update(f"{wnid_of(synset)} {row.sha256.hex()}\n".encode())
            values = {"release_id": release_id, "synset": synset} | row._asdict()
            connection.execute(insert(schema.release_synsets), values)
            if progress is not None:
                progress(number, len(counts.synsets))
        release = release._replace(sha256=digest.hexdigest())
        here = schema.releases.c.id == release_id
        connection.execute(update(schema.releases).where(here).values(sha256=release.sha256))
    return release


def releases(database: Database) -> tuple[Release, ...]:
    """All releases, the oldest first."""
    with database.reading() as connection:
        return tuple(_rows(connection))


def names_of_release(database: Database, name: str) -> Iterator[tuple[str, str]]:
    """Wnid and name of every image of a release, sorted by wnid and stored name.

    Raises:
        DatabaseError: there is no such release, or its list is damaged.
    """
    table = schema.release_synsets.c
    with database.reading() as connection:
        release_id = _id_of(connection, name)
        for synset in sorted(_digests(connection, release_id)):
            own = (table.release_id == release_id) & (table.synset == synset)
            row = connection.execute(select(table.names, table.sha256).where(own)).one()
            wnid = wnid_of(synset)
            for stored in _unpack(row.names, row.sha256, f"release {name}, {wnid}"):
                yield wnid, full_name(stored, wnid)


def diff_releases(database: Database, older: str, newer: str) -> Iterator[SynsetDiff]:
    """What was added and removed between two releases, synset by synset, in rising order.

    Only synsets whose hashes differ are looked into.

    Raises:
        DatabaseError: one of the releases is not there.
    """
    with database.reading() as connection:
        ids = [_id_of(connection, name) for name in (older, newer)]
        before, after = (_digests(connection, release_id) for release_id in ids)
        for synset in sorted(before.keys() | after.keys()):
            if before.get(synset) == after.get(synset):
                continue
            old, new = (_names(connection, release_id, synset) for release_id in ids)
            wnid = wnid_of(synset)
            yield SynsetDiff(
                wnid,
                tuple(full_name(name, wnid) for name in sorted(new - old)),
                tuple(full_name(name, wnid) for name in sorted(old - new)),
            )


def _rows(connection: Connection) -> list[Release]:
    table = schema.releases.c
    columns = [table[name] for name in Release._fields]
    return [Release(*row) for row in connection.execute(select(*columns).order_by(table.id))]


def _id_of(connection: Connection, name: str) -> int:
    table = schema.releases.c
    found = connection.scalar(select(table.id).where(table.name == name))
    if found is None:
        there = ", ".join(row.name for row in _rows(connection)) or "none"
        raise DatabaseError(f"no release {name!r}", hint=f"there are: {there}")
    return int(found)


def _list_synset(connection: Connection, synset: int) -> _Listed:
    query = select(images.c.name).where(images.c.synset == synset, images.c.state == State.OK)
    names = list(connection.scalars(query.order_by(images.c.name)))
    text = "".join(f"{name}\n" for name in names).encode()
    digest = hashlib.sha256(text).digest()
    return _Listed(len(names), digest, zlib.compress(text))


def _digests(connection: Connection, release_id: int) -> _Digests:
    table = schema.release_synsets.c
    query = select(table.synset, table.num_images, table.sha256)
    rows = connection.execute(query.where(table.release_id == release_id))
    return {row.synset: (row.num_images, row.sha256) for row in rows}


def _names(connection: Connection, release_id: int, synset: int) -> set[str]:
    table = schema.release_synsets.c
    own = (table.release_id == release_id) & (table.synset == synset)
    row = connection.execute(select(table.names, table.sha256).where(own)).one_or_none()
    return set() if row is None else set(_unpack(row.names, row.sha256, wnid_of(synset)))


def _unpack(packed: bytes, sha256: bytes, place: str) -> list[str]:
    text = zlib.decompress(packed)
    if hashlib.sha256(text).digest() != sha256:
        raise DatabaseError(f"{place}: the list is not what it was when the release was made")
    return text.decode().split("\n")[:-1]
