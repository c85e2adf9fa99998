"""Leakage: the arithmetic by hand, and copies found in a database of real JPEGs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from imagetree.challenge.definition import Entry, save_challenge
from imagetree.challenge.leakage import leaked_entries, score_leakage
from imagetree.curation.check import check_images
from imagetree.database import import_source, open_database
from imagetree.errors import ChallengeError, DatabaseError

from ..cli.conftest import picture

if TYPE_CHECKING:
    from pathlib import Path

DOG, CAT = "n02084071", "n02121808"
ENTRIES = tuple(Entry(name, DOG) for name in "abcde")


def test_error_with_and_without_what_was_learnt_from() -> None:
    misses = np.array([False, False, True, True, False])
    found = score_leakage(misses, ENTRIES, {ENTRIES[0], ENTRIES[1], Entry("a", CAT)})
    assert (found.num_images, found.num_leaked) == (5, 2)
    assert (found.error, found.error_on_leaked, found.error_without) == (0.4, 0, 2 / 3)
    assert found.interval_without is not None
    assert found.interval_without.low < 2 / 3


def test_all_or_nothing_leaked() -> None:
    misses = np.array([False, False, True, True, False])
    none = score_leakage(misses, ENTRIES, set())
    assert (none.num_leaked, none.error_on_leaked, none.error_without) == (0, None, 0.4)
    every = score_leakage(misses, ENTRIES, set(ENTRIES))
    assert (every.error_without, every.interval_without, every.error_on_leaked) == (None, None, 0.4)
    with pytest.raises(ChallengeError, match="5 images, and misses of shape"):
        score_leakage(misses[:3], ENTRIES, set())


@pytest.fixture
def pets(tmp_path: Path):
    """A challenge whose val has a smaller, rougher copy of a picture of train, and of minival."""
    drawn = {
        f"{DOG}_1": picture(1, quality=95),
        f"{DOG}_2": picture(1, width=120, quality=60),
        f"{DOG}_3": picture(2),
        f"{CAT}_1": picture(3),
        f"{CAT}_2": picture(4),
        f"{CAT}_3": picture(3),
        f"{CAT}_4": picture(5),
        f"{CAT}_5": picture(5),
    }
    for name, data in drawn.items():
        path = tmp_path / "pets" / name.partition("_")[0] / f"{name}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    entries = {name: Entry(name, name.partition("_")[0]) for name in drawn}
    splits = {
        "train": [f"{DOG}_1", f"{CAT}_2"],
        "minival": [f"{CAT}_1"],
        "val": [f"{DOG}_2", f"{DOG}_3", f"{CAT}_3", f"{CAT}_4", f"{CAT}_5"],
    }
    chosen = {split: [entries[name] for name in names] for split, names in splits.items()}
    with open_database(tmp_path / "pets.db", create=True) as database:
        import_source(database, tmp_path / "pets")
        yield database, save_challenge(tmp_path / "challenge", (DOG, CAT), chosen), entries


def test_copies_of_what_was_learnt_from_are_found_in_real_pictures(pets) -> None:
    """Two copies both in val leak nothing; the same bytes alone are found at no distance."""
    database, challenge, entries = pets
    with pytest.raises(DatabaseError, match="have not been checked"):
        leaked_entries(database, challenge, "val")
    check_images(database)
    assert leaked_entries(database, challenge, "val") == {
        entries[f"{DOG}_2"],
        entries[f"{CAT}_3"],
    }
    same_bytes = leaked_entries(database, challenge, "val", max_distance=None)
    assert same_bytes == {entries[f"{CAT}_3"]}
    with pytest.raises(ChallengeError, match="train is learnt from itself"):
        leaked_entries(database, challenge, "train")
