"""What an image is, by its content alone; and a plain copy of what is unusual."""

from __future__ import annotations

import base64
import hashlib
import io
import random
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import imagehash
import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageOps

from imagetree.curation.inspection import Trait, inspect_image, perceptual_hash
from imagetree.errors import DatabaseError
from imagetree.sources.decoding import decode_image
from imagetree.sources.encoding import encode_plain_jpeg

RED, BLUE = (200, 30, 60), (20, 60, 200)
ARITHMETIC = base64.b64decode(  # 16 x 8, red left and blue right, by `cjpeg -arithmetic`
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDg"
    "sLEBYQERMUFRUVDA8XGBYUGBIUFRT/2wBDAQMEBAUEBQkFBQkUDQsNFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU"
    "FBQUFBQUFBQUFBQUFBQUFBQUFBQUFBT/yQARCAAIABADAREAAhEBAxEB/8wACgAQEAUBEBEF/9oADAMBAAIRAxEAPw"
    "D/AM5Amzs2xdmKiNVgYP/Z"
)


def picture(width: int = 48, height: int = 32) -> Image.Image:
    """Red left and blue right."""
    pixels = np.full((height, width, 3), BLUE, np.uint8)
    pixels[:, : width // 2] = RED
    return Image.fromarray(pixels)


def photograph(seed: int = 0, width: int = 160, height: int = 120) -> Image.Image:
    """Smooth colours without symmetry, so that turning them changes the hash."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def animate(kind: str) -> bytes:
    """Four frames of 20 x 20."""
    frames = [photograph(seed, 20, 20) for seed in range(4)]
    return encode(frames[0], kind, save_all=True, append_images=frames[1:])


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "taken at home"
    return exif


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def sixteen_bit(mode: str) -> bytes:
    shape = (8, 8, 3) if mode == "RGB" else (8, 8)
    return cv2.imencode(".png", np.full(shape, 0x8000, np.uint16))[1].tobytes()


CMYK = encode(picture().convert("CMYK"), "JPEG", quality=95)
YCCK = simplejpeg.encode_jpeg(255 - np.array(picture().convert("CMYK")), 95, colorspace="CMYK")


@pytest.mark.parametrize(
    ("data", "kind", "traits"),
    [
        (encode(picture(), "JPEG"), "JPEG", Trait(0)),
        (encode(picture(), "JPEG", progressive=True), "JPEG", Trait(0)),
        (ARITHMETIC, "JPEG", Trait(0)),
        (encode(picture().convert("L"), "JPEG"), "JPEG", Trait.GREY),
        (CMYK, "JPEG", Trait.CMYK),
        (YCCK, "JPEG", Trait.CMYK),
        (encode(picture(), "JPEG", exif=turned(6)), "JPEG", Trait.ROTATED),
        (encode(picture(), "JPEG", exif=turned(1)), "JPEG", Trait(0)),
        (encode(picture(), "JPEG", exif=turned(9)), "JPEG", Trait(0)),
        (encode(picture(), "JPEG") + b"PK\x03\x04 a zip", "JPEG", Trait.TRAILING),
        (encode(picture(), "JPEG") + bytes(100), "JPEG", Trait(0)),
        (animate("MPO"), "JPEG", Trait.ANIMATED),
        (encode(picture(), "PNG"), "PNG", Trait(0)),
        (encode(picture().convert("RGBA"), "PNG"), "PNG", Trait.ALPHA),
        (encode(picture().convert("LA"), "PNG"), "PNG", Trait.GREY | Trait.ALPHA),
        (encode(picture().convert("P"), "PNG"), "PNG", Trait.PALETTE),
        (encode(picture().convert("P"), "PNG", transparency=0), "PNG", Trait.PALETTE | Trait.ALPHA),
        (encode(picture().convert("1"), "PNG"), "PNG", Trait.GREY),
        (sixteen_bit("I;16"), "PNG", Trait.GREY | Trait.SIXTEEN_BIT),
        (sixteen_bit("RGB"), "PNG", Trait.SIXTEEN_BIT),
        (encode(picture(), "PNG", exif=turned(3)), "PNG", Trait.ROTATED),
        (encode(picture(), "PNG") + b"<script>", "PNG", Trait.TRAILING),
        (animate("PNG"), "PNG", Trait.ANIMATED),
        (encode(picture().convert("P"), "GIF"), "GIF", Trait.PALETTE),
        (encode(picture().convert("P"), "GIF") + b"<i>", "GIF", Trait.PALETTE | Trait.TRAILING),
        (encode(picture(), "WEBP"), "WEBP", Trait(0)),
        (encode(picture(), "WEBP") + b"<script>", "WEBP", Trait.TRAILING),
        (animate("WEBP"), "WEBP", Trait.ANIMATED),
        (encode(picture(), "BMP"), "BMP", Trait(0)),
        (encode(picture(), "BMP") + b"<script>", "BMP", Trait.TRAILING),
        (encode(picture(), "TIFF"), "TIFF", Trait(0)),
        (encode(picture().convert("CMYK"), "TIFF"), "TIFF", Trait.CMYK),
        (cv2.imencode(".tiff", np.full((8, 8, 3), 9000, np.uint16))[1].tobytes(), "TIFF",
         Trait.SIXTEEN_BIT),
    ],
)  # fmt: skip
def test_format_and_traits_are_found_by_content(data: bytes, kind: str, traits: Trait) -> None:
    """Each kind of file, and its plain copy: a JPEG without traits and of the same colours."""
    facts = inspect_image(data)
    assert (facts.format, facts.traits) == (kind, traits)
    assert facts.is_plain == (kind == "JPEG" and not traits)
    plain = encode_plain_jpeg(data)
    assert inspect_image(plain).is_plain
    assert b"Exif" not in plain
    expected = decode_image(data, upright=True).astype(int)
    assert np.abs(decode_image(plain).astype(int) - expected).mean() < 3


def test_facts_of_the_file() -> None:
    """Size as stored, and SHA-256 of the bytes."""
    data = encode(picture(48, 32), "JPEG", exif=turned(6))
    facts = inspect_image(data)
    assert (facts.width, facts.height) == (48, 32)
    assert facts.sha256.hex() == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("data", [CMYK, YCCK, encode(picture().convert("CMYK"), "TIFF")])
def test_inks_come_out_in_their_colours(data: bytes) -> None:
    """CMYK and YCCK as Adobe writes them into JPEGs, inverted, and as they are in a TIFF."""
    pixels = decode_image(encode_plain_jpeg(data))
    assert np.abs(pixels[16, 8].astype(int) - RED).max() < 12
    assert np.abs(pixels[16, 40].astype(int) - BLUE).max() < 12


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations(kind: str, orientation: int) -> None:
    """Pillow's own turning is the measure; the hash of a turned file is that of its picture."""
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    if kind == "WEBP":
        options = {"lossless": True}
    stored = photograph()
    data = encode(stored, kind, exif=turned(orientation), **options)
    with Image.open(io.BytesIO(data)) as image:
        seen = np.array(ImageOps.exif_transpose(image).convert("RGB")).astype(int)
    pixels = decode_image(data, upright=True)
    assert pixels.shape == seen.shape
    assert np.abs(pixels.astype(int) - seen).mean() < 2
    assert pixels.flags.c_contiguous
    plain = inspect_image(encode_plain_jpeg(data))
    assert (plain.height, plain.width) == seen.shape[:2]
    assert (plain.phash ^ inspect_image(data).phash).bit_count() <= 4
    if kind != "TIFF":  # Pillow turns it without being asked
        assert decode_image(data).shape == (120, 160, 3)


def cut_with_end(data: bytes) -> bytes:
    """The first half, closed so that only the missing pixels tell."""
    return data[: len(data) // 2] + b"\xff\xd9"


JPEG = encode(photograph(), "JPEG", quality=90)
PROGRESSIVE = encode(photograph(), "JPEG", quality=90, progressive=True)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an image: 0 bytes"),
        (b"<!DOCTYPE html><html>404</html>", "not an image: .*<!DOCTYP"),
        (b"<svg xmlns='x'></svg>", "not an image"),
        (JPEG[: len(JPEG) // 2], "truncated"),
        (JPEG[:-2], "truncated"),
        (cut_with_end(JPEG), "truncated: .*premature end of data"),
        (PROGRESSIVE[: len(PROGRESSIVE) // 2], "truncated"),
        (cut_with_end(PROGRESSIVE), "truncated: .*premature end of data"),
        (encode(photograph(), "PNG")[:900], "truncated"),
        (encode(photograph(), "WEBP")[:900], "damaged"),
        (encode(photograph(), "TIFF")[:900], "damaged"),
        (JPEG.replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x0c"), "data precision 12"),
    ],
)
def test_what_fails_says_why(data: bytes, message: str) -> None:
    with pytest.raises(DatabaseError, match=message):
        inspect_image(data)


def test_what_libjpeg_gets_over_is_noted() -> None:
    """Stray bytes after the last pixel cost nothing: the image stays, and it is told."""
    assert not inspect_image(JPEG).traits
    assert inspect_image(JPEG[:-2] + b"\x00" * 40 + JPEG[-2:]).traits == Trait.FLAWED


def test_damaged_exif_is_no_fault_of_the_picture() -> None:
    """EXIF that is nonsense is passed over, in silence and in many threads at once."""
    data = bytearray(encode(picture(), "JPEG", exif=turned(6)))
    place = data.index(b"Exif\0\0") + 6
    data[place + 4 : place + 40] = b"\xff" * 36
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(inspect_image, [bytes(data), sixteen_bit("RGB")] * 200))
    assert {facts.traits for facts in found} == {Trait(0), Trait.SIXTEEN_BIT}


def test_bomb_of_frames() -> None:
    """An animated PNG that claims ten million frames of 20 x 20 in some hundred bytes."""
    data = animate("PNG")
    place = data.index(b"acTL")
    count = struct.pack(">II", 10_000_000, 0)
    many = data[: place - 4] + png_chunk(b"acTL", count) + data[place + 4 + 8 + 4 :]
    with pytest.raises(DatabaseError, match="too large: 10000000 frames of 20 x 20 pixels"):
        inspect_image(many)


def test_bomb_of_scans() -> None:
    """A progressive JPEG that goes over its pixels again and again."""
    data = encode(Image.new("RGB", (3000, 2000)), "JPEG", progressive=True)
    assert inspect_image(data).phash is None
    place = data.rindex(b"\xff\xda")
    bomb = data[:place] + data[place:-2] * 400 + b"\xff\xd9"
    with pytest.raises(DatabaseError, match=r"too large: 4\d\d scans of 3000 x 2000 pixels"):
        inspect_image(bomb)


def test_bomb_of_pixels() -> None:
    size = struct.pack(">II5B", 65_500, 65_500, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", size) + png_chunk(b"IDAT", bytes(9))
    with pytest.raises(DatabaseError, match="too large"):
        inspect_image(data)


def test_too_wide_for_a_jpeg() -> None:
    """A PNG that can be read and not be made a JPEG of."""
    with pytest.raises(DatabaseError, match="too large for a JPEG: 70000 x 3 pixels"):
        encode_plain_jpeg(encode(Image.new("RGB", (70_000, 3)), "PNG"))


def test_hash_is_that_of_imagehash() -> None:
    """Our quicker way of reducing a picture moves few of the library's 64 bits."""
    apart = []
    for seed in range(20):
        image = photograph(seed, 500, 375)
        theirs = int.from_bytes(np.packbits(imagehash.phash(image).hash).tobytes(), "big")
        apart.append((perceptual_hash(np.array(image)) ^ theirs).bit_count())
    assert np.mean(apart) < 3
    assert max(apart) <= 8


def test_hash_of_one_colour_is_none() -> None:
    """Also where JPEG's own noise lies over it; a faint picture has a hash."""
    noise = np.random.default_rng(0).integers(120, 124, (64, 64, 3), dtype=np.uint8)
    assert inspect_image(encode(Image.new("RGB", (64, 64), RED), "JPEG")).phash is None
    assert inspect_image(encode(Image.fromarray(noise), "JPEG", quality=20)).phash is None
    assert (
        inspect_image(encode(photograph().point(lambda v: 100 + v // 8), "PNG")).phash is not None
    )


def test_one_pixel() -> None:
    facts = inspect_image(encode(Image.new("RGB", (1, 1)), "PNG"))
    assert (facts.width, facts.height, facts.phash) == (1, 1, None)


def test_damaged_bytes_raise_nothing_else() -> None:
    """Thousands of damaged files of every format: read, or refused with our own error."""
    seeds = [
        encode(photograph(0, 17, 12), kind, exif=turned(6)) for kind in ("JPEG", "PNG", "WEBP")
    ]
    seeds += [encode(photograph(0, 17, 12), kind) for kind in ("BMP", "GIF")]
    seeds += [animate("GIF")]
    draw = random.Random(0)
    for _ in range(3000):
        data = bytearray(draw.choice(seeds))
        for _ in range(draw.choice((1, 2, 8))):
            data[draw.randrange(len(data))] = draw.choice((0, 1, 127, 255, draw.randrange(256)))
        if draw.random() < 0.3:
            del data[draw.randrange(1, len(data)) :]
        try:
            inspect_image(bytes(data))
        except DatabaseError as error:
            assert error.message  # noqa: PT017  any of our reasons will do


def test_errors_of_the_reader_are_ours() -> None:
    """A TIFF whose second page has no width: Pillow itself runs into a TypeError."""
    data = animate("TIFF")
    width = struct.pack("<HHI", 256, 4, 1)
    place = data.index(width, data.index(width) + 1)
    with pytest.raises(DatabaseError, match="damaged: TypeError, Missing dimensions"):
        inspect_image(data[:place] + struct.pack("<H", 257) + data[place + 2 :])
