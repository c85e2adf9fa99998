"""The site as processes: it starts or says why not, stops in order, and answers to its own name."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import httpx2
import pytest
from fastapi import Request  # noqa: TC002 - FastAPI reads the annotation
from fastapi.testclient import TestClient
from sqlalchemy import text

from imagetree.database import counts, import_source, open_database
from imagetree.errors import ImagetreeError
from imagetree.web import threads
from imagetree.web.app import create_app
from imagetree.web.forms import csrf
from imagetree.web.serving import Listening, named_hosts, serve
from imagetree.web.settings import Settings
from imagetree.web.site import current_site
from imagetree.web.tars import MAX_DOWNLOADS, Plans

from ..conftest import need
from .running import answers, running, wait_until

pytestmark = pytest.mark.slow

DOG = "n02084071"
SBIN = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
NUM_IMAGES, IMAGE_BYTES = 24, 1 << 20
SHORT_TIMES = (
    "import imagetree.web.serving as s, imagetree.web.protocol as p, imagetree.web.security as g;"
    "s.GRACE_SECONDS = 2; p.HEAD_SECONDS = p.STALL_SECONDS = 1; g.PIECE_SECONDS = 1;"
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A database whose archive is larger than what fits between two processes."""
    folder = tmp_path_factory.mktemp("serving")
    source = folder / "classes" / DOG
    source.mkdir(parents=True)
    for number in range(NUM_IMAGES):
        content = b"\xff\xd8\xff\xe0" + os.urandom(IMAGE_BYTES)
        (source / f"{DOG}_{number}.JPEG").write_bytes(content)
    with open_database(folder / "images.db", create=True) as database:
        import_source(database, source.parent)
    return folder / "images.db"


@contextmanager
def download(site):
    """The answer of an archive whose receiver has not yet taken it."""
    link = json.loads(site.get(f"/download/{DOG}/link.json"))
    path = link["url"].removeprefix(site.url)
    with closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)) as connection:
        connection.request("GET", path)
        with connection.getresponse() as answer:
            assert answer.length > NUM_IMAGES * IMAGE_BYTES
            answer.read(1 << 20)
            yield answer


def is_refused(site):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", site.port)) != 0


def test_sigterm_lets_a_download_end_and_takes_no_other(place):
    """The command ends as done, its log is whole lines of JSON, and it says where it listened."""
    with running(place) as site, download(site) as answer:
        site.process.send_signal(signal.SIGTERM)
        wait_until(lambda: is_refused(site))
        assert site.process.poll() is None
        rest = answer.read()
        assert len(rest) + (1 << 20) == int(answer.getheader("Content-Length"))
        lines = site.end()
        assert site.process.returncode == 0
    tar = next(line for line in lines if line.get("route") == "/download/{name}.tar")
    assert tar["is_whole"]


def test_a_download_is_given_up_when_the_time_for_it_has_passed(place):
    with running(place, before=SHORT_TIMES) as site, download(site) as answer:
        began = time.monotonic()
        log = site.stop()  # without the limit it would wait for the receiver, for a minute at least
        assert time.monotonic() - began > 1
        assert site.process.returncode == 0
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            answer.read()
    tar = next(line for line in log if line.get("route") == "/download/{name}.tar")
    assert not tar["is_whole"]


def test_ctrl_c_ends_it_as_done(place):
    with running(place) as site:
        site.stop(signal.SIGINT)
        assert site.process.returncode == 0


def test_workers_answer_together_and_one_that_dies_is_replaced(place):
    """Their counts are one sum, whichever is asked, and do not fall with the one that died."""
    with running(place, "--workers", "2") as site:
        workers = site.workers()
        assert len(workers) == 2
        for _ in range(20):
            site.get(f"/synset/{DOG}.json")
        wait_until(lambda: site.counted("/synset/{wnid}.json") == 20)
        os.kill(workers[0], signal.SIGKILL)
        wait_until(lambda: len(set(site.workers()) - set(workers)) == 1)
        wait_until(lambda: answers(site))
        for _ in range(10):
            site.get(f"/synset/{DOG}.json")
        wait_until(lambda: site.counted("/synset/{wnid}.json") == 30)
        before = site.workers()
        site.stop()
        assert site.process.returncode == 0
        assert [pid for pid in before if Path(f"/proc/{pid}").exists()] == []


