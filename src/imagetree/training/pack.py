"""A split resized once and kept, so that no epoch decodes its photographs again.

A pack is a folder: parts of 512 images each, and `pack.json`, which is written last. Its images are
squares of one size as plain pixels, which take no decoding at all (ImageNet at 256 x 256: 252 GB),
or JPEGs with that short side (about 30 GB). A part is written whole or not at all, and packing
again goes on after the last one. A pack belongs to the very bytes that it was made from: where the
archives have changed, or the split is another, it is refused.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import cv2
import numpy as np
import simplejpeg

from imagetree.errors import DatabaseError, TrainingError
from imagetree.export.prefetch import prefetch
from imagetree.files import atomic_writer, write_atomic
from imagetree.sources.regions import Box, decode_region
from imagetree.training.crops import CentreCrop, resize_into

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from imagetree.challenge.images import SplitImages
    from imagetree.database.queries import ImageRow

Kind = Literal["pixels", "jpeg"]

FORMAT = 1
PART = 512
"""Images of a part: 100 MB of pixels at 256 x 256."""

_NAME = "pack.json"
_QUALITY = 95


class PackInfo(NamedTuple):
    """What `pack.json` says.

    Args:
        kind: plain pixels, or JPEGs.
        size: side of the squares, or short side of the JPEGs, in pixels.
        num_images: in the pack, the bad ones too.
        part_size: images of a part.
        fingerprint: SHA-256 of what it was made from.
        bad: reason of each image that could not be decoded, by its index.
    """

    kind: Kind
    size: int
    num_images: int
    part_size: int
    fingerprint: str
    bad: dict[int, str]


def make_pack(
    images: SplitImages,
    folder: Path,
    size: int,
    kind: Kind = "pixels",
    progress: Callable[[int, int], None] | None = None,
) -> PackInfo:
    """Pack a split, or go on with it.

    Args:
        images: the split.
        folder: of the pack; made if it is missing.
        size: side in pixels.
        kind: plain pixels, or JPEGs.
        progress: called with (images done, images in all) after each part.

    Raises:
        TrainingError: the folder holds another pack.
        ImagetreeError: the disk is full; the parts that are there stay.
    """
    info = PackInfo(kind, size, len(images.rows), PART, fingerprint_of(images, size, kind), {})
    _begin(folder, info)
    work = _to_pixels if kind == "pixels" else _to_jpeg
    bad: dict[int, str] = {}
    for number, start in enumerate(range(0, info.num_images, PART)):
        rows = images.rows[start : start + PART]
        if not _part(folder, number).exists():

            def made(row: ImageRow) -> bytes:
                return work(images.reader.read(row), size)

            found = prefetch(images.reader, rows, made, 4)
            items = [(each.value or b"", each.fault) for each in found]
            _write_part(folder, number, items)
        bad |= {start + place: fault for place, fault in _read_faults(folder, number).items()}
        if progress:
            progress(min(start + PART, info.num_images), info.num_images)
    info = info._replace(bad=bad)
    write_atomic(folder / _NAME, json.dumps({"format": FORMAT, **info._asdict()}) + "\n")
    return info


def fingerprint_of(images: SplitImages, size: int, kind: Kind) -> str:
    """SHA-256 of what the pack of a split is made from: places, versions of archives, and how."""
    digest = hashlib.sha256(json.dumps([FORMAT, PART, kind, size]).encode())
    versions = images.reader.versions()
    for row in images.rows:
        place = [row.name, row.wnid, versions[row.source_id], row.offset, row.length, row.path]
        digest.update(json.dumps(place).encode())
    return digest.hexdigest()


class PackReader:
    """Reads a pack's images by their index; picklable, for workers.

    Args:
        folder: of the pack.
        info: what `pack.json` says.
    """

    def __init__(self, folder: Path, info: PackInfo) -> None:
        self.folder, self.info = folder, info
        self._parts: dict[int, _Part] = {}

    def __reduce__(self) -> tuple[type[PackReader], tuple[Path, PackInfo]]:
        return PackReader, (self.folder, self.info)

    def read(self, row: int) -> bytes | NDArray[np.uint8]:
        """A JPEG's bytes, or pixels, uint8 (S, S, 3).

        Raises:
            DatabaseError: the image was bad when it was packed, or a part is missing.
        """
        if row in self.info.bad:
            raise DatabaseError(self.info.bad[row])
        number, place = divmod(row, self.info.part_size)
        part = self._parts.get(number)
        if part is None:
            part = self._parts[number] = _Part.open(self.folder, number)
        data = part.data[part.ends[place] : part.ends[place + 1]]
        if self.info.kind == "jpeg":
            return data.tobytes()
        size = self.info.size
        return data.reshape(size, size, 3)


class PackedImages:
    """A split, read from its pack; see `training.batches.Images`.

    Args:
        images: the split.
        folder: of its pack.

    Raises:
        TrainingError: there is no whole pack, or it was made from other images.
    """

    def __init__(self, images: SplitImages, folder: Path) -> None:
        info = load_pack(folder)
        if info.fingerprint != fingerprint_of(images, info.size, info.kind):
            raise TrainingError(
                f"{folder}: was packed from other images, or from archives that have changed since",
                hint="pack again into an empty folder: imagetree pack CHALLENGE FOLDER",
            )
        self.labels, self.names = images.labels, images.names
        self.rows: Sequence[int] = range(info.num_images)
        self.reader = PackReader(folder, info)


def load_pack(folder: Path) -> PackInfo:
    """What a pack says of itself.

    Raises:
        TrainingError: there is none, it was never finished, or pack.json is damaged.
    """
    try:
        values = json.loads((folder / _NAME).read_text())
        if values.pop("format") != FORMAT:
            raise ValueError("another format")
        values["bad"] = {int(index): str(reason) for index, reason in values["bad"].items()}
        return PackInfo(**values)
    except FileNotFoundError:
        raise TrainingError(
            f"{folder}: no whole pack is here ({_NAME} is missing)",
            hint="pack, or go on with it: imagetree pack CHALLENGE FOLDER",
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainingError(f"{folder / _NAME}: damaged ({error!r})") from error


class _Part(NamedTuple):
    """An open part: its bytes, mapped, and where each image ends."""

    data: NDArray[np.uint8]
    ends: NDArray[np.int64]

    @classmethod
    def open(cls, folder: Path, number: int) -> _Part:
        path = _part(folder, number)
        try:
            ends = np.load(path.with_suffix(".npy"), allow_pickle=False)
            data = np.memmap(path, np.uint8, "r") if ends[-1] else np.zeros(0, np.uint8)
        except (OSError, ValueError) as error:
            raise DatabaseError(
                f"{path}: a part of the pack cannot be read ({error})",
                hint="delete the pack and pack again: imagetree pack CHALLENGE FOLDER",
            ) from error
        if len(data) != ends[-1]:
            raise DatabaseError(f"{path}: has {len(data)} bytes (expected {ends[-1]})")
        return cls(data, ends)


def _begin(folder: Path, info: PackInfo) -> None:
    """Say what is being packed, or find that it is the same."""
    described = {"fingerprint": info.fingerprint, "size": info.size, "kind": info.kind}
    path = folder / "begun.json"
    if path.exists():
        if json.loads(path.read_text()) != described:
            raise TrainingError(
                f"{folder}: another pack is here", hint="name another folder, or delete this one"
            )
        return
    write_atomic(path, json.dumps(described))


def _part(folder: Path, number: int) -> Path:
    return folder / f"part-{number:06d}.bin"


def _write_part(folder: Path, number: int, items: list[tuple[bytes, str]]) -> None:
    """The images' bytes last: where they are, all is."""
    path = _part(folder, number)
    ends = np.cumsum([0, *(len(data) for data, _ in items)], dtype=np.int64)
    faults = {place: fault for place, (_, fault) in enumerate(items) if fault}
    write_atomic(path.with_suffix(".json"), json.dumps(faults))
    with atomic_writer(path.with_suffix(".npy")) as file:
        np.save(file, ends)
    with atomic_writer(path) as file:
        file.writelines(data for data, _ in items)


def _read_faults(folder: Path, number: int) -> dict[int, str]:
    values: dict[str, Any] = json.loads(_part(folder, number).with_suffix(".json").read_text())
    return {int(place): str(fault) for place, fault in values.items()}


def _to_pixels(data: bytes, size: int) -> bytes:
    """The largest centred square, resized."""
    part = decode_region(data, lambda *shape: CentreCrop().box((), *shape), size)
    target = np.empty((size, size, 3), np.uint8)
    resize_into(target, part, flip=False)
    return target.tobytes()


def _to_jpeg(data: bytes, size: int) -> bytes:
    """The whole picture with that short side, never enlarged."""
    picture = decode_region(data, lambda height, width: Box(0, 0, width, height), size)
    height, width = picture.shape[:2]
    scale = min(1.0, size / min(height, width))
    shape = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(np.ascontiguousarray(picture), shape, interpolation=cv2.INTER_AREA)
    encoded: bytes = simplejpeg.encode_jpeg(small, quality=_QUALITY, colorsubsampling="420")
    return encoded
