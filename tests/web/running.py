"""The site as the command's processes, for tests that ask it over the network."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path


class Site:
    """The command, running."""

    def __init__(self, process, log):
        self.process, self._log = process, log
        self.url = process.stdout.readline().strip()
        self.port = int(self.url.rsplit(":", 1)[1])

    def get(self, path):
        with urllib.request.urlopen(f"{self.url}{path}", timeout=240) as answer:
            return answer.read()

    def workers(self):
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [pid for pid in map(int, children.read_text().split()) if is_worker(pid)]

    def counted(self, route):
        found = re.search(
            rf'http_requests_total\{{method="GET",route="{route}",status="200"\}} (\d+)',
            self.get("/metrics").decode(),
        )
        return int(found[1]) if found else 0

    def stop(self, number=signal.SIGTERM):
        """End it as a service's keeper would; the log's lines."""
        self.process.send_signal(number)
        return self.end()

    def end(self):
        """Wait until it has ended; the log's lines."""
        self.process.wait(timeout=240)
        return [json.loads(line) for line in self.said().splitlines()]

    def said(self):
        """The log so far; it is a file, since a pipe that nobody reads would hold the site up."""
        self._log.seek(0)
        return self._log.read()


def is_worker(pid):
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # ended meanwhile
        return False


@contextmanager
def running(place, *words, before=""):
    code = f"{before}from imagetree.cli import run; run()"
    command = [sys.executable, "-c", code, "web", "serve", "--database", str(place)]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [*command, "--port", "0", *words],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        try:
            site = Site(process, log)
            wait_until(lambda: answers(site))
            yield site
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # the workers too
            process.communicate()


def answers(site):
    assert site.process.poll() is None, site.said()
    try:
        return site.get("/ready")
    except OSError:
        return False


def wait_until(is_so, seconds=240):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.05)