def sockets_of(pid):
    """As the links of its descriptors call them."""
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.add(str(link.readlink()))
    return found


def held_by(site, pid, ports=()):
    """How many connections a process of the site has with ports here, or with all."""
    ports = {f"{port:04X}" for port in ports}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = {
        f"socket:[{inode}]"
        for _, local, remote, *_, inode in (row[:10] for row in rows)
        if local.endswith(f":{site.port:04X}") and (not ports or remote[-4:] in ports)
    }
    return len(sockets & sockets_of(pid))


def held(site, connections):
    """How many of our connections each worker has: none that another request left behind."""
    ports = {each.sock.getsockname()[1] for each in connections}
    return [held_by(site, pid, ports) for pid in site.workers()]


def test_workers_share_connections(place):
    """Those that are kept do not all go to the first that wakes."""
    with running(place, "--workers", "2") as site, ExitStack() as stack:
        wait_until(lambda: site.get("/metrics").count(b"imagetree_worker_memory_bytes{") == 2)
        connections = []
        for _ in range(4):  # where others keep a core busy, one of the two may sleep for a while
            new = [http.client.HTTPConnection("127.0.0.1", site.port) for _ in range(32)]
            for connection in new:
                stack.enter_context(closing(connection)).connect()
            for connection in new:
                connection.request("GET", "/health")
                assert connection.getresponse().read() == b'{"status":"ok"}'
            connections += new
            if min(held(site, connections)) >= 4:
                break
        assert sum(held(site, connections)) == len(connections)
        assert min(held(site, connections)) >= 4


def test_workers_end_when_the_first_process_was_killed(place):
    """The port is free again for who starts the site anew."""
    with running(place, "--workers", "2") as site:
        workers = site.workers()
        site.process.kill()
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
        assert is_refused(site)


def received(connection):
    """All that comes until the other side closes."""
    pieces = []
    with suppress(ConnectionResetError):  # where it closes before it has read all
        while piece := connection.recv(1 << 16):
            pieces.append(piece)
    return b"".join(pieces)


@pytest.fixture(scope="module")
def impatient(place):
    with running(place, before=SHORT_TIMES) as site:
        yield site


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HT", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n"]
)
def test_who_does_not_finish_a_head_is_given_up(impatient, sent):
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=60) as connection:
        connection.sendall(sent)
        assert received(connection) == b""


def test_who_does_not_finish_a_second_head_is_given_up_too(impatient):
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=60) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.3)
        connection.sendall(b"GET /hea")
        assert received(connection).count(b"HTTP/1.1 200") == 1


def test_a_head_that_comes_byte_by_byte_is_bounded_in_all(impatient):
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=60) as connection:
        connection.settimeout(0.1)

        def is_given_up():
            try:
                connection.sendall(b"G")
                return connection.recv(1) == b""
            except TimeoutError:
                return False
            except ConnectionError:  # it was closed while the last byte was under way
                return True

        wait_until(is_given_up)


def test_a_head_without_end_is_refused(impatient):
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=60) as connection:
        with suppress(ConnectionError):  # it may be refused before all is sent
            connection.sendall(
                b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: b\r\n" * 2_200
            )
        assert received(connection).startswith(b"HTTP/1.1 400")


