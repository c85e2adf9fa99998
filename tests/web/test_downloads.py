"""Archives over HTTP: any byte of the true archive to who may have it, and nothing to others."""

from __future__ import annotations

import hashlib
import io
import os
import shlex
import socket
import tarfile
import threading
import time
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
import uvicorn
from fastapi.testclient import TestClient

from imagetree.curation.removal import hide_synset, remove_images
from imagetree.database import import_source, open_database
from imagetree.export.archive import write_tar
from imagetree.export.selection import Selection
from imagetree.web import protocol, tars
from imagetree.web.app import create_app
from imagetree.web.settings import Settings
from imagetree.web.signing import Grant, LinkSigner, load_secret

from .conftest import CAT, CHIHUAHUA, DOG

FAR = 1 << 40  # seconds: an expiry that does not come
OWN, WHOLE = f"/download/{DOG}.tar", f"/download/{DOG}_subtree.tar"


def link(client, wnid=DOG, *, subtree=False) -> str:
    """Path and key of a new link."""
    found = client.get(f"/download/{wnid}/link.json", params={"subtree": subtree})
    assert found.status_code == 200, found.text
    parts = urlsplit(found.json()["url"])
    return f"{parts.path}?{parts.query}"


def checksum_of(path: str) -> str:
    """Of a link to an archive, the one to its checksum."""
    return path.replace(".tar?", ".tar.sha256?")


@pytest.fixture
def expected(site_place, tmp_path):
    """The archives as the command line writes them."""
    with open_database(site_place) as database:
        write_tar(database, tmp_path / "own.tar", Selection((DOG,)))
        write_tar(database, tmp_path / "whole.tar", Selection((DOG,), subtree=True))
    return {OWN: (tmp_path / "own.tar").read_bytes(), WHOLE: (tmp_path / "whole.tar").read_bytes()}


@pytest.mark.parametrize("subtree", [False, True])
def test_an_archive_is_that_of_the_command_line(client, expected, subtree):
    """Byte for byte, with its name, its length, its state and its checksum."""
    path = link(client, subtree=subtree)
    found = client.get(path)
    data = expected[path.split("?")[0]]
    assert (found.status_code, found.content) == (200, data)
    name = f"{DOG}{'_subtree' * subtree}.tar"
    assert found.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert found.headers["content-type"] == "application/x-tar"
    assert found.headers["content-length"] == str(len(data))
    assert found.headers["accept-ranges"] == "bytes"
    for _ in range(2):  # made, and remembered
        checksum = client.get(checksum_of(path))
        assert checksum.text == f"{hashlib.sha256(data).hexdigest()}  {name}\n"
    head = client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(data))


@pytest.mark.parametrize(
    ("asked", "cut"),
    [
        ("bytes=0-0", slice(0, 1)),
        ("bytes=511-513", slice(511, 514)),
        ("bytes=1000-", slice(1000, None)),
        ("bytes=-700", slice(-700, None)),
        ("bytes=5-99999999999999999999999999", slice(5, None)),
        (f"bytes=-{'9' * 5000}", slice(0, None)),
    ],
)
def test_a_range_is_a_slice(client, expected, asked, cut):
    """Ranges that reach past the end end there."""
    found = client.get(link(client, subtree=True), headers={"Range": asked})
    whole = expected[WHOLE]
    assert (found.status_code, found.content) == (206, whole[cut])
    first, last, _ = cut.indices(len(whole))
    assert found.headers["content-range"] == f"bytes {first}-{last - 1}/{len(whole)}"


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=0-1,3-4",
        "bytes=" + ",".join(["0-"] * 5000),
        "bytes=9-3",
        "bytes=-",
        "bytes=a-b",
        "bytes=--5",
        "bytes=0x1-",
        "rows=0-1",
        "bytes",
        "",
    ],
)
def test_ranges_that_are_none_are_passed_over(client, expected, asked):
    """Several ranges cost no more than the whole archive once."""
    found = client.get(link(client), headers={"Range": asked})
    assert (found.status_code, found.content) == (200, expected[OWN])


@pytest.mark.parametrize("asked", ["bytes=99999999-", f"bytes={'9' * 5000}-", "bytes=-0"])
def test_ranges_beyond_the_archive_are_refused(client, expected, asked):
    """The size is told, so that who resumes a finished download sees that it is."""
    found = client.get(link(client), headers={"Range": asked})
    assert found.status_code == 416
    assert found.headers["content-range"] == f"bytes */{len(expected[OWN])}"


def test_conditions(client, expected):
    """A copy that is current is not sent again; a part of another state becomes the whole."""
    path = link(client)
    etag = client.head(path).headers["etag"]
    assert client.get(path, headers={"If-None-Match": f'"x", W/{etag}'}).status_code == 304
    part = {"Range": "bytes=5-9"}
    assert client.get(path, headers={**part, "If-Range": etag}).status_code == 206
    assert client.get(path, headers={**part, "If-Range": '"x"'}).content == expected[OWN]


