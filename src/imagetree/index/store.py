"""An index on the disk: the features of a set of images, and short codes that are searched first.

A folder holds `features.npy`, float16 (N, D), written as the images are looked at;
`projection.npy`, float32 (1 + C, D), the mean of the features and the axes of the codes;
`codes.npy`, float16 (N, C); `names.jsonl`, a line for each row; `index.json`, which is written last
and says that the rest is whole; and while the features are being made `progress.json`.
docs/formats.md describes it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from imagetree.errors import TrainingError
from imagetree.files import atomic_writer, write_atomic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

FORMAT = 1
INFO, PROGRESS, NAMES = "index.json", "progress.json", "names.jsonl"
FEATURES, PROJECTION, CODES = "features.npy", "projection.npy", "codes.npy"
_HINT = "make it again in another folder: imagetree index build RUN FOLDER"


@dataclass(frozen=True)
class Identity:
    """What an index was made from; one of another identity is another index.

    Args:
        checkpoint: SHA-256 of the checkpoint's file.
        layer: whose output the features are.
        images: SHA-256 over the names and wnids of the images, in their order.
        num_images: how many there are, those that cannot be decoded included.
    """

    checkpoint: str
    layer: str
    images: str
    num_images: int


@dataclass(frozen=True)
class IndexInfo:
    """What is known of a whole index.

    Args:
        identity: what it was made from.
        source: the images, in words.
        num_rows: images that could be decoded, N.
        width: of the features, D.
        length: of the codes, C.
        candidates: rows that are found by their codes and compared by their features.
        recall: share of the true ten nearest that are found so, measured on images of the index.
        bad: name and reason of each image that could not be decoded.
    """

    identity: Identity
    source: str
    num_rows: int
    width: int
    length: int
    candidates: int
    recall: float
    bad: tuple[tuple[str, str], ...]

    def write(self, folder: Path) -> None:
        """Say that the index in a folder is whole."""
        write_atomic(folder / INFO, json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n")


def read_info(folder: Path) -> IndexInfo:
    """What an index says of itself.

    Raises:
        TrainingError: there is none, it is not whole, or its description is damaged.
    """
    path = folder / INFO
    if not path.is_file():
        was_begun = (folder / PROGRESS).is_file()
        raise TrainingError(
            f"{folder}: {'this index is not whole yet' if was_begun else 'no index is here'}",
            hint="imagetree index build RUN FOLDER makes it, or goes on with it",
        )
    try:
        values = json.loads(path.read_text())
        if values.pop("format") != FORMAT:
            raise ValueError(f"another format than {FORMAT}")
        identity = Identity(**values.pop("identity"))
        bad = tuple((str(name), str(reason)) for name, reason in values.pop("bad"))
        return IndexInfo(identity, bad=bad, **values)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise TrainingError(f"{path}: damaged ({error})", hint=_HINT) from error


def read_array(folder: Path, name: str, kind: type, shape: tuple[int, ...]) -> NDArray[Any]:
    """An array of an index, mapped into memory; more rows than asked for are left out.

    Raises:
        TrainingError: it is missing or not what it has to be.
    """
    path = folder / name
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path}: cannot be read ({error})", hint=_HINT) from error
    fits = array.ndim == len(shape) and array.shape[1:] == shape[1:] and len(array) >= shape[0]
    if array.dtype != kind or not fits:
        raise TrainingError(
            f"{path}: {array.dtype} {array.shape} (expected {np.dtype(kind)} {shape})", hint=_HINT
        )
    found: NDArray[Any] = array[: shape[0]]
    return found


def write_array(folder: Path, name: str, array: NDArray[Any]) -> None:
    """Write an array, whole or not at all."""
    with atomic_writer(folder / name) as file:
        np.save(file, array, allow_pickle=False)


def write_names(folder: Path, names: Sequence[tuple[str, str]]) -> None:
    """Write name and wnid of each row; the wnid is empty where it is not known."""
    with atomic_writer(folder / NAMES) as file:
        file.writelines(json.dumps(each).encode() + b"\n" for each in names)


def read_names(folder: Path, num_rows: int) -> tuple[tuple[str, str], ...]:
    """Name and wnid of each row.

    Raises:
        TrainingError: the file is missing or damaged.
    """
    path = folder / NAMES
    try:
        with path.open("rb") as file:
            names = tuple((str(name), str(wnid)) for name, wnid in map(json.loads, file))
    except (OSError, ValueError, TypeError) as error:
        raise TrainingError(f"{path}: cannot be read ({error})", hint=_HINT) from error
    if len(names) != num_rows:
        raise TrainingError(f"{path}: {len(names)} names (expected {num_rows})", hint=_HINT)
    return names