def test_who_does_not_take_an_answer_is_given_up(impatient):
    """More than the kernel keeps, of which nothing is received: it would hold a connection."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", impatient.port))
        asked = "GET /download/lists/words.txt HTTP/1.1\r\nHost: localhost\r\n\r\n"
        connection.sendall(asked.encode() * 10)
        ports = {connection.getsockname()[1]}
        wait_until(lambda: held_by(impatient, impatient.process.pid, ports) == 1)
        wait_until(lambda: held_by(impatient, impatient.process.pid, ports) == 0)


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        b"Content-Length: 0\r\nContent-Length: 40\r\n",
        b"Content-Length: +0\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"X-A: b\r\n Transfer-Encoding: chunked\r\n",
    ],
)
def test_a_request_has_one_end(impatient, head):
    """What could be read in two ways hides no second request from whoever reads it the other."""
    body = b"0\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=60) as connection:
        with suppress(ConnectionError):
            connection.sendall(
                b"POST /health HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n" + body
            )
        answers = re.findall(rb"HTTP/1\.1 (\d{3})", received(connection))
    assert answers[-1] == b"400"
    assert b"200" not in answers


@pytest.mark.parametrize("sent", [b"Host: localhost\r\nHost: evil.example\r\n", b""])
def test_a_request_names_one_host(impatient, sent):
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=60) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\n" + sent + b"\r\n")
        assert received(connection).startswith(b"HTTP/1.1 400")


def test_a_rebound_name_is_refused_by_the_command_as_it_starts(impatient):
    """An attacker's name that is made to lead to this machine."""
    asked = urllib.request.Request(impatient.url, headers={"Host": "evil.example:80"})
    with pytest.raises(urllib.error.HTTPError, match="421"):
        urllib.request.urlopen(asked)


def said(place, *, listening=None, **settings):
    """The error of a site that cannot start: its message and hint."""
    with pytest.raises(ImagetreeError) as caught:
        serve(Settings(str(place), **settings), listening or Listening(port=0), print)
    return str(caught.value)


def test_a_taken_port_is_told_with_another(place):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = said(place, listening=Listening(port=port))
    assert f"127.0.0.1:{port}: cannot be listened at (another process listens there)" in message
    assert f"--port {port + 1}" in message


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host.invalid"])
def test_an_address_of_another_machine_is_told(place, host):
    assert "cannot be listened at" in said(place, listening=Listening(host, 0))


def test_a_missing_database_is_told_with_the_command_that_makes_one(tmp_path):
    assert "imagetree database import" in said(tmp_path / "none.db")


def test_an_older_schema_is_told_with_the_command_that_repairs_it(tmp_path):
    place = tmp_path / "old.db"
    with open_database(place, create=True) as database, database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    assert f"imagetree database upgrade --database {place}" in said(place)


@pytest.mark.parametrize(
    "url",
    [
        "images.example.org",
        "ftp://images.example.org",
        "https://",
        "https://a.org/path",
        "https://user@a.org",
        "https://a.org:x",
        "https://[a",
        "https://ä.org",
    ],
)
def test_a_public_url_that_is_none_is_told(place, url):
    assert "--public-url" in said(place, public_url=url)


@pytest.mark.parametrize("proxy", ["nginx", "10.0.0.0/99", "10.0.0.1/8"])
def test_a_proxy_that_is_no_address_is_told(place, proxy):
    assert "--proxies" in said(place, proxies=(proxy,))


def test_a_run_that_is_not_there_is_told(place, tmp_path):
    assert "imagetree train" in said(place, run=tmp_path / "none")


@pytest.fixture
def app(place):
    settings = Settings(
        str(place), public_url="https://images.example.org", hosts=named_hosts("127.0.0.1")
    )
    app = create_app(settings)

    @app.get("/test-form")
    def form(request: Request):
        csrf(request)
        return current_site(request).page(request, "error.html", {"status": 400})

    @app.post("/test-form")
    def take():
        return "taken"

    return app


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("images.example.org", 200),
        ("IMAGES.example.org.", 200),
        ("images.example.org:443", 200),
        ("localhost:8000", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("evil.example", 421),
        ("images.example.org.evil.example", 421),
        ("evil.example:80@images.example.org", 421),
        ("images.example.org/x", 421),
        ("", 421),
    ],
)
@pytest.mark.parametrize("path", ["/", "/static/site.css", f"/synset/{DOG}.json"])
def test_only_the_sites_own_names_are_answered(app, host, status, path):
    with TestClient(app) as client:
        found = client.get(path, headers={"Host": host})
    assert found.status_code == status
    assert found.headers["X-Content-Type-Options"] == "nosniff"


