"""Ask a running site whatever its OpenAPI allows, and more: no failure, no answer undocumented.

    python -m tests.fuzz.fuzz_site --seconds 900

The site is `imagetree web serve` over drawn images with something on every page. Schemathesis asks
in rounds, by turns as a visitor and with a curator's token, each round with a seed of its own; two
rounds with values at their bounds, two with values at random alone, and so on. Half of the values
are such that there is something at the address. A finding is printed with the command
that asks for it again, and the run ends with another status than 0.
"""

from __future__ import annotations

import argparse
import collections
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from ..web.furnished import BOARD, Furnished, furnish
from ..web.running import running

EXAMPLES = 60
"""Values at random for each address in a round;"""
ACCEPTED = ["2xx", "3xx", 401, 403, 404, 409, 410, 416, 429, 503]
"""What allowed values may be answered with: not all that may be asked for is there."""
ROUND_SECONDS = 210
"""which ends after so long."""


def known(site: Furnished) -> dict[str, list[str]]:
    """Of each variable of an address, values that lead somewhere."""
    wnid, image = site.fields["wnid"], site.fields["key"]
    return {
        "wnid": [wnid, "n13863186", "n00001740"],
        "key": [image],
        "after": [image],
        "image": [image],
        "name": ["single_gpu", "two_gpu", BOARD, "words.txt", wnid, f"{wnid}_subtree"],
        "layer": ["conv1", "pool2", "fc8"],
        "number": ["1", "2", "3"],
        "position": ["1", "6"],
        "q": ["square", "circel", "n13878634"],
        "guess": ["square", "figure"],
    }


def put_known(values: dict[str, Any], good: dict[str, list[str]]) -> dict[str, Any]:
    """Known values in place of about half of those that are allowed, always of the same."""
    found = {}
    for name, value in values.items():
        chosen = zlib.crc32(repr(value).encode())
        keeps = name not in good or not _may_stand(name, value) or chosen % 2
        found[name] = value if keeps else good[name][chosen // 2 % len(good[name])]
    return found


def _may_stand(name: str, value: object) -> bool:
    """Whether a variable can have a value; what cannot is to be refused, and stays."""
    if name in {"number", "position"}:
        return type(value) is int and 1 <= value <= 999_999_999
    return type(value) is str and len(value) <= 200


def ask(url: str, site: Furnished, number: int, seconds: float) -> tuple[collections.Counter, dict]:
    """One round: how many answers there were of each status, and what was wrong with which."""
    token = site.tokens["curator"] if number % 2 else ""
    at_bounds = number // 2 % 2 == 0  # these values are the same in each round
    config = SchemathesisConfig.from_dict(
        {
            "seed": number,
            "max-time": max(int(seconds), 1),
            "continue-on-failure": True,
            "headers": {"Authorization": f"Bearer {token}"} if token else {},
            "generation": {"max-examples": EXAMPLES},
            "checks": {"positive_data_acceptance": {"expected-statuses": ACCEPTED}},
            "phases": {"coverage": {"enabled": at_bounds}},
        }
    )
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", config=config)
    good = known(site)

    @schema.hook
    def map_path_parameters(_context: object, values: dict[str, Any] | None) -> Any:
        return put_known(values, good) if values else values

    @schema.hook
    def map_query(_context: object, values: dict[str, Any] | None) -> Any:
        return put_known(values, good) if values else values

    answers: collections.Counter = collections.Counter()
    faults: dict[str, str] = {}
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            faults[str(event.info if isinstance(event, events.NonFatalError) else event)] = ""
        if not isinstance(event, events.ScenarioFinished):
            continue
        recorder = event.recorder
        for each in recorder.interactions.values():
            answers[each.response.status_code if each.response else "none"] += 1
        for case, checks in recorder.checks.items():
            for check in checks:
                if check.failure_info is not None:
                    asked = recorder.interactions[case].request
                    text = f"{recorder.label}: {check.name}: {check.failure_info.failure}"
                    faults.setdefault(text, f"{asked.method} {asked.uri}")
    return answers, faults


def main() -> None:
    """Ask for so many seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args()
    answers: collections.Counter = collections.Counter()
    faults: dict[str, str] = {}
    began, number = time.monotonic(), 0
    with tempfile.TemporaryDirectory() as folder:
        site = furnish(Path(folder))
        words = ["--run", str(site.run), "--index", str(site.index)]
        with running(site.place, *words) as served:
            while (left := given.seconds - (time.monotonic() - began)) > 0:
                asked, wrong = ask(served.url, site, number, min(left, ROUND_SECONDS))
                answers += asked
                faults = wrong | faults
                number += 1
                print(f"round {number}: {asked.total():,} answers, {len(wrong)} faults", flush=True)
    for fault, again in faults.items():
        print(f"{fault}\n  {again}")
    by_status = ", ".join(f"{status}: {count:,}" for status, count in sorted(answers.items()))
    seconds = time.monotonic() - began
    print(f"{seconds:.0f} s, {answers.total():,} answers ({by_status}), {len(faults)} faults")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
