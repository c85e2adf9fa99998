"""Photos that are sent: what attacks is refused in a sentence, what is kept is made anew."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib

import pytest
from PIL import Image

from imagetree.errors import DatabaseError
from imagetree.web import uploads


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def _file(kind: str, size=(40, 20), mode="RGB", **options) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, "red" if mode == "RGB" else None).save(file, kind, **options)
    return file.getvalue()


def _bomb() -> bytes:
    """A PNG that says that it has 20,000 x 20,000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    pixels = b"IDAT" + zlib.compress(bytes(1000))
    chunks = [header, pixels, b"IEND"]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(each) - 4) + each + struct.pack(">I", zlib.crc32(each))
        for each in chunks
    )


ANIMATED = _file("GIF", save_all=True, append_images=[Image.new("RGB", (40, 20), "blue")])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no photo"),
        (b"hello, I am text\n" * 9, "no image"),
        (b"<svg onload='alert(1)'/>", "no image"),
        (_bomb(), "too many pixels"),
        (_file("PNG", (8000, 7000)), "more than 50 megapixels"),
        (_file("JPEG", (400, 400))[:-200], "damaged or cut off"),
        (_file("PNG", (400, 400))[:-60], "damaged"),
        (ANIMATED, "animated"),
        (_file("JPEG", mode="CMYK"), "CMYK"),
        (bytes(uploads.MAX_BYTES + 1), "more than 20 MB"),
    ],
)
def test_what_is_no_photo_is_refused_in_a_sentence(data, reason) -> None:
    with pytest.raises(DatabaseError, match=reason) as refused:
        uploads.make_plain(data)
    assert "\n" not in refused.value.message
    assert "/" not in refused.value.message


def test_a_photo_comes_back_upright_small_and_without_metadata() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "secret place"
    sent = _file("JPEG", (2000, 1000), exif=exif)
    plain = uploads.make_plain(sent)
    assert b"secret place" in sent
    assert b"secret place" not in plain
    shown = Image.open(io.BytesIO(plain))
    assert (shown.format, shown.size, dict(shown.getexif())) == ("JPEG", (512, 1024), {})


def test_what_is_behind_the_photo_is_gone() -> None:
    assert b"<script>" not in uploads.make_plain(_file("JPEG") + b"<script>alert(1)</script>")


def test_the_decoder_is_capped(monkeypatch) -> None:
    monkeypatch.setattr(uploads, "_WALL_SECONDS", 0.001)
    with pytest.raises(DatabaseError, match="too long"):
        uploads.make_plain(_file("JPEG"))


WORKER = """
import imagetree.web.uploads as uploads
uploads._CPU_SECONDS = 1
def decode(data):
    {}
uploads.plain_photo = decode
uploads._work()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "hostile",
    [
        "return bytes(uploads._MEMORY)",
        "while True: pass",
        "import os; os.write(os.open('written', os.O_CREAT | os.O_WRONLY), data); return data",
    ],
    ids=["memory", "time", "file"],
)
def test_a_decoder_that_was_taken_over_is_held_by_the_system(tmp_path, hostile) -> None:
    """More memory than allowed, time without end, a file: nothing comes back, nothing stays."""
    code = WORKER.format(hostile)
    done = subprocess.run(
        [sys.executable, "-c", code], input=_file("JPEG"), capture_output=True, cwd=tmp_path
    )
    assert done.returncode not in {0, uploads._REFUSED}
    assert done.stdout == b""
    assert [path.stat().st_size for path in tmp_path.iterdir()] in ([], [0])


def test_a_photo_is_kept_for_an_hour() -> None:
    name = uploads.keep(b"photo")
    place = uploads.kept(name)
    assert place is not None
    assert place.read_bytes() == b"photo"
    os.utime(place, (1, 1))
    assert uploads.kept(name) is None
    uploads.keep(b"other")
    assert not place.exists()


def test_the_folder_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr(uploads, "MAX_KEPT", 3)
    names = [uploads.keep(b"photo") for _ in range(6)]
    assert sum(uploads.kept(name) is not None for name in names) == 3


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "a" * 21, "." * 22, "a" * 21 + "/"])
def test_no_name_leads_elsewhere(name) -> None:
    assert uploads.kept(name) is None


def test_a_folder_that_others_can_read_is_not_used(tmp_path) -> None:
    folder = tmp_path / f"imagetree-uploads-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o755)
    with pytest.raises(DatabaseError, match="open to others"):
        uploads.keep(b"photo")