def test_links_and_cookies_are_for_the_public_url_whatever_name_was_used(app):
    with TestClient(app, headers={"Host": "127.0.0.1:8000"}) as client:
        link = client.get(f"/download/{DOG}/link.json").json()
        cookie = client.get("/test-form").headers["Set-Cookie"]
    assert link["url"].startswith("https://images.example.org/download/")
    assert "Secure" in cookie


def test_forms_are_taken_from_the_public_url_alone(app):
    with TestClient(app, headers={"Host": "127.0.0.1:8000"}) as client:
        ours = client.post("/test-form", headers={"Origin": "https://images.example.org"})
        others = client.post("/test-form", headers={"Origin": "http://127.0.0.1:8000"})
    assert (ours.status_code, others.status_code) == (200, 403)


def test_threads_and_downloads_have_a_connection_each(app):
    """Nobody waits for a connection while he holds the thread that another needs to end."""
    pool = app.state.site.database.engine.pool
    assert pool.size() + pool._max_overflow >= threads.PAGES + threads.SLOW + MAX_DOWNLOADS


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads /proc")
def test_a_database_that_goes_away_is_told_as_such(place, tmp_path):
    """Alive, but not ready; and what is said names no path."""
    copy = tmp_path / "copy.db"
    copy.write_bytes(Path(place).read_bytes())
    with TestClient(create_app(Settings(str(copy)))) as client:
        assert client.get("/ready").status_code == 200
        with open_database(copy) as database, database.writing() as connection:
            connection.execute(text("ALTER TABLE meta RENAME TO gone"))
        for path in ("/ready", f"/synset/{DOG}", f"/synset/{DOG}.json"):
            found = client.get(path)
            assert (found.status_code, found.headers["Retry-After"]) == (503, "10")
            assert str(tmp_path) not in found.text
        assert client.get("/health").status_code == 200


