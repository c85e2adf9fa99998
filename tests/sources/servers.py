"""Servers that the tests of places start: one of S3, one of http with a will of its own."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class WebFile:
    """What a web server gives, and how.

    Args:
        data: the bytes of the file.
        knows_ranges: whether it answers a range with that range.
        headers: sent with each answer; ETag and Last-Modified among them.
        failures: statuses of the answers that come before the right ones.
        redirects: where to send each path.
    """

    def __init__(self, data, *, knows_ranges=True, headers=None, failures=(), redirects=None):
        self.data, self.knows_ranges = data, knows_ranges
        self.headers = {"ETag": '"1"'} if headers is None else headers
        self.failures, self.redirects = deque(failures), redirects or {}
        self.requests, self.sent = [], 0
        self.hides_length = False  # ends its answers by closing the connection
        self.cut = 0  # bytes that are left out at the end of the next answer
        self.lock = threading.Lock()
        self.url = ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        file = self.server.file
        with file.lock:
            file.requests.append((self.path, dict(self.headers)))
            failure = file.failures.popleft() if file.failures else None
            cut, file.cut = file.cut, 0
        if failure:
            self._answer(failure, b"")
        elif self.path in file.redirects:
            self._answer(302, b"", {"Location": file.redirects[self.path]})
        elif self.headers.get("If-Match", file.headers.get("ETag")) != file.headers.get("ETag"):
            self._answer(412, b"")
        elif not file.knows_ranges or "Range" not in self.headers:
            self._answer(200, file.data, file.headers, cut)
        else:
            first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
            last = min(last, len(file.data) - 1)
            where = {"Content-Range": f"bytes {first}-{last}/{len(file.data)}"}
            self._answer(206, file.data[first : last + 1], {**file.headers, **where}, cut)

    def _answer(self, status, body, headers=None, cut=0):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if self.server.file.hides_length:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        body = body[: len(body) - cut]
        try:
            for start in range(0, len(body), 1 << 16):
                self.wfile.write(body[start : start + (1 << 16)])
                self.server.file.sent += len(body[start : start + (1 << 16)])
        except ConnectionError:
            self.close_connection = True
        if cut:
            self.close_connection = True

    def log_message(self, *_):
        pass


@contextmanager
def serve(file):
    """Serve a file at `file.url`, on a free port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads, server.file = True, file
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    file.url = f"http://127.0.0.1:{server.server_port}/train.tar"
    try:
        yield file
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