def test_forged_and_borrowed_links_open_nothing(client, site_place):
    """No key, a changed key, another archive's key, another secret's, one that has expired."""
    path = link(client)
    etag = client.head(path).headers["etag"].strip('"')
    secret = load_secret(site_place.parent)

    def key(signer_secret, *, path=OWN, expires=FAR):
        return LinkSigner(signer_secret).sign(path, Grant("", etag, expires))

    assert client.get(f"{OWN}?key={key(secret)}").status_code == 200
    forged = [
        OWN,
        f"{OWN}?key=",
        path[:-3] + "AAA",
        path.replace(OWN, WHOLE),
        f"{OWN}?key={key(b'x' * 32)}",
        f"{OWN}?key={key(secret, expires=int(time.time()) - 1)}",
        f"{OWN}?key={key(secret, path=WHOLE)}",
    ]
    for each in forged:
        for asked in (each, each.replace(".tar", ".tar.sha256")):
            refused = client.get(asked)
            assert refused.status_code == 403
            assert "link" in refused.text


@pytest.mark.parametrize(
    "name",
    [
        "..%2f..%2fetc%2fpasswd.tar",
        "..%2Fimages.db.tar",
        "n02084071%0d%0aX-Injected:%201.tar",
        "n02084071%22;x=%22.tar",
        "n02084071%00.tar",
        "%D9%A0n02084071.tar",
        "n0208407%D9%A1.tar",  # a digit, but no ASCII one
        "n99999999.tar",
        "n02084071_subtree_subtree.tar",
        "<script>.tar",
    ],
)
def test_names_lead_nowhere_else(client, name):
    """Neither out of the folder nor into a header; what was asked is not said again."""
    for ending in ("", ".sha256"):
        found = client.get(f"/download/{name}{ending}?key=x")
        assert found.status_code == 404
        assert "X-Injected" not in found.headers
        assert "script" not in found.text


def test_a_removed_image_is_not_in_the_next_download(client, site_place):
    """The old link ends, a new one gives an archive without it."""
    path = link(client, subtree=True)
    assert client.get(path).status_code == 200
    with open_database(site_place) as database:
        remove_images(database, [f"{DOG}_2"], "asked for")
    for asked in (path, checksum_of(path)):
        gone = client.get(asked, headers={"Range": "bytes=100-"})
        assert gone.status_code == 410
        assert f"/download/{DOG}" in gone.text
    data = client.get(link(client)).content
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getnames() == [f"{DOG}_10.JPEG", f"{DOG}_3.JPEG"]


def test_a_hidden_synset_cannot_be_had(client, site_place):
    """Not alone, not by an old link, not below another, and it is as if it had no images."""
    path = link(client, CHIHUAHUA)
    with open_database(site_place) as database:
        hide_synset(database, CHIHUAHUA, "unfit")
    assert client.get(path).status_code == 404
    assert client.get(f"/download/{CHIHUAHUA}/link.json").status_code == 404
    assert client.get(f"/download/{CHIHUAHUA}.json").json()["archives"] == []
    with tarfile.open(fileobj=io.BytesIO(client.get(link(client, subtree=True)).content)) as tar:
        assert tar.getnames() == [f"{DOG}.tar"]


def test_a_missing_source_is_no_secret_told(client, site_place, tmp_path):
    """The answer says what is wrong, without a path of this machine."""
    path = link(client, CAT)
    (tmp_path / "classes" / CAT / f"{CAT}_1.JPEG").unlink()
    found = client.get(checksum_of(path))
    assert found.status_code == 503
    assert str(tmp_path) not in found.text


class AccountsGate:
    """As accounts will be: by a header here, and Eve has not accepted the terms."""

    terms_path = "/terms"

    def account_of(self, request):
        return request.headers.get("x-account", "")

    def may_download(self, account):
        return account not in {"", "eve"}


@pytest.fixture
def gated(site_place):
    """The downloads, for those with accounts."""
    app = create_app(Settings(str(site_place)))
    app.state.site.gate = AccountsGate()
    with TestClient(app) as client:
        yield client


def test_links_are_for_who_accepted_the_terms(gated):
    """A link works without a session, as for curl, but in no session of another account."""
    asked = f"/download/{DOG}/link.json"
    for account in ("", "eve"):
        assert gated.get(asked, headers={"x-account": account}).status_code == 403
    url = gated.get(asked, headers={"x-account": "ada"}).json()["url"]
    assert gated.get(url).status_code == 200
    assert gated.get(url, headers={"x-account": "ada"}).status_code == 200
    assert gated.get(url, headers={"x-account": "bob"}).status_code == 403


