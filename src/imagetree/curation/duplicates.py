"""Images that are in the database more than once: the same bytes, or nearly the same picture.

Two pictures are near when their perceptual hashes differ in few bits; a check has stored these. In
a group every two images are near each other, so that a chain of small steps never joins pictures
that have nothing in common, and whichever image is kept, those set aside are near to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from sqlalchemy import select

from imagetree.database.counting import current_counts
from imagetree.database.journal import change_states
from imagetree.database.queries import locate
from imagetree.database.schema import State, image_facts, images, wnid_of
from imagetree.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import NDArray

    from imagetree.database.queries import ImageRow
    from imagetree.database.store import Database

MAX_DISTANCE = 12
"""Above this unrelated photographs begin to look alike."""
_HASH_BITS = 64
_ROWS_AT_ONCE = 20_000


class Copy(NamedTuple):
    """An image of a group.

    Args:
        image: where it lies.
        num_pixels: width times height.
        sha256: of its bytes.
        phash: perceptual hash, 64 bits; None for a picture of one colour.
    """

    image: ImageRow
    num_pixels: int
    sha256: bytes
    phash: int | None


@dataclass(frozen=True)
class DuplicateGroup:
    """Images of which every two are duplicates.

    Args:
        copies: two or more, in the order of their wnid and stored name.
    """

    copies: tuple[Copy, ...]

    @property
    def is_exact(self) -> bool:
        """All have the same bytes."""
        return len({copy.sha256 for copy in self.copies}) == 1

    @property
    def distance(self) -> int:
        """Bits in which the hashes of any two differ at most."""
        hashes = {copy.phash for copy in self.copies}
        return max((distance_of(*pair) for pair in combinations(hashes, 2)), default=0)

    @property
    def crosses_synsets(self) -> bool:
        """The same picture has several labels."""
        return len({copy.image.wnid for copy in self.copies}) > 1

    @property
    def crosses_sources(self) -> bool:
        """It lies in several sources, such as the archives of train and val."""
        return len({copy.image.source_id for copy in self.copies}) > 1


def find_duplicates(
    database: Database,
    *,
    max_distance: int | None = 4,
    wnids: Collection[str] | None = None,
    subtree: bool = False,
) -> tuple[DuplicateGroup, ...]:
    """Groups of images in state ok that are the same, or nearly.

    Pictures of one colour have no hash and are in a group only with their own bytes. Each image is
    in one group at most: pairs are joined in the order of their distance, the nearest first.

    Args:
        database: whose images have been checked, so that they have hashes.
        max_distance: most bits of 64 in which two hashes of a group differ, 0 to 12; None for the
            same bytes alone.
        wnids: synsets within which to look; None for all.
        subtree: look in their descendants in WordNet as well.

    Returns:
        The groups, the largest first, then in the order of their first image.

    Raises:
        DatabaseError: some of the images have not been checked, or a distance out of range.
        WordnetError: one of the wnids is no noun of WordNet 3.0.
    """
    if max_distance is not None and not 0 <= max_distance <= MAX_DISTANCE:
        raise DatabaseError(f"duplicates: distance {max_distance} (expected 0 to {MAX_DISTANCE})")
    table = _load(database, wnids, subtree)
    labels = _labels(table, max_distance)
    order = np.argsort(labels, kind="stable")  # images of a group stay in their order
    starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
    ends = np.append(starts[1:], len(order))
    several = ends - starts > 1
    groups = [order[start:end] for start, end in zip(starts[several], ends[several], strict=True)]
    groups.sort(key=lambda group: (-len(group), int(group[0])))
    rows = _rows(database, table, groups)
    found = []
    for group in groups:
        images_of_group = ((i, rows.get(int(table.ids[i]))) for i in group.tolist())
        copies = tuple(_copy(table, i, row) for i, row in images_of_group if row is not None)
        if len(copies) > 1:
            found.append(DuplicateGroup(copies))
    return tuple(found)


def set_duplicates_aside(
    database: Database,
    groups: Iterable[DuplicateGroup],
    *,
    keep: Literal["first", "largest"] = "first",
    across_synsets: bool = False,
    protected: Collection[int] = (),
) -> int:
    """Quarantine all but one image of each group; the reasons name the one that is kept.

    A group that crosses synsets keeps one image in each: its labels contradict each other, and
    only somebody who looks at it can tell which is right.

    Args:
        database: where the groups were found.
        groups: of `find_duplicates`.
        keep: the first of them by wnid and name, or the one with the most pixels.
        across_synsets: keep one image of a group that crosses synsets, and no more.
        protected: ids of sources whose images stay, such as the archive of val: others are set
            aside in their favour.

    Returns:
        How many images were set aside.
    """
    reasons: dict[int, str] = {}
    for group in groups:
        by_synset: dict[str, list[Copy]] = {}
        for copy in group.copies:
            by_synset.setdefault("" if across_synsets else copy.image.wnid, []).append(copy)
        for copies in by_synset.values():
            kept = min(
                copies,
                key=lambda copy: (
                    copy.image.source_id not in protected,
                    -copy.num_pixels if keep == "largest" else 0,
                ),
            )
            for copy in copies:
                if copy is not kept and copy.image.source_id not in protected:
                    reasons[copy.image.id] = _reason(copy, kept)
    with database.writing() as connection:
        return change_states(connection, reasons, {State.OK}, State.QUARANTINED)


def distance_of(first: int | None, second: int | None) -> int:
    """Bits in which two hashes differ; 0 where there are none.

    >>> distance_of(0b1100, 0b1010)
    2
    """
    return 0 if first is None or second is None else (first ^ second).bit_count()


def near_pairs(hashes: NDArray[np.uint64], max_distance: int) -> NDArray[np.int64]:
    """All pairs of hashes that differ in at most some bits; none is missed.

    The 64 bits are cut into `max_distance` + 2 bands. Differing bits spoil at most `max_distance`
    of these, so that two near hashes are equal in at least two bands: for each two bands only
    those are compared that are equal there. Source: multi-index hashing, Norouzi, Punjani and
    Fleet, CVPR 2012, with pairs of bands in place of single ones, whose buckets would be large.

    Args:
        hashes: uint64 (N,).
        max_distance: in bits, 0 to 12.

    Returns:
        int64 (M, 2), positions in `hashes`, the smaller first, sorted, each pair once.

    >>> near_pairs(np.array([0b0111, 0b0001, 0b0000], np.uint64), 1).tolist()
    [[1, 2]]
    """
    found = [np.empty(0, np.int64)]
    for mask in _masks(max_distance):
        keys = hashes & mask
        order = np.argsort(keys)
        keys, sorted_hashes = keys[order], hashes[order]
        left, shift = np.arange(len(keys)), 1
        while True:  # each hash with the one that stands `shift` places behind it in its bucket
            left = left[: np.searchsorted(left, len(keys) - shift)]
            left = left[keys[left] == keys[left + shift]]
            if not len(left):
                break
            right = left + shift
            distance = np.bitwise_count(sorted_hashes[left] ^ sorted_hashes[right])
            is_near = distance <= max_distance
            a, b = order[left[is_near]], order[right[is_near]]
            found.append(np.minimum(a, b) * len(hashes) + np.maximum(a, b))
            shift += 1
    pairs = np.unique(np.concatenate(found))
    return np.stack(np.divmod(pairs, max(len(hashes), 1)), axis=1)


def group_hashes(hashes: NDArray[np.uint64], max_distance: int) -> NDArray[np.int64]:
    """Hashes in groups of which every two are near each other.

    Two groups become one where all of one are near all of the other, beginning with the nearest
    pair of hashes: what is closest together is never put apart for something farther away.

    Args:
        hashes: uint64 (N,), each one once, rising.
        max_distance: in bits.

    Returns:
        int64 (N,): the same number for the hashes of a group.
    """
    pairs = near_pairs(hashes, max_distance)
    distances = np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]])
    group_of = np.arange(len(hashes))
    members: dict[int, list[int]] = {}
    for first, second in pairs[np.argsort(distances, kind="stable")].tolist():
        a, b = sorted((int(group_of[first]), int(group_of[second])))
        if a == b:
            continue
        ours, theirs = members.get(a, [a]), members.get(b, [b])
        apart = np.bitwise_count(hashes[ours][:, None] ^ hashes[theirs])
        if apart.max() <= max_distance:
            members[a] = ours + theirs
            members.pop(b, None)
            group_of[theirs] = a
    return group_of


class _Table(NamedTuple):
    """What is known of the images, in the order of synset and name; all arrays are (N,)."""

    ids: NDArray[np.int64]
    synsets: NDArray[np.int64]
    num_pixels: NDArray[np.int64]
    has_hash: NDArray[np.bool_]
    hashes: NDArray[np.uint64]
    sha256: NDArray[np.bytes_]


def _load(database: Database, wnids: Collection[str] | None, subtree: bool) -> _Table:
    facts = image_facts.c
    query = (
        select(
            images.c.id,
            images.c.synset,
            facts.width,
            facts.height,
            facts.phash,
            facts.sha256,
        )
        .join_from(images, image_facts)
        .where(images.c.state == State.OK)
        .order_by(images.c.synset, images.c.name)
    )
    with database.reading() as connection:
        within = current_counts(database, connection)
        if wnids is not None:
            within = within.of(wnids, subtree=subtree)
        streamed = connection.execute(query.execution_options(yield_per=_ROWS_AT_ONCE))
        synsets = set(within.synsets.tolist())
        parts = [_part(rows, synsets) for rows in streamed.partitions()]
    parts.append(_part([], synsets))  # so that there is one
    table = _Table(*map(np.concatenate, zip(*parts, strict=True)))
    num_missing = int(within.num_images.sum()) - len(table.ids)
    if num_missing > 0:
        raise DatabaseError(
            f"{database.place}: {num_missing} images have not been checked, so that their hashes "
            "are not known",
            hint="check them: imagetree database check",
        )
    return table


def _part(rows: Iterable[Any], synsets: Collection[int]) -> _Table:
    """Rows of the query as arrays, those of other synsets left out."""
    rows = [row for row in rows if row[1] in synsets]
    numbers = np.array([row[:4] for row in rows], np.int64).reshape(-1, 4).T
    hashes = [row[4] for row in rows]
    return _Table(
        ids=numbers[0],
        synsets=numbers[1],
        num_pixels=numbers[2] * numbers[3],
        has_hash=np.array([value is not None for value in hashes], bool),
        hashes=np.array([value or 0 for value in hashes], np.int64).view(np.uint64),
        sha256=np.frombuffer(b"".join(row[5] for row in rows), "S32"),
    )


def _labels(table: _Table, max_distance: int | None) -> NDArray[np.int64]:
    """int64 (N,): the same number for the images of a group."""
    _, by_bytes = np.unique(table.sha256, return_inverse=True)
    if max_distance is None:
        return by_bytes
    hashes, which = np.unique(table.hashes[table.has_hash], return_inverse=True)
    labels = by_bytes + len(hashes)
    labels[table.has_hash] = group_hashes(hashes, max_distance)[which]
    return labels


def _rows(
    database: Database, table: _Table, groups: Sequence[NDArray[np.intp]]
) -> dict[int, ImageRow]:
    """The images of the groups by their ids."""
    if not groups:
        return {}
    every = np.concatenate(groups)
    ids = set(table.ids[every].tolist())
    wnids = [wnid_of(synset) for synset in np.unique(table.synsets[every]).tolist()]
    return {row.id: row for row in locate(database, wnids) if row.id in ids}


def _copy(table: _Table, position: int, image: ImageRow) -> Copy:
    return Copy(
        image,
        num_pixels=int(table.num_pixels[position]),
        sha256=bytes(table.sha256[position]).ljust(32, b"\0"),  # NumPy drops zeros at the end
        phash=int(table.hashes[position]) if table.has_hash[position] else None,
    )


def _reason(copy: Copy, kept: Copy) -> str:
    where = f"{kept.image.wnid}/{kept.image.name}"
    if copy.sha256 == kept.sha256:
        return f"duplicate of {where}: the same bytes"
    distance = distance_of(copy.phash, kept.phash)
    return f"near duplicate of {where}: {distance} of {_HASH_BITS} bits of their hashes differ"


def _masks(max_distance: int) -> list[np.uint64]:
    """The bits of each two of the bands that the 64 bits are cut into."""
    num_bands = max_distance + 2
    edges = [_HASH_BITS * band // num_bands for band in range(num_bands + 1)]
    bands = [(1 << high) - (1 << low) for low, high in pairwise(edges)]
    return [np.uint64(one | other) for one, other in combinations(bands, 2)]
