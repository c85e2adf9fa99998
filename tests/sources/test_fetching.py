"""Files that strangers' lists name, from real servers, and the ways in that are closed."""

from __future__ import annotations

import asyncio
import socket

import pytest

from imagetree.errors import DatabaseError
from imagetree.sources import fetching as module
from imagetree.sources.fetching import Fetcher, fault_of_address, fetch

from .servers import WebFile, serve


@pytest.fixture
def allowed(monkeypatch):
    """Loopback is named as trusted."""
    monkeypatch.setenv("IMAGETREE_ALLOW_HOSTS", "other.example, 127.0.0.1")
    monkeypatch.setattr(module, "FETCH_DELAYS", (0.01,))


@pytest.fixture
def names(monkeypatch):
    """Addresses that names stand for, in place of the name service; the rest is real."""
    addresses = {}
    real = socket.getaddrinfo

    def getaddrinfo(host, *more, **options):
        return real(addresses.get(host, host), *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return addresses


def test_whole_file(allowed, jpegs):
    with serve(WebFile(jpegs[0])) as file:
        assert fetch(file.url) == jpegs[0]


def test_one_fetcher_keeps_its_connection(allowed, jpegs):
    with serve(WebFile(jpegs[0])) as file, Fetcher() as fetcher:
        assert [fetcher.fetch(file.url) for _ in range(5)] == [jpegs[0]] * 5
        assert len(file.requests) == 5


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
        *("0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1"),
        *("::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "fe80::1%eth0"),
    ],
)
def test_addresses_that_are_not_public(address):
    assert fault_of_address(address) == f"the address {address} is not public"


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "64:ff9b::101:101"])
def test_addresses_that_are_public(address):
    assert fault_of_address(address) == ""


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/a.jpg",
        "http://[::1]/a.jpg",
        "http://[::ffff:127.0.0.1]/a.jpg",
        "http://169.254.169.254/latest/meta-data",
        "http://localhost/a.jpg",
    ],
)
def test_private_hosts_are_refused(url):
    with pytest.raises(DatabaseError, match="is not public") as error:
        fetch(url)
    assert error.value.hint is not None
    assert "IMAGETREE_ALLOW_HOSTS=" in error.value.hint


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001"])
def test_other_spellings_of_loopback_are_refused(host):
    """By the client or by their address; no request is made."""
    with serve(WebFile(b"x")) as file:
        port = file.url.rpartition(":")[2]
        with pytest.raises(DatabaseError):
            fetch(f"http://{host}:{port}")
        assert file.requests == []


def test_name_of_a_private_address_is_refused(names):
    """Whatever it is called."""
    names["photos.example"] = "127.0.0.1"
    with serve(WebFile(b"x")) as file:
        with pytest.raises(DatabaseError, match=r"photos\.example: the address 127\.0\.0\.1 is"):
            fetch(file.url.replace("127.0.0.1", "photos.example"))
        assert file.requests == []


def test_redirect_to_loopback_is_refused(names, monkeypatch):
    """A host that is trusted sends on to one that is not."""
    names["trusted.example"] = "127.0.0.1"
    monkeypatch.setenv("IMAGETREE_ALLOW_HOSTS", "trusted.example")
    with serve(WebFile(b"secret")) as inner, serve(WebFile(b"")) as outer:
        outer.redirects["/train.tar"] = inner.url
        with pytest.raises(DatabaseError, match=r"127\.0\.0\.1 is not public"):
            fetch(outer.url.replace("127.0.0.1", "trusted.example"))
        assert len(outer.requests) == 1
        assert inner.requests == []


@pytest.mark.parametrize(("hops", "is_good"), [(5, True), (6, False)])
def test_redirects_are_followed_five_times(allowed, hops, is_good):
    redirects = {f"/{n}": f"/{n + 1}" for n in range(hops - 1)} | {f"/{hops - 1}": "/train.tar"}
    with serve(WebFile(b"data", redirects=redirects)) as file:
        start = file.url.replace("/train.tar", "/0")
        if is_good:
            assert fetch(start) == b"data"
        else:
            with pytest.raises(DatabaseError, match="sent away more than 5 times"):
                fetch(start)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "s3://bucket/key", "ftp://host/a"])
def test_redirects_to_other_schemes_are_refused(allowed, target):
    file = WebFile(b"", redirects={"/train.tar": target})
    with serve(file), pytest.raises(DatabaseError, match="no web server"):
        fetch(file.url)


@pytest.mark.parametrize("says_length", [True, False])
def test_files_that_are_too_long(allowed, monkeypatch, says_length):
    """By their header before a byte is read, and by their bytes where it says nothing."""
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    with serve(WebFile(bytes(5 << 20))) as file:
        file.hides_length = not says_length
        with pytest.raises(DatabaseError, match=r"more than 1000 b|\(expected at most 1000\)"):
            fetch(file.url)


def test_file_that_breaks_off_is_asked_for_again(allowed):
    with serve(WebFile(b"x" * 5000)) as file:
        file.cut = 100
        assert fetch(file.url) == b"x" * 5000
        assert len(file.requests) == 2


def test_two_tries_and_no_more(allowed):
    with serve(WebFile(b"x", failures=[503] * 5)) as file:
        with pytest.raises(DatabaseError, match="no answer in 2 tries"):
            fetch(file.url)
        assert len(file.requests) == 2


def test_slow_servers_are_given_up(allowed, monkeypatch):
    monkeypatch.setattr(module, "FETCH_SECONDS", 0.2)
    fault = r"no answer in 2 tries \(TimeoutError\)"
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(DatabaseError, match=fault),
    ):
        fetch(f"http://127.0.0.1:{silent.getsockname()[1]}/a.jpg")


def test_missing_and_compressed_files(allowed):
    with serve(WebFile(b"x", failures=[404])) as file:
        with pytest.raises(DatabaseError, match="is not there"):
            fetch(file.url)
        file.headers = {"Content-Encoding": "gzip"}
        with pytest.raises(DatabaseError, match="comes compressed by gzip"):
            fetch(file.url)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://me:word@host/a", "a.jpg", "http://"])
def test_urls_that_are_none(url):
    with pytest.raises(DatabaseError) as error:
        fetch(url)
    assert "word" not in str(error.value)


def test_fetching_does_not_disturb_a_loop():
    """It may be called where an event loop runs, as in a notebook."""

    async def inside():
        with pytest.raises(DatabaseError, match="is not public"):
            fetch("http://127.0.0.1/a")

    asyncio.run(inside())
