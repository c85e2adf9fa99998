"""The site over 14,197,122 images under load: pages a second, their times, memory of a worker.

    python bench/web.py                        60 s, two workers, as fast as 16 visitors get answers
    python bench/web.py --seconds 300          the bar: 300 pages/s, p99 100 ms, 0 errors, 400 MB
    python bench/web.py --rate 300             so many pages a second asked for, and no more

The database is that of `bench/database.py`, which makes it where it is missing; `--database` names
another. The site runs as `imagetree web serve` does. Visitors are connections that are kept, in a
process of their own; what they ask for is drawn at random by a seed: home, pages of synsets with
images, further pages of these, subtrees, search by lemmas, JSON twins. With `--rate` the time of a
page counts from the moment when it was to be asked for, so that a site that stalls is not spared
the requests of that time. Every answer must be whole and of status 200; of each hundredth the text
is read.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import os
import platform
import random
import shlex
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from database import bench_import
from imagetree.database import counts, open_database
from imagetree.database.store import upgrade
from imagetree.wordnet import load_nouns
from run import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

MIX = {"home": 10, "synset": 45, "subtree": 10, "next": 10, "search": 15, "twin": 10}
"""Of a hundred requests."""

DRAWN = 20_000
"""Addresses that are drawn; a run begins again when all were asked for."""


class Asked(NamedTuple):
    """A page that was asked for: of which kind, how it went, when and for how long."""

    kind: str
    error: str
    seconds: float


def draw(place: str, seed: int) -> list[tuple[str, str]]:
    """Kinds and addresses at random: synsets that have images, and those above them."""
    rng = random.Random(seed)
    with open_database(place) as database:
        wnids = list(counts(database))
    nouns = load_nouns()
    above = sorted({parent for wnid in wnids for parent in nouns.hypernyms(wnid, instances=True)})

    def address(kind: str) -> str:
        wnid = rng.choice(above if kind == "subtree" else wnids)
        lemma = quote(nouns.synset(wnid).lemma)
        return {
            "home": "/",
            "synset": f"/synset/{wnid}",
            "subtree": f"/synset/{wnid}",
            "next": f"/synset/{wnid}?after={wnid}_{rng.randrange(40_000)}",
            "search": f"/search?q={lemma[: rng.randrange(3, 20)] if '%' not in lemma else lemma}",
            "twin": f"/synset/{wnid}.json",
        }[kind]

    kinds = rng.choices(list(MIX), list(MIX.values()), k=DRAWN)
    return [(kind, address(kind)) for kind in kinds]


@contextmanager
def site(place: str, workers: int) -> Iterator[tuple[int, int]]:
    """The site as processes of its own: its port and the number of the first process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ["web", "serve", "--database", place, "--port", str(port), "--workers", str(workers)]
    command = [sys.executable, "-c", "from imagetree.cli import run; run()", *words]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):  # until all workers answer: connections stay with who takes them
            assert server.poll() is None, f"the site did not start: {shlex.join(command)}"
            with (
                suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as it,
            ):
                if it.read().count(b"imagetree_worker_memory_bytes{") == workers:
                    break
            time.sleep(0.1)
        yield port, server.pid
    finally:
        server.terminate()
        server.wait()


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    pids = [pid]
    for each in pids:
        with suppress(OSError):
            pids += map(int, Path(f"/proc/{each}/task/{each}/children").read_text().split())
    return pids


def peaks(pids: list[int]) -> list[float]:
    """Most memory in megabytes that each process ever had, the most first."""
    found = []
    for each in pids:
        status = Path(f"/proc/{each}/status").read_text()
        found.append(int(status.split("VmHWM:")[1].split()[0]) / 1024)
    return sorted(found, reverse=True)


def cpu_seconds(pids: list[int]) -> float:
    """Of the processors, that processes have had."""
    ticks = 0
    for each in pids:
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # utime and stime
    return ticks / os.sysconf("SC_CLK_TCK")


