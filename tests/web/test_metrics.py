"""Metrics are in Prometheus' format, true over several workers, and for this machine alone."""

from __future__ import annotations

import json
import re
from collections import defaultdict

import pytest
from fastapi.testclient import TestClient

from imagetree.web.app import create_app
from imagetree.web.metrics import BUCKETS, Kind, Metrics
from imagetree.web.settings import Settings

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\S+)")
PAGE = Kind("GET", "/synset/{wnid}", 200)


def parse(text):
    """Samples by name and labels, held to the rules of the format 0.0.4."""
    assert text.endswith("\n")
    types, samples = {}, {}
    for line in text.splitlines():
        if line.startswith("#"):
            _, word, name, rest = line.split(" ", 3)
            assert re.fullmatch(NAME, name)
            if word == "TYPE":
                assert name not in types, "a metric has one type, before its samples"
                assert rest in {"counter", "gauge", "histogram"}
                types[name] = rest
            continue
        found = SAMPLE.fullmatch(line)
        assert found, line
        labels = frozenset(re.findall(LABEL, found[2] or ""))
        base = re.sub(r"_(bucket|sum|count)$", "", found[1])
        assert list(types)[-1] in {found[1], base}, "samples of a metric stand together"
        assert (found[1], labels) not in samples, "each sample is there once"
        samples[found[1], labels] = float(found[7])
    return types, samples


def value(text, name, **labels):
    found = parse(text)[1]
    return found.get((f"imagetree_{name}", frozenset(labels.items())))


def test_text_keeps_the_rules_whatever_labels_hold():
    metrics = Metrics()
    metrics.observe(Kind("GET", '/odd"\\\n', 200), 0.1, 7)
    metrics.observe(PAGE, 99, 7)
    types, samples = parse(metrics.render({"images": 14197122}))
    assert types["imagetree_http_request_seconds"] == "histogram"
    assert samples["imagetree_images", frozenset()] == 14197122


def test_buckets_are_sums_up_to_their_end_and_the_last_has_all():
    metrics = Metrics()
    for seconds in (0.005, 0.0051, 0.3, 11):
        metrics.observe(PAGE, seconds, 100)
    _, samples = parse(metrics.render({}))
    by_end = {
        dict(labels)["le"]: number
        for (name, labels), number in samples.items()
        if name.endswith("_bucket")
    }
    assert by_end["0.005"] == 1
    assert by_end["0.01"] == 2
    assert by_end["0.5"] == 3
    assert by_end["10.0"] == 3
    assert by_end["+Inf"] == 4
    assert len(by_end) == len(BUCKETS) + 1
    text = metrics.render({})
    labels = {"method": "GET", "route": PAGE.route}
    assert value(text, "http_request_seconds_count", **labels) == 4
    assert value(text, "http_request_seconds_sum", **labels) == pytest.approx(11.3101)
    assert value(text, "http_response_bytes_total", status="200", **labels) == 400


def test_a_method_that_a_visitor_invents_makes_no_series_of_its_own():
    metrics = Metrics()
    for number in range(5):
        metrics.observe(Kind(f"X{number}", "none", 405), 0.1, 0)
    labels = {"method": "OTHER", "route": "none", "status": "405"}
    assert value(metrics.render({}), "http_requests_total", **labels) == 5


def write_as(folder, pid, number, opened=0):
    """The file of another worker."""
    tally = [*PAGE, [number] + [0] * len(BUCKETS), 0.1, 10]
    counts = {"pid": pid, "memory": 5, "open": {PAGE.route: opened}, "requests": [tally]}
    (folder / f"{pid}.json").write_text(json.dumps(counts))


def test_workers_are_added_up_and_one_that_has_ended_keeps_its_counts_alone(tmp_path):
    """What is open in a dead worker is not open; its requests were answered all the same."""
    metrics = Metrics(tmp_path)
    metrics.observe(PAGE, 0.1, 10)
    metrics.begin(PAGE.route)
    write_as(tmp_path, 1, 20, opened=2)  # process 1 always lives
    write_as(tmp_path, 2**22 + 1, 300, opened=5)  # beyond the greatest number of a process
    text = metrics.render({})
    labels = {"method": "GET", "route": PAGE.route, "status": "200"}
    assert value(text, "http_requests_total", **labels) == 321
    assert value(text, "http_answers_open", route=PAGE.route) == 3
    assert value(text, "worker_memory_bytes", worker="1") == 5
    assert value(text, "worker_memory_bytes", worker=str(2**22 + 1)) is None


def test_what_one_worker_writes_another_reads(tmp_path, monkeypatch):
    """And nothing is written where nothing has changed."""
    ours = Metrics(tmp_path)
    ours.observe(PAGE, 0.1, 10)
    ours.write()
    (written,) = tmp_path.glob("*.json")
    monkeypatch.setattr("os.getpid", lambda: 1)
    labels = {"method": "GET", "route": PAGE.route, "status": "200"}
    assert value(Metrics(tmp_path).render({}), "http_requests_total", **labels) == 1
    monkeypatch.undo()
    written.unlink()
    ours.write()
    assert not written.exists()


@pytest.fixture
def app(site_place):
    return create_app(Settings(str(site_place)))


def test_the_site_counts_by_route_and_status(app):
    with TestClient(app, client=("127.0.0.1", 1)) as client:
        for path in ("/synset/n02084071", "/synset/n02121808", "/synset/x", "/nowhere/a"):
            client.get(path)
        client.delete("/synset/x")
        found = client.get("/metrics")
    assert found.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    numbers = defaultdict(int)
    for (name, labels), number in parse(found.text)[1].items():
        if name == "imagetree_http_requests_total":
            each = dict(labels)
            numbers[each["method"], each["route"], each["status"]] = number
    assert numbers == {
        ("GET", "/synset/{wnid}", "200"): 2,
        ("GET", "/synset/{wnid}", "404"): 1,
        ("GET", "none", "404"): 1,
        ("DELETE", "/synset/{wnid}", "405"): 1,
    }
    assert value(found.text, "images") == 6
    assert value(found.text, "http_answers_open", route="/metrics") is None


@pytest.mark.parametrize("address", ["192.0.2.1", "testclient"])
def test_metrics_are_for_this_machine_alone(app, address):
    with TestClient(app, client=(address, 1)) as client:
        assert client.get("/metrics").status_code == 403


def test_a_visitor_behind_a_trusted_proxy_is_not_this_machine(site_place):
    app = create_app(Settings(str(site_place), proxies=("127.0.0.1",)))
    with TestClient(app, client=("127.0.0.1", 1)) as client:
        asked = client.get("/metrics", headers={"X-Forwarded-For": "192.0.2.1"})
        assert asked.status_code == 403
        assert client.get("/metrics").status_code == 200


def test_nobody_makes_himself_this_machine_by_a_header(app):
    with TestClient(app, client=("192.0.2.1", 1)) as client:
        asked = client.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"})
    assert asked.status_code == 403
