"""The same picture twice: by its bytes, by its hash, within and across synsets and sources."""

from __future__ import annotations

import io
import tarfile
from itertools import combinations
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imagetree.curation.check import check_images
from imagetree.curation.duplicates import (
    find_duplicates,
    group_hashes,
    near_pairs,
    set_duplicates_aside,
)
from imagetree.database import counts, import_source, locate
from imagetree.database.journal import problems
from imagetree.errors import DatabaseError, WordnetError
from imagetree.sources.source import SourceOptions

from ..conftest import shared_path

DOG, CAT, CHIHUAHUA = "n02084071", "n02121808", "n02085620"


class Picture(NamedTuple):
    """A drawn picture; the same seed is the same scene."""

    seed: int
    quality: int = 95
    width: int = 160


def encode(picture: Picture) -> bytes:
    coarse = np.random.default_rng(picture.seed).integers(0, 256, (7, 7, 3), dtype=np.uint8)
    size = (picture.width, picture.width * 3 // 4)
    pixels = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=picture.quality)
    return buffer.getvalue()


def tar_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def import_pictures(database, path, by_wnid):
    """Import {wnid: {name: bytes or Picture}} as a tar of tars, and check it."""
    inner = {
        f"{wnid}.tar": tar_of(
            {f"{name}.jpg": encode(p) if isinstance(p, Picture) else p for name, p in each.items()}
        )
        for wnid, each in by_wnid.items()
    }
    path.write_bytes(tar_of(inner))
    import_source(database, path)
    check_images(database)


def names(group):
    return [copy.image.name.removeprefix(f"{copy.image.wnid}_") for copy in group.copies]


TWO_DOGS = {
    DOG: {"a": Picture(1), "b": Picture(1, quality=60, width=320), "c": Picture(2)},
    CAT: {"d": Picture(1), "e": Picture(3)},
}


def test_same_and_near_pictures_are_one_group(database, tmp_path):
    """Another size and quality is near, another synset's copy has the same bytes."""
    import_pictures(database, tmp_path / "t.tar", TWO_DOGS)
    (group,) = find_duplicates(database)
    assert names(group) == ["a", "b", "d"]
    assert group.crosses_synsets
    assert not group.crosses_sources
    assert not group.is_exact
    assert 0 <= group.distance <= 4
    (exact,) = find_duplicates(database, max_distance=None)
    assert names(exact) == ["a", "d"]
    assert exact.is_exact
    assert exact.distance == 0


def test_within_some_synsets(database, tmp_path):
    """Only images of the synsets asked for are compared, with all below them on request."""
    import_pictures(database, tmp_path / "t.tar", TWO_DOGS | {CHIHUAHUA: {"f": Picture(2)}})
    assert [names(group) for group in find_duplicates(database, wnids=[DOG])] == [["a", "b"]]
    below = find_duplicates(database, wnids=[DOG], subtree=True)
    assert [names(group) for group in below] == [["a", "b"], ["c", "f"]]
    assert find_duplicates(database, wnids=[CAT]) == ()
    with pytest.raises(WordnetError):
        find_duplicates(database, wnids=["n00000000"])


def test_groups_are_sorted_and_across_sources(database, tmp_path):
    """The largest first, then by the first image; two archives are told apart."""
    import_pictures(database, tmp_path / "t.tar", {DOG: {"b": Picture(2), "a": Picture(1)}})
    more = {"x": Picture(1), "y": Picture(2), "z": Picture(2, quality=80)}
    import_pictures(
        database, tmp_path / "u.tar", {DOG: more, CAT: {"v": Picture(5), "w": Picture(5)}}
    )
    found = find_duplicates(database)
    assert [names(group) for group in found] == [["b", "y", "z"], ["a", "x"], ["v", "w"]]
    assert [group.crosses_sources for group in found] == [True, True, False]


def test_flat_pictures_are_not_near_each_other(database, tmp_path):
    """Two plain colours have nothing in common; the same bytes have."""

    def flat(level):
        buffer = io.BytesIO()
        Image.new("RGB", (40, 40), (level, level, level)).save(buffer, "JPEG")
        return buffer.getvalue()

    pictures = {"a": flat(10), "b": flat(200), "c": flat(90), "d": flat(10)}
    import_pictures(database, tmp_path / "t.tar", {DOG: pictures})
    (group,) = find_duplicates(database, max_distance=12)
    assert names(group) == ["a", "d"]
    assert group.distance == 0


def test_all_but_one_are_set_aside_within_a_synset(database, tmp_path):
    """The reason names the kept image; the copy in another synset stays for review."""
    import_pictures(database, tmp_path / "t.tar", TWO_DOGS)
    groups = find_duplicates(database)
    assert set_duplicates_aside(database, groups) == 1
    assert counts(database) == {DOG: 2, CAT: 2}
    (problem,) = problems(database)
    assert problem.item == f"{DOG}_b"
    assert problem.reason.startswith(f"near duplicate of {DOG}/{DOG}_a: ")
    (left,) = find_duplicates(database)
    assert names(left) == ["a", "d"]
    assert set_duplicates_aside(database, [left]) == 0
    assert set_duplicates_aside(database, [left], across_synsets=True) == 1
    assert counts(database) == {DOG: 2, CAT: 1}
    assert problems(database)[-1].reason == f"duplicate of {DOG}/{DOG}_a: the same bytes"
    assert find_duplicates(database) == ()