class Visitor:
    """One connection that is kept and asks for a page after the other."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, path: str, *, is_read: bool) -> str:
        """What was wrong with the answer; empty for nothing."""
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = self._streams
            head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip\r\n\r\n"
            writer.write(head.encode("ascii"))
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines[1:] if line)
            body = await reader.readexactly(int(headers["content-length"]))
        except (OSError, EOFError, KeyError) as error:
            self._streams = None
            return f"{type(error).__name__}: {error}"
        status = lines[0].split()[1]
        if status != "200":
            return f"status {status}"
        if not is_read:
            return ""
        text = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
        end = b"}" if ".json" in path else b"</html>"
        return "" if text.rstrip().endswith(end) else "the page has no end"


async def load(port: int, pages: list[tuple[str, str]], given: argparse.Namespace) -> list[Asked]:
    """Ask for pages until the time is up."""
    asked: list[Asked] = []
    began = time.perf_counter()
    numbers = iter(range(1 << 60))

    async def visit() -> None:
        visitor = Visitor(port)
        while True:
            number = next(numbers)
            at = began + number / given.rate if given.rate else time.perf_counter()
            if max(at, time.perf_counter()) - began > given.seconds:
                return
            if at > time.perf_counter():
                await asyncio.sleep(at - time.perf_counter())
            kind, path = pages[number % len(pages)]
            error = await visitor.ask(path, is_read=number % 100 == 0)
            asked.append(Asked(kind, error, time.perf_counter() - at))

    await asyncio.gather(*(visit() for _ in range(given.visitors)))
    return asked


def generate(given: argparse.Namespace) -> None:
    """The generator's own process: what was asked for, as JSON."""
    pages = json.loads(Path(given.pages).read_text())
    json.dump(asyncio.run(load(given.port, pages, given)), sys.stdout)


def percentile(seconds: list[float], part: float) -> float:
    """In milliseconds."""
    return 1e3 * sorted(seconds)[min(int(part * len(seconds)), len(seconds) - 1)]


def report(asked: list[Asked], seconds: float, cpu: float, memory: list[float]) -> bool:
    """Print the figures; whether all bars are reached."""
    errors = [each for each in asked if each.error]
    times = [each.seconds for each in asked]
    rate, p99 = len(asked) / seconds, percentile(times, 0.99)
    print(f"  {'pages':9} {'number':>8} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}")
    for kind in ("all", *MIX):
        own = [each.seconds for each in asked if kind in {"all", each.kind}]
        figures = "".join(f" {percentile(own, part):8.1f}" for part in (0.5, 0.99, 1))
        print(f"  {kind:9} {len(own):8,}{figures}")
    print(f"  {rate:.0f} pages/s (bar: 300), p99 {p99:.1f} ms (bar: 100), {len(errors)} errors")
    print(f"  {1e3 * cpu / len(asked):.2f} ms of a processor a page, in the site")
    print(f"  peak memory of the processes: {', '.join(f'{each:.0f}' for each in memory)} MB")
    for each in errors[:5]:
        print(f"  error: {each.kind}: {each.error}")
    return rate >= 300 and p99 < 100 and not errors and memory[0] < 400


def prepared(place: str) -> str:
    """A database of the newest schema, made where it is missing."""
    if not Path(place).exists():
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        bench_import(Path(place).parent)
    upgrade(place)
    return place


def main() -> None:
    """Serve, load, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", default=str(ROOT / "build" / "bench" / "images.db"))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--visitors", type=int, default=16)
    parser.add_argument("--rate", type=float, default=0, help="pages a second; 0: all that go")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--generate", dest="pages", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.pages:
        generate(given)
        return
    place = prepared(given.database)
    pages = draw(place, given.seed)
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with (
        tempfile.NamedTemporaryFile("w", suffix=".json") as file,
        site(place, given.workers) as (port, pid),
    ):
        json.dump(pages, file)
        file.flush()
        command = [sys.executable, __file__, "--generate", file.name, "--port", str(port)]
        for name in ("seconds", "visitors", "rate"):
            command += [f"--{name}", str(getattr(given, name))]
        pids = tree(pid)
        before = cpu_seconds(pids)
        found = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        cpu = cpu_seconds(pids) - before
        asked = [Asked(*each) for each in json.loads(found)]
        is_reached = report(asked, given.seconds, cpu, peaks(pids))
    print("  all bars are reached" if is_reached else "  a bar is missed")
    sys.exit(not is_reached)


if __name__ == "__main__":
    main()
