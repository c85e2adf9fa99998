"""`imagetree pack`: resize the images of a challenge once and keep them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from imagetree.cli.output import DEFAULT_DATABASE, DatabaseOption, progress_bar


def pack(
    challenge: Path,
    folder: Path,
    *,
    size: int = 256,
    kind: Literal["pixels", "jpeg"] = "pixels",
    database: DatabaseOption = DEFAULT_DATABASE,
) -> int:
    """Keep the images of train and minival resized, so that training need not decode them again.

    Pixels take size x size x 3 bytes an image and no decoding; JPEGs take a tenth of it and less
    decoding than the originals. Ctrl-C ends it, and the same command goes on. Train from it with
    `imagetree train CHALLENGE RUN --pack FOLDER`.

    Example: imagetree pack demo/challenge demo/pack --size 256 --database demo/imagetree.db

    Args:
        challenge: folder of the challenge.
        folder: of the pack; made if it is missing.
        size: side of the squares, or short side of the JPEGs, in pixels.
        kind: plain pixels, or JPEGs.
    """
    from imagetree.challenge.definition import load_challenge
    from imagetree.challenge.images import locate_split
    from imagetree.database.reading import ImageReader
    from imagetree.database.store import open_database
    from imagetree.training.pack import make_pack

    definition = load_challenge(challenge)
    num_bad = 0
    with open_database(database) as store, ImageReader(store) as reader:
        for split in ("train", "minival"):
            images = locate_split(definition, split, store, reader)
            with progress_bar(split) as bar:
                info = make_pack(images, folder / split, size, kind, bar)
            for index, reason in info.bad.items():
                print(f"{images.names[index]}: set aside, {reason}")
            num_bad += len(info.bad)
            print(f"{folder / split}: {info.num_images - len(info.bad):,} images")
    return 1 if num_bad else 0
