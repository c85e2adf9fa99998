"""The client asks a real site, served by uvicorn in a thread, and one that breaks off."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import tarfile
import threading
import time

import pytest
from PIL import Image

from imagetree import client as module
from imagetree.client import Client, RefusedError
from imagetree.database import import_source, open_database
from imagetree.errors import ImagetreeError
from imagetree.web.site import User

CANINE, DOG, CHIHUAHUA = "n02083346", "n02084071", "n02085620"


class TokenUsers:
    """A curator has the token `good`."""

    def user_of(self, request):
        is_good = request.headers.get("authorization") == "Bearer good"
        return User(1, "Ada", "curator") if is_good else None


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where a site listens, with two images on a page."""
    import uvicorn

    from imagetree.web.app import create_app
    from imagetree.web.settings import Settings

    folder = tmp_path_factory.mktemp("site")
    for wnid, number in ((DOG, 5), (CHIHUAHUA, 2)):
        (folder / "classes" / wnid).mkdir(parents=True)
        for i in range(number):
            file = io.BytesIO()
            Image.new("RGB", (16 + i, 12), (9 * i, 40, 200)).save(file, "JPEG")
            (folder / "classes" / wnid / f"{wnid}_{i}.JPEG").write_bytes(file.getvalue())
    with open_database(folder / "images.db", create=True) as database:
        import_source(database, folder / "classes")
    app = create_app(Settings(str(folder / "images.db"), page_size=2))
    app.state.site.users = TokenUsers()
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="on"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.02)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    yield f"http://{host}:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def client(address):
    with Client(address) as client:
        yield client


@pytest.fixture
def pauses(monkeypatch):
    """Pauses that were made, in seconds; none is waited for."""
    made: list[float] = []
    monkeypatch.setattr(module.time, "sleep", made.append)
    return made


@pytest.fixture
def scripted():
    """A server that gives prepared answers in turn, (status, headers, body); None breaks off."""
    answers: list = []
    asked: list = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            asked.append((self.path, dict(self.headers)))
            answer = answers.pop(0)
            if answer is None:
                self.close_connection = True
                return
            status, headers, body = answer
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = "Content-Length" in headers

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", answers, asked
    server.shutdown()
    server.server_close()
    thread.join()


def ok(value):
    return 200, {}, json.dumps(value).encode()


def test_search_synset_and_children(client):
    assert client.search("dog")[0]["wnid"] == DOG
    assert [each["wnid"] for each in client.search("chihuahua", with_images=True)] == [CHIHUAHUA]
    found = client.synset(DOG)
    assert (found["num_images"], found["num_subtree"]) == (5, 7)
    assert DOG in {each["wnid"] for each in client.children(CANINE)}


def test_images_of_a_subtree_come_once_each_over_pages(client):
    page = client.images(DOG, subtree=True)
    assert (len(page["images"]), page["next"]) == (2, f"{DOG}_1")
    names = [each["name"] for each in client.iter_images(DOG, subtree=True)]
    assert names == [f"{DOG}_{i}" for i in range(5)] + [f"{CHIHUAHUA}_{i}" for i in range(2)]
    assert [each["name"] for each in client.iter_images(CHIHUAHUA)] == names[5:]
    assert list(client.iter_images(CANINE)) == []
    assert client.image(names[0])["width"] == 16


@pytest.mark.parametrize("wnid", ["n99999999", "../openapi", "n02084071/../..", "a b?c#d"])
def test_what_is_not_there_is_refused_with_its_status(client, wnid):
    with pytest.raises(RefusedError, match="404: ") as caught:
        client.synset(wnid)
    assert caught.value.status == 404


def test_a_refusal_says_the_sites_reason(client):
    with pytest.raises(RefusedError, match=r"no noun of WordNet 3\.0 has this wnid"):
        client.synset("n99999999")


def test_a_token_is_sent(address):
    with Client(address) as visitor, pytest.raises(RefusedError, match="401: this needs a token"):
        visitor.get("/curate.json")
    with Client(address, "good") as curator:
        assert curator.get("/curate.json")["num_images"] == 7


def test_a_download_is_the_archive_and_nothing_else_is_left(client, tmp_path):
    path = tmp_path / "new" / "dogs.tar"
    digest = client.download(DOG, path, subtree=True)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    with tarfile.open(path) as archive:
        assert archive.getnames() == [f"{DOG}.tar", f"{CHIHUAHUA}.tar"]
    assert list(path.parent.iterdir()) == [path]


def test_a_download_goes_on_where_it_stopped(client, tmp_path, monkeypatch):
    """Half of it is there: only the rest is asked for, and the whole has the checksum."""
    whole, path = tmp_path / "whole.tar", tmp_path / "dogs.tar"
    digest = client.download(DOG, whole)
    etag = client.get(f"/download/{DOG}/link.json")["etag"]
    part = module._part_of(path, etag)
    part.write_bytes(whole.read_bytes()[:3000])
    asked = []
    real = client._ask

    def spy(address, headers, *, is_last):
        asked.append(headers.get("Range"))
        return real(address, headers, is_last=is_last)

    monkeypatch.setattr(client, "_ask", spy)
    assert client.download(DOG, path) == digest
    assert "bytes=3000-" in asked
    assert path.read_bytes() == whole.read_bytes()
    assert not part.exists()


