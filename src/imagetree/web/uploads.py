"""Photos that visitors send: decoded aside under caps, made anew, shown for an hour.

Each is decoded in a process of its own, which may use so much time and memory and write no file;
what comes back is a plain JPEG, upright and without metadata, and the bytes that were sent end
there. The folder is shared by the processes of a site and is bounded; names in it are random.
"""

from __future__ import annotations

import os
import re
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from imagetree.errors import DatabaseError
from imagetree.files import write_atomic

MAX_BYTES = 20 << 20
MAX_PIXELS = 50_000_000
MAX_SIDE = 1024
"""Of what is kept, in pixels: more than any network here looks at."""

MAX_KEPT = 200
KEPT_SECONDS = 3600.0
_CPU_SECONDS = 10
_WALL_SECONDS = 30.0
_MEMORY = 2 << 30  # of addresses: libraries take a part without using it
_NAME = re.compile(r"[A-Za-z0-9_-]{22}")
_REFUSED = 3  # exit status of a worker that says why on its standard error


def make_plain(data: bytes) -> bytes:
    """A photo as a plain JPEG, decoded in a process of its own.

    Args:
        data: the file as it was sent.

    Raises:
        DatabaseError: it is no photo that can be taken; the message is for who sent it.
    """
    if not data:
        raise DatabaseError("no photo was sent")
    if len(data) > MAX_BYTES:
        raise DatabaseError(f"the photo has more than {MAX_BYTES >> 20} MB")
    command = [sys.executable, "-m", "imagetree.web.uploads"]
    try:
        done = subprocess.run(
            command, input=data, capture_output=True, timeout=_WALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise DatabaseError("the photo takes too long to decode") from None
    if done.returncode == _REFUSED:
        raise DatabaseError(done.stderr.decode("utf-8", "replace").strip())
    if done.returncode or not done.stdout:
        raise DatabaseError("the photo takes too much time or memory to decode")
    return done.stdout


def keep(plain: bytes) -> str:
    """Keep a photo for an hour; the oldest go where there are too many.

    Args:
        plain: what `make_plain` gave.

    Returns:
        Its name, at random.

    Raises:
        DatabaseError: the folder is somebody else's.
    """
    name = secrets.token_urlsafe(16)
    folder = _folder()
    write_atomic(folder / f"{name}.jpg", plain)
    _clear(folder)
    return name


def kept(name: str) -> Path | None:
    """Where a photo lies; None where there is none of that name, or it is older than an hour."""
    if not _NAME.fullmatch(name):
        return None
    place = _folder() / f"{name}.jpg"
    return place if _age(place) < KEPT_SECONDS else None


def _folder() -> Path:
    """The folder of this user's sites, which nobody else can read."""
    folder = Path(tempfile.gettempdir(), f"imagetree-uploads-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise DatabaseError(f"{folder}: it is open to others (expected a folder of this user's)")
    return folder


def _clear(folder: Path) -> None:
    """Remove what is too old, and the oldest of what is too much."""
    newest = sorted(folder.glob("*.jpg"), key=lambda place: (_age(place), place.name))
    for index, place in enumerate(newest):
        if index >= MAX_KEPT or _age(place) >= KEPT_SECONDS:
            place.unlink(missing_ok=True)


def _age(place: Path) -> float:
    """In seconds; endless for what another process has removed."""
    try:
        return time.time() - place.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def plain_photo(data: bytes) -> bytes:
    """A photo as a plain JPEG, decoded here and now: for the worker.

    Raises:
        DatabaseError: it is no photo that can be taken.
    """
    import cv2
    import numpy as np
    import simplejpeg

    from imagetree.sources.decoding import decode_with_complaint, read_header, turn_upright

    try:
        header = read_header(data)
    except DatabaseError as error:
        if error.message.startswith("too large"):
            raise DatabaseError("the photo has too many pixels") from None
        raise DatabaseError("this is no image, or a damaged one") from None
    if header.width * header.height > MAX_PIXELS:
        raise DatabaseError(f"the photo has more than {MAX_PIXELS // 10**6} megapixels")
    if header.num_frames > 1 and header.format != "JPEG":  # cameras put previews behind a JPEG
        raise DatabaseError("the image is animated or has several pages: send a single picture")
    if header.mode == "CMYK":
        raise DatabaseError("the image is in CMYK, for print: save it in RGB")
    try:
        pixels, complaint = decode_with_complaint(data)
    except DatabaseError:
        complaint = "damaged"
    if "premature" in complaint.lower() or complaint == "damaged":
        raise DatabaseError("the image is damaged or cut off")
    pixels = turn_upright(pixels, header.orientation)
    share = MAX_SIDE / max(pixels.shape[:2])
    if share < 1:
        height, width = (max(1, round(side * share)) for side in pixels.shape[:2])
        pixels = np.asarray(
            cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8
        )
    plain: bytes = simplejpeg.encode_jpeg(pixels, quality=92, colorsubsampling="444")
    return plain


def _work() -> None:
    """Photo in, JPEG out; under caps that are set before a byte is looked at."""
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        sys.stdout.buffer.write(plain_photo(sys.stdin.buffer.read(MAX_BYTES + 1)))
    except DatabaseError as error:
        sys.stderr.write(error.message)
        sys.exit(_REFUSED)


if __name__ == "__main__":
    _work()