def block(language, containing):
    """A block of docs/serving.md."""
    document = Path(__file__).resolve().parents[2] / "docs" / "serving.md"
    blocks = re.findall(rf"```{language}\n(.*?)```", document.read_text(), re.DOTALL)
    (found,) = [each for each in blocks if containing in each]
    return found


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def nginx_folder(tmp_path, config):
    """A folder from which nginx can be run by anybody."""
    user = "user root;" if os.geteuid() == 0 else ""
    temporary = "".join(
        f"{name}_temp_path {tmp_path}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (tmp_path / "imagetree.conf").write_text(config)
    (tmp_path / "nginx.conf").write_text(
        f"{user} pid {tmp_path}/pid; daemon off; error_log stderr; events {{}}"
        f" http {{ access_log off; {temporary} include {tmp_path}/imagetree.conf; }}"
    )
    need(shutil.which("nginx", path=SBIN), "nginx is not installed (Debian's nginx-light)")
    nginx = shutil.which("nginx", path=SBIN)
    return [nginx, "-e", "stderr", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]


def documented(tmp_path):
    """The documented configuration, as it stands but for the certificate, which is our own."""
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    made += ["-nodes", "-subj", "/CN=images.example.org"]
    made += ["-addext", "subjectAltName=DNS:images.example.org,IP:127.0.0.1"]
    made += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(made, check=True, capture_output=True)
    config = block("nginx", "upstream")
    config = config.replace("/etc/ssl/certs/images.example.org.pem", str(certificate))
    return config.replace("/etc/ssl/private/images.example.org.key", str(key))


def test_nginx_takes_the_documented_configuration(tmp_path):
    command = [*nginx_folder(tmp_path, documented(tmp_path)), "-t"]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert "warn" not in checked.stderr


@contextmanager
def behind_nginx(place, tmp_path, *more):
    """The documented configuration and the command it is written for; a visitor of theirs."""
    options = ("--public-url", "https://images.example.org", "--proxies", "127.0.0.1")
    with running(place, *options, *more) as site:
        port = free_port()
        config = documented(tmp_path).replace("127.0.0.1:8000", f"127.0.0.1:{site.port}")
        config = config.replace("listen 443", f"listen 127.0.0.1:{port}")
        config = config.replace("listen 80", f"listen 127.0.0.1:{free_port()}")
        nginx = subprocess.Popen(nginx_folder(tmp_path, config), stderr=subprocess.DEVNULL)
        try:
            front = SimpleNamespace(port=port)
            wait_until(lambda: not is_refused(front))
            with visitor(tmp_path, port) as client:
                yield site, client
        finally:
            nginx.terminate()
            nginx.wait()


def visitor(tmp_path, port):
    return httpx2.Client(
        base_url=f"https://127.0.0.1:{port}",
        headers={"Host": "images.example.org"},
        verify=ssl.create_default_context(cafile=tmp_path / "certificate"),
        timeout=60,
    )


def test_the_site_behind_nginx(place, tmp_path):
    """Ids and links are those of the public address, metrics are shut, and a download resumes."""
    with behind_nginx(place, tmp_path) as (site, client):
        link = client.get(f"/download/{DOG}/link.json").json()
        assert link["url"].startswith("https://images.example.org/download/")
        path = link["url"].removeprefix("https://images.example.org")
        answer = client.get(path, headers={"Range": "bytes=-1024"})
        assert (answer.status_code, len(answer.content)) == (206, 1024)
        answer = client.get("/", headers={"X-Request-ID": "made-by-visitor"})
        request_id = answer.headers["X-Request-ID"]
        assert re.fullmatch(r"[0-9a-f]{32}", request_id), "nginx's, not the visitor's"
        assert "max-age" in answer.headers["Strict-Transport-Security"]
        for path in ("/metrics", "/ready"):
            assert client.get(path).status_code == 403
        assert client.get("/health", headers={"X-Forwarded-For": "6.6.6.6"}).status_code == 200
        log = site.stop()
    assert request_id in {line.get("request_id") for line in log}


def is_answered_by_several(site, client, path):
    """Ask often and at once; each worker that answered keeps a connection of nginx's."""
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda _: client.get(path), range(60)))
    assert [each.status_code for each in found] == [200] * 60
    return sum(held_by(site, pid) > 0 for pid in site.workers()) > 1


def test_the_documented_deployment(new_postgresql, tmp_path):
    """PostgreSQL, workers and nginx in one piece: what one worker knows all know.

    An account that was made with one opens pages of the others, tries at its password are counted
    over all of them, and a worker that is killed is missed by nobody who asks a moment later.
    """
    source = tmp_path / "classes" / DOG
    source.mkdir(parents=True)
    (source / f"{DOG}_1.JPEG").write_bytes(b"\xff\xd8\xff\xe0" + os.urandom(1000))
    with open_database(new_postgresql, create=True) as database:
        import_source(database, source.parent)
    url = new_postgresql.replace("+psycopg", "")
    with behind_nginx(url, tmp_path, "--workers", "3") as (site, client):

        def post(path, **fields):
            return client.post(path, data={**fields, "csrf": client.cookies["csrf"]})

        client.get("/signup")
        made = post("/signup", name="Ada", password="correct horse battery", role="annotator")
        assert made.status_code == 303
        assert "secure" in made.headers["Set-Cookie"].lower()
        for _ in range(2):
            wait_until(lambda: is_answered_by_several(site, client, "/account"))
            before = site.workers()
            os.kill(before[0], signal.SIGKILL)
            wait_until(lambda: len(set(site.workers()) - set(before)) == 1)  # noqa: B023
            wait_until(lambda: answers(site))
        post("/logout")
        tries = [post("/login", name="Ada", password=f"wrong {n}").status_code for n in range(12)]
        assert tries == [400] * 10 + [429] * 2


