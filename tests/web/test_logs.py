"""The log: a JSON line for each request, with its id, and nothing that a log must not hold."""

from __future__ import annotations

import io
import json
import logging

import pytest
from fastapi import HTTPException, Request
from fastapi.testclient import TestClient

from imagetree.web.app import create_app
from imagetree.web.logs import JsonLines, scrub
from imagetree.web.settings import Settings


@pytest.fixture
def app(site_place):
    app = create_app(Settings(str(site_place), proxies=("10.0.0.0/8",)))

    @app.get("/test-failure/{token}")
    def fail(token: str, key: str = ""):
        raise RuntimeError(f"for ada@example.org with key={key}")

    @app.get("/test-peer")
    def peer(request: Request):
        return [request.client.host, request.url.scheme]

    @app.get("/test-refusal")
    def refuse():
        raise HTTPException(418, "no")

    return app


@pytest.fixture
def lines():
    """What is logged, as objects."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    log = logging.getLogger("imagetree")
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    log.removeHandler(handler)
    log.setLevel(before)


def test_a_request_is_a_line_with_the_id_of_its_answer(app, lines):
    with TestClient(app) as client:
        found = client.get("/synset/n02084071?after=n02084071_2")
    (line,) = lines()
    assert line["time"].endswith("+00:00")
    assert line.pop("time")[:2] == "20"
    assert 0 < line.pop("seconds") < 10
    assert line == {
        "level": "info",
        "logger": "imagetree.web.recording",
        "message": "request",
        "request_id": found.headers["X-Request-ID"],
        "method": "GET",
        "route": "/synset/{wnid}",
        "status": 200,
        "bytes": int(found.headers["Content-Length"]),
        "is_whole": True,
    }


def test_requests_have_ids_of_their_own(app):
    with TestClient(app) as client:
        ids = {client.get("/health").headers["X-Request-ID"] for _ in range(5)}
    assert len(ids) == 5


@pytest.mark.parametrize(
    ("peer", "given", "is_taken"),
    [
        ("10.1.2.3", "abc-DEF_12345678", True),
        ("192.0.2.1", "abc-DEF_12345678", False),
        ("10.1.2.3", "short", False),
        ("10.1.2.3", "with spaces and more", False),
        ("10.1.2.3", "x" * 65, False),
    ],
)
def test_an_id_is_taken_from_a_trusted_proxy_alone(app, peer, given, is_taken):
    with TestClient(app, client=(peer, 1)) as client:
        found = client.get("/health", headers={"X-Request-ID": given})
    assert (found.headers["X-Request-ID"] == given) is is_taken


def test_a_trusted_proxy_is_believed_who_asks_and_nobody_else(app):
    """Of several proxies the nearest address that is not trusted counts: the rest was sent."""
    sent = {"X-Forwarded-For": "6.6.6.6, 192.0.2.7, 10.9.9.9", "X-Forwarded-Proto": "https"}
    with TestClient(app, client=("10.1.2.3", 1)) as client:
        assert client.get("/test-peer", headers=sent).json() == ["192.0.2.7", "https"]
    with TestClient(app, client=("192.0.2.1", 1)) as client:
        assert client.get("/test-peer", headers=sent).json() == ["192.0.2.1", "http"]


def test_a_failure_is_logged_with_its_traceback_and_without_what_is_secret(app, lines):
    with TestClient(app) as client:
        found = client.get("/test-failure/path-secret?key=query-secret")
    failure, request = lines()
    assert failure["request_id"] == request["request_id"] == found.headers["X-Request-ID"]
    assert failure["message"] == "GET /test-failure/{token} failed"
    assert "RuntimeError: for ... with key=..." in failure["traceback"]
    assert (request["status"], request["level"]) == (500, "error")
    assert "secret" not in json.dumps(lines())
    assert "ada" not in json.dumps(lines())


def test_nothing_that_is_sent_makes_a_line_of_its_own(app, lines):
    with TestClient(app) as client:
        client.get('/x%0A{"level":"error"}%0D%0Ay?a=%0Ab')
    (line,) = lines()
    assert line["route"] == "none"
    record = logging.LogRecord("a", logging.INFO, "", 0, 'a\n{"b": 1}\r\x00\u2028', (), None)
    assert len(JsonLines().format(record).splitlines()) == 1


def test_an_answer_that_is_broken_off_is_logged_as_not_whole(app, lines):
    from fastapi.responses import StreamingResponse

    def pieces():
        yield b"abc"
        raise OSError("gone")

    @app.get("/test-broken")
    def broken():
        return StreamingResponse(pieces())

    with TestClient(app, raise_server_exceptions=False) as client:
        client.get("/test-broken")
    assert [line.get("is_whole") for line in lines()] == [None, False]
    assert lines()[-1]["bytes"] == 3


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("mail to Ada.Byron+x@mail.example.org now", "mail to ... now"),
        ("GET /a?token=abc&n=1", "GET /a?token=...&n=1"),
        ("Password=geheim, KEY=x", "Password=... KEY=..."),
        ("n02084071/val_17 is fine", "n02084071/val_17 is fine"),
        ("postgresql://user:pw@db.example.org/x", "postgresql://user:.../x"),
    ],
)
def test_scrub(text, scrubbed):
    assert scrub(text) == scrubbed


def test_scrubbing_takes_no_longer_for_what_an_attacker_wrote():
    """A hundred thousand characters that begin an address again and again."""
    import time

    began = time.process_time()  # what others do meanwhile does not count
    for text in ("a" * 100_000, "a@" * 50_000, "a@a." * 25_000, "key=" * 25_000):
        scrub(text)
    assert time.process_time() - began < 4
