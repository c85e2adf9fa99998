"""Making an index: every image through the network once, and going on where it was broken off."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from imagetree.errors import TrainingError
from imagetree.files import write_atomic
from imagetree.index.projection import encode, find_axes
from imagetree.index.search import ranked, scan
from imagetree.index.store import (
    CODES,
    FEATURES,
    INFO,
    PROGRESS,
    PROJECTION,
    Identity,
    IndexInfo,
    read_info,
    write_array,
    write_names,
)
from imagetree.training.randomness import permutation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from imagetree.training.batches import Images
    from imagetree.understanding.features import Extractor

_SAVE_EVERY = 4096  # images
_NEAREST = 10
_NUM_QUESTIONS = 200
_LENGTHS = (32, 64)
_CANDIDATES = (50, 100, 200, 400)
RECALL = 0.98
"""Share of the true ten nearest that candidates are chosen for."""


class _From:
    """The images of a set from one on."""

    def __init__(self, images: Images, start: int) -> None:
        self.labels, self.names = images.labels[start:], images.names[start:]
        self.rows, self.reader = images.rows[start:], images.reader


@dataclass
class _Progress:
    """How far the features are: images looked at, rows written, images that are bad."""

    identity: Identity
    done: int
    num_rows: int
    bad: list[tuple[int, str]]

    def write(self, folder: Path) -> None:
        write_atomic(folder / PROGRESS, json.dumps(asdict(self)))


def identity_of(
    checkpoint: str, layer: str, names: Sequence[str], wnids: Sequence[str]
) -> Identity:
    """The identity of an index of some images.

    Args:
        checkpoint: SHA-256 of its file.
        layer: whose output the features are.
        names: of the images.
        wnids: of the images; empty ones where they are not known.
    """
    digest = hashlib.sha256()
    for each in zip(names, wnids, strict=True):
        digest.update(json.dumps(each).encode() + b"\n")
    return Identity(checkpoint, layer, digest.hexdigest(), len(names))


class Contents(NamedTuple):
    """What an index is made of.

    Args:
        images: what to look at.
        wnids: class of each image; empty where it is not known.
        source: the images, in words.
    """

    images: Images
    wnids: Sequence[str]
    source: str


def build_index(
    folder: Path,
    extractor: Extractor,
    contents: Contents,
    checkpoint: str,
    progress: Callable[[int, int], None] | None = None,
) -> IndexInfo:
    """Make an index, or go on with the one that was begun.

    Args:
        folder: of the index; made if it is missing.
        extractor: the network and its layer.
        contents: the images.
        checkpoint: SHA-256 of the network's file.
        progress: called with (images done, images in all).

    Raises:
        TrainingError: another index is in the folder, fewer than two images can be decoded, or a
            feature is beyond what float16 holds.
    """
    images, wnids, source = contents
    identity = identity_of(checkpoint, extractor.layer, images.names, wnids)
    if (folder / INFO).exists():
        info = read_info(folder)
        _refuse_another(folder, info.identity, identity)
        return info
    begun = _begun(folder, identity)
    width = _write_features(folder, extractor, images, begun, progress)
    features = np.load(folder / FEATURES, mmap_mode="r")[: begun.num_rows]
    if begun.num_rows < 2:
        raise TrainingError(f"{source}: fewer than two images can be decoded")
    projection = find_axes(features)
    codes = encode(features, projection)
    length, candidates, recall = _choose(features, codes)
    write_array(folder, PROJECTION, projection[: 1 + length])
    write_array(folder, CODES, np.ascontiguousarray(codes[:, :length]))
    is_bad = {index for index, _ in begun.bad}
    pairs = enumerate(zip(images.names, wnids, strict=True))
    write_names(folder, [pair for index, pair in pairs if index not in is_bad])
    bad = tuple((images.names[index], reason) for index, reason in begun.bad)
    info = IndexInfo(identity, source, begun.num_rows, width, length, candidates, recall, bad)
    info.write(folder)
    (folder / PROGRESS).unlink(missing_ok=True)
    return info


def _begun(folder: Path, identity: Identity) -> _Progress:
    path = folder / PROGRESS
    if not path.exists():
        return _Progress(identity, 0, 0, [])
    try:
        values: dict[str, Any] = json.loads(path.read_text())
        found = _Progress(
            Identity(**values["identity"]),
            int(values["done"]),
            int(values["num_rows"]),
            [(int(index), str(reason)) for index, reason in values["bad"]],
        )
        if not (folder / FEATURES).is_file():
            raise ValueError(f"{FEATURES} is missing")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise TrainingError(
            f"{path}: damaged ({error})", hint="remove the folder and build the index again"
        ) from error
    _refuse_another(folder, found.identity, identity)
    return found


def _refuse_another(folder: Path, there: Identity, asked: Identity) -> None:
    differing = [key for key, value in asdict(asked).items() if asdict(there)[key] != value]
    if differing:
        raise TrainingError(
            f"{folder}: another index is here (of another {', '.join(differing)})",
            hint="name another folder",
        )


def _write_features(
    folder: Path,
    extractor: Extractor,
    images: Images,
    begun: _Progress,
    progress: Callable[[int, int], None] | None,
) -> int:
    """Write what is missing of the features; returns their width."""
    path, total, first = folder / FEATURES, len(images.labels), begun.done
    features: NDArray[np.float16] | None = np.load(path, mmap_mode="r+") if first else None
    saved = first
    rest = _From(images, first)
    for batch in extractor.iter_features(rest) if first < total else ():
        if features is None:
            folder.mkdir(parents=True, exist_ok=True)
            shape = (total, batch.values.shape[1])
            features = np.lib.format.open_memmap(path, "w+", np.float16, shape)
        if np.abs(batch.values).max(initial=0) > np.finfo(np.float16).max:
            raise TrainingError(
                "a feature is beyond what float16 holds: the network has diverged",
                hint="train again with a lower learning rate: imagetree train CHALLENGE RUN --lr",
            )
        end = begun.num_rows + len(batch.values)
        features[begun.num_rows : end] = batch.values
        begun.num_rows = end
        begun.bad += [(first + bad.index, bad.reason) for bad in batch.bad]
        begun.done += len(batch.values) + len(batch.bad)
        if progress:
            progress(begun.done, total)
        if begun.done - saved >= _SAVE_EVERY or begun.done == total:
            _flush(features)
            begun.write(folder)
            saved = begun.done
    if features is None:
        raise TrainingError(f"{folder}: there are no images to look at")
    return int(features.shape[1])


def _flush(features: NDArray[np.float16]) -> None:
    """To the disk, before the progress says that it is there."""
    assert isinstance(features, np.memmap)
    features.flush()


def _choose(features: NDArray[np.float16], codes: NDArray[np.float16]) -> tuple[int, int, float]:
    """The shortest codes, and the fewest candidates by them, with the recall that is asked for.

    Returns:
        Length of a code, number of candidates, and their recall: of the nearest to some images of
        the index, themselves left out.
    """
    total, longest = codes.shape
    rows = np.sort(permutation(total, 1)[:_NUM_QUESTIONS])
    near = min(_NEAREST, total - 1)
    truths = _others(scan(features, features[rows], near + 1), rows, near)
    lengths = [length for length in _LENGTHS if length < longest] + [longest]
    trials = [(length, count) for length in lengths for count in _CANDIDATES if count < total]
    for length, count in [*trials, (longest, total)]:
        short = np.ascontiguousarray(codes[:, :length])
        hits = 0
        for row, among, truth in zip(rows, scan(short, short[rows], count), truths, strict=True):
            others = np.sort(among[among != row])
            query = features[row].astype(np.float32)
            found, _ = ranked(features, query, others, min(near, len(others)))
            hits += len(set(found.tolist()) & truth)
        recall = hits / (near * len(rows))
        if recall >= RECALL:
            break
    return length, count, recall


def _others(found: NDArray[np.int64], rows: NDArray[np.int64], count: int) -> list[set[int]]:
    """The first so many of each question's answers that are not the image itself."""
    return [
        set([each for each in near.tolist() if each != row][:count])
        for row, near in zip(rows.tolist(), found, strict=True)
    ]