def run_documented(script, folder, **environment):
    """The commands of a block of docs/serving.md, in a folder."""
    command = ["bash", "-euo", "pipefail", "-c", script]
    subprocess.run(command, check=True, cwd=folder, env={**os.environ, **environment})


def test_the_documented_backup_of_sqlite_is_whole_while_it_is_written_to(tmp_path):
    """A transaction that is under way is not in it, and one that was kept is."""
    need(shutil.which("sqlite3"), "sqlite3 is not installed (Debian's package sqlite3)")
    classes = tmp_path / "classes" / DOG
    classes.mkdir(parents=True)
    (classes / f"{DOG}_1.JPEG").write_bytes(b"\xff\xd8\xff\xe0")
    with open_database(tmp_path / "imagetree.db", create=True) as database:
        import_source(database, tmp_path / "classes")
        app = create_app(Settings(str(tmp_path / "imagetree.db")))
        with TestClient(app) as client:
            link = client.get(f"/download/{DOG}/link.json").json()["url"]
            with database.writing() as connection:
                connection.execute(text("UPDATE images SET name = 'half'"))
                run_documented(block("sh", "sqlite3"), tmp_path)
    with TestClient(create_app(Settings(str(tmp_path / "backup" / "imagetree.db")))) as client:
        names = [each["name"] for each in client.get(f"/synset/{DOG}.json").json()["images"]]
        assert names == [f"{DOG}_1"]
        assert client.get(link).status_code == 200, "the secret came with it"


def test_the_documented_backup_of_postgresql_brings_all_back(new_postgresql, tmp_path):
    """What was written after it is gone, what was there before is there."""
    url = new_postgresql.replace("+psycopg", "")
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    path = os.pathsep.join([*map(str, programs), os.environ["PATH"]])
    environment = {"IMAGETREE_DATABASE": url, "HOME": str(tmp_path), "PATH": path}
    classes = tmp_path / "classes" / DOG
    classes.mkdir(parents=True)
    (classes / f"{DOG}_1.JPEG").write_bytes(b"\xff\xd8\xff\xe0")
    secret = tmp_path / ".local" / "state" / "imagetree" / "web-secret"
    secret.parent.mkdir(parents=True)
    secret.write_bytes(b"x" * 32)
    with open_database(url, create=True) as database:
        import_source(database, tmp_path / "classes")
        run_documented(block("sh", "pg_dump"), tmp_path, **environment)
        with database.writing() as connection:
            connection.execute(text("DELETE FROM synset_counts"))
    run_documented(block("sh", "pg_restore"), tmp_path, **environment)
    with open_database(url) as database:
        assert counts(database) == {DOG: 1}
    assert (tmp_path / "backup" / "web-secret").read_bytes() == b"x" * 32


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_documented_service(tmp_path):
    unit = tmp_path / "imagetree.service"
    unit.write_text(
        block("ini", "ExecStart").replace("/opt/imagetree/bin/imagetree", sys.executable)
    )
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert "imagetree.service" not in checked.stderr, checked.stderr


def test_who_asks_for_checksums_takes_no_thread_of_the_pages(place, monkeypatch):
    """As many as come, all of them under way at once."""
    is_asked, is_done = threading.Semaphore(0), threading.Event()

    def checksum(self, plan):
        is_asked.release()
        assert is_done.wait(120)
        return "0" * 64

    monkeypatch.setattr(Plans, "checksum", checksum)
    app = create_app(Settings(str(place)))
    with TestClient(app) as client, ThreadPoolExecutor(8) as visitors:
        url = client.get(f"/download/{DOG}/link.json").json()["checksum_url"]
        asked = [visitors.submit(client.get, url) for _ in range(8)]
        for _ in range(threads.SLOW):
            assert is_asked.acquire(timeout=60)
        for _ in range(10):
            assert client.get(f"/synset/{DOG}.json").status_code == 200
        is_done.set()
        assert {each.result().status_code for each in asked} <= {200, 429}
