"""What is counted of the requests, and its text for Prometheus.

Several worker processes listen at one address, so that whoever asks meets any of them. Each keeps
its own counts and writes them to a file of a folder that all share, once a second where they have
changed; the one that is asked adds up all files. Counts of a worker that has ended stay in the sum,
so that no counter ever falls; what is open in it does not.

Source of the format: the text exposition format of Prometheus, version 0.0.4.
"""

from __future__ import annotations

import json
import os
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from imagetree.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper ends in seconds of the times that are told apart; the last, infinity, is not named."""

_PREFIX = "imagetree_"
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class Kind(NamedTuple):
    """Requests that are counted together.

    Args:
        method: of HTTP; "OTHER" for what is none of the usual, as a visitor can invent any.
        route: template of the address, as `/synset/{wnid}`; "none" where none fits.
        status: of the answer.
    """

    method: str
    route: str
    status: int


@dataclass
class Tally:
    """What is counted of one kind of requests.

    Args:
        buckets: requests by time, in the order of `BUCKETS`, the last the slower ones.
        seconds: of all of them.
        bytes: of the bodies of all answers.
    """

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0
    bytes: int = 0

    def add(self, other: Tally) -> None:
        """Add another's counts."""
        self.buckets = [a + b for a, b in zip(self.buckets, other.buckets, strict=True)]
        self.seconds += other.seconds
        self.bytes += other.bytes


class Metrics:
    """The counts of this process, and with a folder those of all that share it.

    It is used from the event loop alone and needs no lock.

    Args:
        folder: that the workers of a site share; None for a single one.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._tallies: dict[Kind, Tally] = {}
        self._open: Counter[str] = Counter()
        self._is_written = False

    def begin(self, route: str) -> None:
        """Note that an answer is under way; `end` follows."""
        self._open[route] += 1
        self._is_written = False

    def end(self, route: str) -> None:
        """Note that it was sent, or broken off."""
        self._open[route] -= 1
        self._is_written = False

    def observe(self, kind: Kind, seconds: float, num_bytes: int) -> None:
        """Count a request.

        Args:
            kind: of it; any method is taken.
            seconds: from its head to the end of its answer.
            num_bytes: of the answer's body.
        """
        if kind.method not in _METHODS:
            kind = kind._replace(method="OTHER")
        tally = self._tallies.setdefault(kind, Tally())
        tally.buckets[bisect_left(BUCKETS, seconds)] += 1
        tally.seconds += seconds
        tally.bytes += num_bytes
        self._is_written = False

    def write(self) -> None:
        """Write the counts for the other workers, where they have changed."""
        if self._folder is None or self._is_written:
            return
        self._is_written = True
        write_atomic(self._folder / f"{os.getpid()}.json", json.dumps(self._snapshot()))

    def render(self, database: Mapping[str, int]) -> str:
        """The counts of all workers.

        This one's are written first: no count falls, once told, if the process is killed.

        Args:
            database: gauges by name, as `{"images": 14197122}`.
        """
        self.write()
        snapshots = [self._snapshot(), *self._others()]
        alive = [each for each in snapshots if _is_alive(each["pid"])]
        return "".join(f"{line}\n" for line in _lines(snapshots, alive, database))

    def _snapshot(self) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "memory": _resident_bytes(),
            "open": {route: number for route, number in self._open.items() if number},
            "requests": [
                [*kind, tally.buckets, tally.seconds, tally.bytes]
                for kind, tally in self._tallies.items()
            ],
        }

    def _others(self) -> Iterator[dict[str, Any]]:
        if self._folder is not None:
            for path in sorted(self._folder.glob("*.json")):
                if path.stem != str(os.getpid()):
                    yield json.loads(path.read_text())


def _lines(
    snapshots: list[dict[str, Any]], alive: list[dict[str, Any]], database: Mapping[str, int]
) -> Iterator[str]:
    tallies: dict[Kind, Tally] = {}
    for snapshot in snapshots:
        for *kind, buckets, seconds, num_bytes in snapshot["requests"]:
            tallies.setdefault(Kind(*kind), Tally()).add(Tally(buckets, seconds, num_bytes))
    by_kind = sorted(tallies.items())
    yield from _metric(
        "http_requests_total",
        "counter",
        "Requests that were answered.",
        ((_labels(kind), sum(tally.buckets)) for kind, tally in by_kind),
    )
    yield from _metric(
        "http_response_bytes_total",
        "counter",
        "Bytes of the bodies of answers.",
        ((_labels(kind), tally.bytes) for kind, tally in by_kind),
    )
    yield from _times(by_kind)
    still_open: Counter[str] = Counter()
    for snapshot in alive:
        still_open.update(snapshot["open"])
    yield from _metric(
        "http_answers_open",
        "gauge",
        "Answers that are being sent; those of an archive are downloads.",
        (({"route": route}, number) for route, number in sorted(still_open.items())),
    )
    yield from _metric(
        "worker_memory_bytes",
        "gauge",
        "Resident memory of each worker process.",
        (({"worker": str(each["pid"])}, each["memory"]) for each in alive),
    )
    for name, value in database.items():
        yield from _metric(name, "gauge", f"Of the database: {name}.", [({}, value)])


def _times(by_kind: Iterable[tuple[Kind, Tally]]) -> Iterator[str]:
    """The histogram of the times by method and route."""
    sums: dict[tuple[str, str], Tally] = {}
    for kind, tally in by_kind:
        sums.setdefault((kind.method, kind.route), Tally()).add(tally)
    name = f"{_PREFIX}http_request_seconds"
    yield f"# HELP {name} Seconds from the head of a request to the end of its answer."
    yield f"# TYPE {name} histogram"
    for (method, route), tally in sums.items():
        labels = {"method": method, "route": route}
        ends = [*map(str, BUCKETS), "+Inf"]
        for end, number in zip(ends, accumulate(tally.buckets), strict=True):
            yield _sample(f"{name}_bucket", {**labels, "le": end}, number)
        yield _sample(f"{name}_sum", labels, tally.seconds)
        yield _sample(f"{name}_count", labels, sum(tally.buckets))


def _metric(
    name: str, kind: str, about: str, samples: Iterable[tuple[Mapping[str, str], float]]
) -> Iterator[str]:
    yield f"# HELP {_PREFIX}{name} {about}"
    yield f"# TYPE {_PREFIX}{name} {kind}"
    for labels, value in samples:
        yield _sample(f"{_PREFIX}{name}", labels, value)


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    written = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
    return f"{name}{{{written}}} {value}" if written else f"{name} {value}"


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _labels(kind: Kind) -> dict[str, str]:
    return {"method": kind.method, "route": kind.route, "status": str(kind.status)}


def _is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