def test_a_link_ends_with_its_accounts_right(gated, monkeypatch):
    """Who loses the right to download loses it for the links that were made."""
    url = gated.get(f"/download/{DOG}/link.json", headers={"x-account": "ada"}).json()["url"]
    monkeypatch.setattr(AccountsGate, "may_download", lambda _, account: False)
    assert gated.get(url).status_code == 403


def test_slots_are_limited_for_one_and_for_all():
    """And all are free again in the end."""
    slots = tars.Slots(most=3, most_of_one=2)
    assert [slots.take(holder) for holder in "aaabbc"] == [True, True, False, True, False, False]
    for holder in "aab":
        slots.give_back(holder)
    with slots.held("c") as is_taken:
        assert is_taken
    assert [slots.take("c") for _ in range(3)] == [True, True, False]


def test_many_that_ask_at_once_cost_one_plan(client, monkeypatch):
    """A thousand ranges of an archive do not read the table a thousand times."""
    plans = []
    real = tars.plan_tar
    monkeypatch.setattr(tars, "plan_tar", lambda *a: plans.append(1) or real(*a))
    path = link(client)
    for start in range(30):
        assert client.get(path, headers={"Range": f"bytes={start}-{start}"}).status_code == 206
    assert len(plans) == 1


@contextmanager
def served(place):
    """A real server; its address."""
    config = uvicorn.Config(
        create_app(Settings(str(place))), http=protocol.Protocol, port=0, log_level="critical"
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield listening.getsockname()
        finally:
            server.should_exit = True
            thread.join()


def request_lines(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()


def receive(address, path: str) -> bytes:
    """The whole answer, head and body."""
    with socket.create_connection(address, timeout=60) as connection:
        connection.sendall(request_lines(path))
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


@pytest.fixture
def large(tmp_path, site_place):
    """The site's database with ten dogs of 3 MB more, which no socket's buffer holds."""
    folder = tmp_path / "classes" / DOG
    for number in range(90, 100):
        data = (folder / f"{DOG}_2.JPEG").read_bytes() + bytes(3 << 20)
        (folder / f"{DOG}_{number}.JPEG").write_bytes(data)
    with open_database(site_place) as database:
        import_source(database, folder.parent)
    return site_place


def link_of(place, wnid=DOG) -> str:
    with TestClient(create_app(Settings(str(place)))) as client:
        return link(client, wnid)


def test_many_downloads_at_once_are_refused_and_leave_nothing_behind(large):
    """Those that take nothing hold their slots; when they are gone others get theirs."""
    path = link_of(large)
    with served(large) as address:
        waiting = [socket.create_connection(address, timeout=60) for _ in range(tars.MAX_OF_ONE)]
        for connection in waiting:
            connection.sendall(request_lines(path))
            assert connection.recv(15).startswith(b"HTTP/1.1 200")
        refused = receive(address, path)
        assert refused.startswith(b"HTTP/1.1 429")
        assert b"retry-after: 30" in refused.lower()
        assert receive(address, "/health").startswith(b"HTTP/1.1 200")
        for connection in waiting:
            connection.close()
        wait_until_free(address, path)


@pytest.fixture
def packed(tmp_path):
    """A database over a tar with ten dogs of 3 MB, and the archive of it."""
    with tarfile.open(tmp_path / f"{DOG}.tar", "w") as archive:
        for number in range(10):
            entry = tarfile.TarInfo(f"{DOG}_{number}.JPEG")
            data = b"\xff\xd8\xff\xe0" + bytes([number]) * ((3 << 20) + number)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    with tarfile.open(tmp_path / "classes.tar", "w") as archive:
        archive.add(tmp_path / f"{DOG}.tar", f"{DOG}.tar")
    with open_database(tmp_path / "packed.db", create=True) as database:
        import_source(database, tmp_path / "classes.tar")
        write_tar(database, tmp_path / "expected.tar", Selection((DOG,)))
    return tmp_path / "packed.db"


def test_what_lies_in_a_tar_is_sent_from_there(packed, tmp_path):
    """By the system, whole and from any byte on; the connection is good for the next request."""
    path, data = link_of(packed), (tmp_path / "expected.tar").read_bytes()
    with served(packed) as address, closing(HTTPConnection(*address, timeout=60)) as connection:
        for start, stop in ((0, len(data)), (5 << 20, len(data)), (700, 9 << 20), (3, 4)):
            connection.request("GET", path, headers={"Range": f"bytes={start}-{stop - 1}"})
            answer = connection.getresponse()
            assert (answer.status, answer.read() == data[start:stop]) == (206, True)


def test_a_tar_that_is_cut_off_shortens_the_answer(packed, tmp_path):
    """While it is sent: what is promised does not arrive, and the site goes on."""
    path = link_of(packed)
    with served(packed) as address:
        with socket.create_connection(address, timeout=60) as connection:
            connection.sendall(request_lines(path))
            assert connection.recv(15).startswith(b"HTTP/1.1 200")
            os.truncate(tmp_path / "classes.tar", 20 << 20)
            rest = sum(map(len, iter(lambda: connection.recv(1 << 16), b"")))
        assert rest < 30 << 20
        assert receive(address, "/health").startswith(b"HTTP/1.1 200")


def test_who_goes_away_in_the_middle_ends_the_sending(packed):
    """At once, also where nothing was taken for a while; the slots are free again."""
    path = link_of(packed)
    with served(packed) as address:
        for _ in range(tars.MAX_DOWNLOADS + 1):
            with socket.create_connection(address, timeout=60) as connection:
                connection.sendall(request_lines(path))
                assert connection.recv(15).startswith(b"HTTP/1.1")
        wait_until_free(address, path)


def wait_until(is_so):
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.05)


def wait_until_free(address, path):
    """A slot is given back when the site has seen that its receiver is gone."""
    wait_until(lambda: receive(address, path).startswith(b"HTTP/1.1 200"))


def test_a_download_that_is_not_taken_is_broken_off(large, monkeypatch, caplog):
    """Nobody holds a slot by doing nothing."""
    monkeypatch.setattr(protocol, "STALL_SECONDS", 0.2)
    path = link_of(large)
    with served(large) as address, socket.create_connection(address, timeout=60) as connection:
        connection.sendall(request_lines(path))
        wait_until(lambda: "broken off: nothing was taken for 0.2 s" in caplog.text)
        received = sum(map(len, iter(lambda: connection.recv(1 << 16), b"")))
        assert received < 30 << 20


def test_an_image_that_fails_in_the_middle_shortens_the_answer(large, tmp_path):
    """Less arrives than was promised, so that no client takes it for whole."""
    path = link_of(large)
    (tmp_path / "classes" / DOG / f"{DOG}_99.JPEG").unlink()
    with served(large) as address:
        head, _, body = receive(address, path).partition(b"\r\n\r\n")
    promised = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    assert head.startswith(b"HTTP/1.1 200")
    assert len(body) < promised


def test_pages_show_what_can_be_had(client):
    """Overview, a synset's downloads, a link with its commands; all as links and a form."""
    overview = client.get("/download").text
    assert "/download/lists/words.txt" in overview
    assert "/api/text/imagenet.synset.geturls?wnid=" in overview
    asked = client.get("/download", params={"wnid": f" {DOG} "}, follow_redirects=False)
    assert asked.headers["location"] == f"/download/{DOG}"
    unknown = client.get("/download", params={"wnid": '"><script>'})
    assert unknown.status_code == 200
    assert "No synset of WordNet" in unknown.text
    assert "<script>" not in unknown.text
    synset = client.get(f"/download/{DOG}").text
    assert f'href="/download/{DOG}/link"' in synset
    assert f'href="/download/{DOG}/link?subtree=true"' in synset
    shown = client.get(f"/download/{DOG}/link", params={"subtree": "true"}).text
    assert f"curl -C - -o {DOG}_subtree.tar" in shown
    assert "4 images of 2 synsets" in shown


def test_twins_say_the_same(client):
    """Counts as sets; a synset without images offers nothing; what is no synset is not found."""
    offered = client.get(f"/download/{DOG}.json").json()["archives"]
    assert [(each["num_images"], each["num_synsets"]) for each in offered] == [(3, 1), (4, 2)]
    offered = client.get(f"/download/{CHIHUAHUA}.json").json()["archives"]
    assert [each["name"] for each in offered] == [f"{CHIHUAHUA}.tar"]  # nothing is below it
    assert client.get("/download/n00523513.json").json()["archives"] == []
    for wnid in (DOG, "n00523513"):  # what is offered can be had
        for each in client.get(f"/download/{wnid}.json").json()["lists"]:
            assert client.get(each["path"]).status_code == 200
    assert client.get("/download.json").json()["lists"]
    for path in ("x", "n99999999", "n02084071'--"):
        for form in ("", ".json", "/link", "/link.json"):
            assert client.get(f"/download/{path}{form}").status_code == 404


def test_a_host_cannot_break_out_of_the_commands(client):
    """What is copied into a shell is one word, whatever the request called this host."""
    found = client.get(f"/download/{DOG}/link.json", headers={"Host": "x';rm -rf ~;'"}).json()
    for command in found["commands"]:
        assert "rm" not in shlex.split(command)
        assert command.count(" | ") == command.count("sha256sum")
