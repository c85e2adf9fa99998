"""A challenge held to what it must be, file by file: imagetree challenge verify."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, NamedTuple

from imagetree.challenge.cut import nested_pairs
from imagetree.challenge.dealing import by_wnid
from imagetree.challenge.definition import load_challenge, read_manifest
from imagetree.errors import ChallengeError
from imagetree.files import sha256_of
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from imagetree.challenge.definition import Challenge, Entry


class Check(NamedTuple):
    """What was looked at, and what is wrong with it.

    Args:
        what: a file, or what the files together must be.
        fault: empty where nothing is wrong.
    """

    what: str
    fault: str = ""


def verify_challenge(folder: Path) -> tuple[Check, ...]:
    """Hold a challenge to its manifest, and its classes and splits to what they must be.

    Every file has the sum that it was written with; the classes are nouns of WordNet, sorted, none
    above another; the splits have as many images as the manifest says, of these classes alone, in
    their order, and no image is in two of them. Sealed labels are looked at where they are.

    Args:
        folder: of the challenge.

    Returns:
        What was looked at; what is in the files is only looked at where all sums are right.

    Raises:
        ChallengeError: there is no manifest, or it is damaged.
    """
    manifest = read_manifest(folder)
    checks = [
        Check(name, _fault_of_sum(folder / name, expected))
        for name, expected in sorted(manifest["sha256"].items())
    ]
    if any(check.fault for check in checks):
        return tuple(checks)
    challenge = load_challenge(folder)
    checks.append(Check("classes", _fault_of_classes(challenge.wnids)))
    try:
        checks += _iter_splits(challenge)
    except ChallengeError as error:
        checks.append(Check("splits", error.message))
    return tuple(checks)


def _fault_of_sum(path: Path, expected: str) -> str:
    if not path.is_file():
        return "missing"
    found = sha256_of(path)
    return "" if found == expected else f"changed: SHA-256 {found[:16]} (expected {expected[:16]})"


def _fault_of_classes(wnids: tuple[str, ...]) -> str:
    unknown = [wnid for wnid in wnids if wnid not in load_nouns()]
    if unknown:
        return f"{unknown[0][:20]!r} is no noun of WordNet 3.0"
    if wnids != tuple(sorted(set(wnids))):
        return "not sorted by wnid, or one is there twice"
    if len(wnids) < 2:
        return f"{len(wnids)} (expected two or more)"
    nested = nested_pairs(wnids)
    return f"{nested[0][0]} is an ancestor of {nested[0][1]}" if nested else ""


def _iter_splits(challenge: Challenge) -> Iterator[Check]:
    """Each split by itself, then all of them together."""
    split_of: dict[Entry, str] = {}
    twice = ""
    for split, expected in challenge.num_images.items():
        if split == "test" and not challenge.sealed_path.is_file():
            yield Check(split, _fault_of_count(len(challenge.read_names(split)), expected))
            continue
        entries = challenge.read_split(split)
        fault = _fault_of_count(len(entries), expected)
        if split != "test" and list(entries) != sorted(entries, key=by_wnid):
            fault = fault or "not sorted by wnid and name"
        if len(set(entries)) != len(entries):
            fault = fault or "an image is there twice"
        yield Check(split, fault)
        for entry in entries:
            other = split_of.setdefault(entry, split)
            if other != split:
                twice = twice or f"{entry.name} is in {other} and in {split}"
    yield Check("no image in two splits", twice)
    if "test" in challenge.num_images and challenge.sealed_path.is_file():
        yield Check("sealed labels", _fault_of_sealed(challenge))


def _fault_of_count(found: int, expected: int) -> str:
    return "" if found == expected else f"{found} images (expected {expected})"


def _fault_of_sealed(challenge: Challenge) -> str:
    mode = stat.S_IMODE(challenge.sealed_path.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return f"others may read {challenge.sealed_path} (expected mode 600, got {mode:o})"
    return ""
