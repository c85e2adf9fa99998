"""A subtree's tar over HTTP from a running site, beside `cat` of the same bytes.

    python bench/downloads.py                      1 GB in images of 110 KB, as ImageNet's are
    python bench/downloads.py --image-bytes 11000  the same in small images
    python bench/downloads.py --mebibytes 4096     whether memory stays as it is
    python bench/downloads.py --cold               pages are thrown out of memory before each run

The images are random bytes behind a JPEG's first ones: nothing here decodes them. In turn are
measured `curl` of the archive, `cat` of the finished archive through a pipe, and the limit: `curl`
of the finished archive from a bare server that calls sendfile. The server's memory is its own peak
(VmHWM) before the downloads and after. Then a download is broken off in the middle and resumed, and
what arrived is compared with its checksum.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shlex
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.request
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from archive import evict
from imagetree.database import import_source, open_database
from imagetree.export.archive import write_tar
from imagetree.export.selection import Selection
from run import interleaved, show

if TYPE_CHECKING:
    from collections.abc import Iterator

DOG, CHIHUAHUA = "n02084071", "n02085620"
JPEG_START = b"\xff\xd8\xff\xe0"


def build(folder: Path, total: int, image_bytes: int) -> tuple[Path, Path]:
    """A database over folders of images, and the archive of it as the command line writes it."""
    source = folder / "classes"
    for number in range(total // image_bytes):
        wnid = (DOG, CHIHUAHUA)[number % 2]
        path = source / wnid / f"{wnid}_{number}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(JPEG_START + os.urandom(image_bytes - len(JPEG_START)))
    packed = folder / "packed.tar"
    with tarfile.open(packed, "w") as archive:  # one file to read from, as ImageNet's archives
        for each in sorted(source.iterdir()):
            archive.add(each, each.name)
    place = folder / "images.db"
    with open_database(place, create=True) as database:
        import_source(database, packed)
        write_tar(database, folder / "expected.tar", Selection((DOG,), subtree=True))
    os.sync()  # so that throwing pages out of memory works
    return place, folder / "expected.tar"


@contextmanager
def site(place: Path) -> Iterator[tuple[str, int]]:
    """The site as a process of its own: its address and the process's number."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    code = "from imagetree.cli import run; run()"
    words = ["web", "serve", "--database", str(place), "--port", str(port)]
    command = [sys.executable, "-c", code, *words]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            with suppress(OSError), urllib.request.urlopen(f"{address}/health"):
                break
            time.sleep(0.1)
        yield address, server.pid
    finally:
        server.terminate()
        server.wait()


@contextmanager
def sendfile_server(path: Path) -> Iterator[str]:
    """The limit: a file sent by the kernel to whoever connects; its address."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection, path.open("rb") as file, suppress(OSError):
                connection.recv(1 << 16)
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {path.stat().st_size}\r\n\r\n"
                connection.sendall(head.encode())
                connection.sendfile(file)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        listening.close()


def peak_megabytes(pid: int) -> float:
    """Most memory that a process ever had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def shell(command: str) -> None:
    """Run a command of bash; all its parts must succeed."""
    subprocess.run(["bash", "-o", "pipefail", "-c", command], check=True)


def resumed(link: dict[str, str], folder: Path) -> str:
    """SHA-256 of a download that was broken off in the middle and gone on with."""
    out = folder / "resumed.tar"
    url, half = shlex.quote(link["url"]), int(link["size"]) // 2
    shell(f"curl -s {url} | head -c {half} > {out} || true")
    shell(f"curl -s -C - -o {out} {url}")
    with out.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    out.unlink()
    return digest


def main() -> None:
    """Build, serve, measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mebibytes", type=int, default=1024)
    parser.add_argument("--image-bytes", type=int, default=110_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cold", action="store_true", help="from the disk, not from memory")
    given = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place, expected = build(folder, given.mebibytes << 20, given.image_bytes)
        with site(place) as (address, pid), sendfile_server(expected) as bare:
            with urllib.request.urlopen(f"{address}/download/{DOG}/link.json?subtree=true") as file:
                link = json.load(file)
            assert link["size"] == expected.stat().st_size
            shell(f"curl -s {shlex.quote(link['url'])} | head -c 100 > /dev/null || true")
            before = peak_megabytes(pid)
            commands = {
                "imagetree": f"curl -s -o /dev/null {shlex.quote(link['url'])}",
                "cat": f"cat {expected} | cat > /dev/null",
                "limit: sendfile": f"curl -s -o /dev/null {bare}",
            }

            def run(command: str) -> None:
                if given.cold:
                    for path in (folder / "packed.tar", expected):
                        evict(path)
                shell(command)

            seconds = interleaved(
                given.rounds,
                **{name: partial(run, command) for name, command in commands.items()},
            )
            after = peak_megabytes(pid)
            what = f"{link['size'] / 1e9:.2f} GB in {link['num_images']:,} images"
            show(f"{what}, from {'the disk' if given.cold else 'memory'}", seconds, "imagetree")
            ratio = statistics.median(seconds["cat"]) / statistics.median(seconds["imagetree"])
            print(f"  {ratio:.2f} of cat's speed (bar: 0.5)")
            print(f"  peak of the server: {before:.0f} MB before, {after:.0f} MB after")
            listed = (folder / "expected.tar.sha256").read_text().split()[0]
            assert resumed(link, folder) == listed
            print("  broken off and resumed: the checksum is right")


if __name__ == "__main__":
    main()