@pytest.mark.parametrize(
    ("keep", "is_val_protected", "kept"),
    [("first", False, ["a"]), ("largest", False, ["b"]), ("largest", True, ["c", "d"])],
)
def test_which_one_is_kept(database, tmp_path, keep, is_val_protected, kept):
    """The first, or the largest; all images of a protected source, whatever is kept else."""
    train = {"a": Picture(1), "b": Picture(1, width=320)}
    import_pictures(database, tmp_path / "t.tar", {DOG: train})
    import_pictures(database, tmp_path / "u.tar", {DOG: {"c": Picture(1), "d": Picture(1, 80)}})
    (group,) = find_duplicates(database)
    assert names(group) == ["a", "b", "c", "d"]
    protected = [group.copies[2].image.source_id] if is_val_protected else []
    number = set_duplicates_aside(database, [group], keep=keep, protected=protected)
    assert number == 4 - len(kept)
    assert [row.name for row in locate(database)] == [f"{DOG}_{name}" for name in kept]


def test_unchecked_images_are_an_error(database, tmp_path):
    """Without hashes nothing would be found, which must not look like no duplicates."""
    import_pictures(database, tmp_path / "t.tar", TWO_DOGS)
    (tmp_path / "u.tar").write_bytes(tar_of({f"{DOG}.tar": tar_of({"z.jpg": encode(Picture(1))})}))
    import_source(database, tmp_path / "u.tar")
    with pytest.raises(DatabaseError, match="1 images have not been checked") as caught:
        find_duplicates(database)
    assert "database check" in caught.value.hint
    assert find_duplicates(database, wnids=[CAT]) == ()


@pytest.mark.parametrize("distance", [-1, 13])
def test_distance_out_of_range(database, distance):
    with pytest.raises(DatabaseError, match="expected 0 to 12"):
        find_duplicates(database, max_distance=distance)


def test_empty_database(database):
    assert find_duplicates(database) == ()


HASHES = st.lists(
    st.builds(  # hashes near a few centres, so that there are pairs at every distance
        lambda centre, flips: centre ^ sum(1 << flip for flip in flips),
        st.sampled_from((0, 0x0123456789ABCDEF, 2**64 - 1)),
        st.sets(st.integers(0, 63), max_size=9),
    ),
    unique=True,
    max_size=40,
).map(sorted)


def distances(hashes):
    return {
        (i, j): (hashes[i] ^ hashes[j]).bit_count() for i, j in combinations(range(len(hashes)), 2)
    }


@settings(deadline=None, max_examples=200)
@given(HASHES, st.integers(0, 12))
def test_every_near_pair_is_found(hashes, max_distance):
    """The same pairs as comparing each with each: none missed, none too many."""
    expected = [list(pair) for pair, d in distances(hashes).items() if d <= max_distance]
    assert near_pairs(np.array(hashes, np.uint64), max_distance).tolist() == expected


@settings(deadline=None, max_examples=200)
@given(HASHES, st.integers(0, 12))
def test_groups_are_complete_and_maximal(hashes, max_distance):
    """Every two of a group are near; no two groups could be one; the nearest are together."""
    labels = group_hashes(np.array(hashes, np.uint64), max_distance).tolist()
    apart = distances(hashes)
    widest = {}
    for (i, j), d in apart.items():
        pair = tuple(sorted((labels[i], labels[j])))
        widest[pair] = max(widest.get(pair, 0), d)
    for (a, b), d in widest.items():
        assert (d <= max_distance) == (a == b)


def test_a_chain_is_no_group():
    """Of a row of hashes, each near the next alone, no group holds both ends."""
    chain = np.array([(1 << n) - 1 for n in range(0, 64, 3)], np.uint64)
    labels = group_hashes(chain, 4)
    assert max(np.bincount(labels)) == 2


def test_planted_pairs_among_many():
    """Among 50,000 random hashes exactly the planted copies are found."""
    rng = np.random.default_rng(0)
    hashes = np.unique(rng.integers(0, 2**64, 50_000, dtype=np.uint64))
    planted = hashes[:500].copy()
    for _ in range(4):
        planted ^= np.uint64(1) << rng.integers(0, 64, 500, dtype=np.uint64)
    found = near_pairs(np.concatenate([hashes, planted]), 4)
    assert found.tolist() == [[n, len(hashes) + n] for n in range(500)]


@pytest.mark.slow
def test_same_photographs_at_two_sizes(database, tmp_path):
    """100 of ImageNet's originals among 1,000 reduced ones: at least 98 found, none wrong."""
    reduced = {}
    with tarfile.open(shared_path("data", "ilsvrc1000", "short256.tar")) as archive:
        for member in archive:
            reduced[member.name] = archive.extractfile(member).read()
    originals = {}
    with tarfile.open(shared_path("data", "ilsvrc1000", "original100.tar")) as archive:
        for member in archive:
            originals[f"original_{member.name}"] = archive.extractfile(member).read()
    for name, members in (("short", reduced), ("original", originals)):
        path, labels = tmp_path / f"{name}.tar", tmp_path / f"{name}.tsv"
        path.write_bytes(tar_of(members))
        wnid_of = {each: each.removeprefix("original_").partition("_")[0] for each in members}
        labels.write_text("".join(f"{each}\t{wnid}\n" for each, wnid in wnid_of.items()))
        import_source(database, path, SourceOptions(labels=labels))
    assert check_images(database).bad == ()
    found = find_duplicates(database)
    assert all(len(group.copies) == 2 for group in found)
    pairs = [sorted(copy.image.name for copy in group.copies) for group in found]
    right = [pair for pair in pairs if pair[1] == f"original_{pair[0]}"]
    assert len(right) >= 98
    assert pairs == right
    assert all(group.crosses_sources and not group.crosses_synsets for group in found)
    assert not any(group.is_exact for group in found)