def test_a_part_of_another_state_is_not_joined(client, tmp_path):
    path = tmp_path / "dogs.tar"
    other = module._part_of(path, "another state")
    other.write_bytes(b"x" * 3000)
    client.download(DOG, path)
    assert tarfile.is_tarfile(path)
    assert not other.exists()


def test_spoilt_bytes_are_found_and_not_kept(client, tmp_path):
    path = tmp_path / "dogs.tar"
    etag = client.get(f"/download/{DOG}/link.json")["etag"]
    part = module._part_of(path, etag)
    part.write_bytes(b"x" * 3000)
    with pytest.raises(ImagetreeError, match="not what was sent"):
        client.download(DOG, path)
    assert not part.exists()
    assert not path.exists()
    client.download(DOG, path)


def test_a_broken_download_is_taken_up_within_the_call(scripted, tmp_path, pauses):
    """The connection breaks after four bytes; the rest is asked for by range."""
    url, answers, asked = scripted
    data = b"0123456789"
    digest = hashlib.sha256(data).hexdigest()
    link = {"url": f"{url}/a.tar?key=k", "checksum_url": f"{url}/a.sha256?key=k"}
    answers += [
        ok(link | {"etag": "e", "size": len(data)}),
        (200, {"Content-Length": "10"}, data[:4]),
        (206, {}, data[4:]),
        (200, {}, f"{digest}  a.tar\n".encode()),
    ]
    with Client(url) as client:
        assert client.download(DOG, tmp_path / "a.tar") == digest
    assert asked[2][1]["Range"] == "bytes=4-"
    assert asked[2][1]["If-Range"] == '"e"'
    assert (tmp_path / "a.tar").read_bytes() == data
    assert pauses


def test_a_link_to_another_host_does_not_get_the_token(scripted, tmp_path):
    """The path alone is taken of it, and asked of the site that the client was made for."""
    url, answers, asked = scripted
    elsewhere = "http://203.0.113.1/a.tar?key=k"
    data = b"tar"
    answers += [
        ok({"url": elsewhere, "checksum_url": elsewhere, "etag": "e", "size": 3}),
        (200, {}, data),
        (200, {}, hashlib.sha256(data).hexdigest().encode()),
    ]
    with Client(url, "secret", timeout=5) as client:
        client.download(DOG, tmp_path / "a.tar")
    assert [path for path, _ in asked[1:]] == ["/a.tar?key=k"] * 2


def test_a_busy_site_is_asked_again_when_it_says(scripted, pauses):
    url, answers, asked = scripted
    answers += [
        (429, {"Retry-After": "7"}, b"{}"),
        (503, {}, b"busy"),
        (503, {"Retry-After": "99999"}, b"busy"),
        (503, {"Retry-After": "soon"}, b"busy"),
        ok({"news": []}),
    ]
    with Client(url) as client:
        assert client.news() == []
    assert pauses == [7, 0.5, module.MAX_WAIT_SECONDS, 2]
    assert len(asked) == 5


def test_a_site_that_stays_busy_is_refused_in_the_end(scripted, pauses):
    url, answers, _ = scripted
    answers += [(503, {}, b"a source is not there\nsecond line")] * 3
    with Client(url, retries=2) as client, pytest.raises(RefusedError) as caught:
        client.news()
    assert caught.value.status == 503
    assert caught.value.message.endswith("503: a source is not there")
    assert len(pauses) == 2


def test_other_refusals_are_not_repeated(scripted, pauses):
    url, answers, asked = scripted
    answers += [(500, {}, b"<html>oops</html>"), ok({"news": []})]
    with Client(url) as client:
        with pytest.raises(RefusedError, match="500: Internal Server Error"):
            client.news()
        assert client.news() == []  # the connection can be used after a refusal
    assert not pauses
    assert len(asked) == 2


def test_a_connection_that_breaks_is_opened_again(scripted, pauses):
    url, answers, _ = scripted
    answers += [None, ok({"news": [1]})]
    with Client(url) as client:
        assert client.news() == [1]
    assert len(pauses) == 1


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"\xff", b"null"])
def test_another_program_at_the_address_is_told(scripted, body):
    url, answers, _ = scripted
    answers.append((200, {}, body))
    with Client(url) as client, pytest.raises(ImagetreeError, match="no JSON object"):
        client.news()


def test_an_answer_that_is_cut_off_is_no_answer(scripted):
    url, answers, _ = scripted
    answers.append((200, {"Content-Length": "100"}, b'{"news": []}'))
    with Client(url) as client, pytest.raises(ImagetreeError, match="broken off"):
        client.news()


def test_a_site_that_is_not_there_is_told(pauses):
    client = Client("http://127.0.0.1:9", retries=1)
    with client, pytest.raises(ImagetreeError, match="does not answer") as caught:
        client.news()
    assert caught.value.hint == "is it running? imagetree web serve"
    assert len(pauses) == 1


@pytest.mark.parametrize("url", ["", "localhost", "ftp://a.org", "https://", "https://a.org/b"])
def test_what_is_no_address_of_a_site_is_refused(url):
    with pytest.raises(ImagetreeError, match="no address of a site"):
        Client(url)
