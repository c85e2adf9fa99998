"""What an attacker can put into an address, a form, a header or the name of a file does nothing."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from typing import NamedTuple
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

import anyio
import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from PIL import Image
from starlette.datastructures import Headers

from imagetree.database import import_source, open_database
from imagetree.database.queries import count_images
from imagetree.web.app import create_app
from imagetree.web.settings import Settings

from .conftest import NO_MAIL

DOG, READ_WRITE_HEAD, O_HARA = "n02084071", "n04058721", "n11212988"
SECRET = "the-secret-of-another-file"
NAMES = {
    DOG: (
        f"{DOG}_1",
        f"{DOG}_2",
        "<script>alert(1)<script>",
        "{{77777*99999}}",
        "{% for a in b %}",
        '"onerror="alert(1)',
        "O'Hara",
        "a'); DROP TABLE images;--",
        "a b&c=d?e#f",
        "%2e%2e%2fweb-secret",
        "..",
        "\u202egpj.exe",
    ),
    READ_WRITE_HEAD: (f"{READ_WRITE_HEAD}_1",),
    O_HARA: (f"{O_HARA}_1",),
}
OF_ACCOUNTS = ("/login", "/signup")
"""Not there where nobody can log in."""

PAYLOADS = (
    "../../secret.txt",
    "..%2f..%2fsecret.txt",
    "%2e%2e/%2e%2e/secret.txt",
    "..%5c..%5csecret.txt",
    "//etc/passwd",
    "file:///etc/passwd",
    f"{DOG}%00",
    "%00",
    "' OR '1'='1",
    f"{DOG}'; DROP TABLE images;--",
    '"); DELETE FROM images;--',
    "{{77777*99999}}",
    "${77777*99999}",
    "{% include 'base.html' %}",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "a%0d%0aSet-Cookie: evil=1",
    "%ff%fe",
    "%ed%a0%80",
    "n0208407\uff11",
    "n0208407\u0661",
    "9" * 400,
    "-1",
    "1e400",
    "NaN",
    "n" * 5000,
    f"{DOG}_{'1' * 3000}",
    f"{DOG}/" + "../" * 20,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images whose files have such names, and a file that nobody may see."""
    folder = tmp_path_factory.mktemp("attacks")
    (folder / "secret.txt").write_text(SECRET)
    for wnid, names in NAMES.items():
        (folder / "classes" / wnid).mkdir(parents=True)
        for number, name in enumerate(names):
            file = io.BytesIO()
            Image.new("RGB", (16 + number, 12), (9 * number, 40, 200)).save(file, "JPEG")
            (folder / "classes" / wnid / f"{name}.JPEG").write_bytes(file.getvalue())
    with open_database(folder / "images.db", create=True) as database:
        report = import_source(database, folder / "classes")
    assert report.num_added == sum(map(len, NAMES.values()))
    return folder


@pytest.fixture(scope="module")
def app(folder):
    return create_app(Settings(str(folder / "images.db"), smtp=NO_MAIL))


@pytest.fixture(scope="module")
def client(app):
    """It shows a failure as a visitor would see it."""
    with TestClient(app, raise_server_exceptions=False, follow_redirects=False) as client:
        yield client


@pytest.fixture(scope="module")
def routes(app):
    """Those of all parts."""
    found = []
    for route in app.routes:
        inner = getattr(route, "original_router", None)
        found += [
            each for each in (inner.routes if inner else [route]) if isinstance(each, APIRoute)
        ]
    assert len(found) > 20
    return found


class Answer(NamedTuple):
    """What the site said to `ask`."""

    status_code: int
    headers: Headers
    text: str


def ask(client, sent):
    """GET an address as it is: clients work out its dots before they send it, attackers do not."""
    path, _, query = sent.partition("?")
    raw = quote(path, safe="/%").encode("ascii")
    scope = {
        **{"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET"},
        **{"scheme": "http", "root_path": "", "path": unquote(raw.decode("ascii"))},
        **{"raw_path": raw, "query_string": quote(query, safe="/%=&").encode("ascii")},
        **{"headers": [(b"host", b"testserver")], "client": ("192.0.2.1", 1), "state": {}},
    }
    messages = []

    requests = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive():
        if not requests:
            await anyio.sleep_forever()  # the visitor stays
        return requests.pop()

    async def send(message):
        messages.append(message)

    client.portal.call(client.app, scope, receive, send)
    body = b"".join(each.get("body", b"") for each in messages)
    headers = Headers(raw=messages[0]["headers"])
    return Answer(messages[0]["status"], headers, body.decode("utf-8", "replace"))


def filled(path, value):
    """An address with a value for each of its variables."""
    return re.sub(r"\{\w+(:\w+)?\}", lambda _: value, path)


def check_answer(found, sent):
    """No failure, nothing carried out, nothing let through as it came."""
    assert found.status_code < 500, (sent, found.status_code, found.text)
    assert SECRET not in found.text, sent
    assert "root:" not in found.text, sent
    assert "7777622223" not in found.text, sent
    assert "evil" not in found.headers.get("set-cookie", ""), sent
    assert found.headers["X-Content-Type-Options"] == "nosniff", sent
    if found.headers.get("content-type", "").startswith("text/html"):
        assert "<script>alert" not in found.text, sent
        assert "<img src=x" not in found.text, sent
    location = found.headers.get("location", "/")
    assert urlsplit(urljoin("http://testserver/", location)).netloc == "testserver", sent


def check_unharmed(folder):
    with open_database(folder / "images.db") as database:
        assert count_images(database, NAMES) == sum(map(len, NAMES.values()))


@pytest.mark.slow
def test_variables_of_addresses(client, routes, folder):
    """Of every part: path traversal, SQL, templates, markup, lines of headers, broken UTF-8."""
    paths = sorted({route.path for route in routes if "{" in route.path})
    assert len(paths) > 10
    for path in paths:
        for payload in PAYLOADS:
            sent = filled(path, payload.replace("#", "%23").replace("?", "%3f"))
            check_answer(ask(client, sent), sent)
            whole = filled(path, quote(payload, safe="%"))
            check_answer(ask(client, whole), whole)
    check_unharmed(folder)


def test_own_files_are_all_that_is_static(client):
    for payload in PAYLOADS:
        sent = f"/static/{payload}"
        found = ask(client, sent)
        check_answer(found, sent)
        assert found.status_code in {404, 405}, sent
    for sent in ("/static/", "/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py"):
        assert ask(client, sent).status_code in {404, 405}, sent


@pytest.mark.slow
def test_values_of_queries(client, routes, folder):
    """Every parameter of every page, with a synset where the address needs one."""
    for route in routes:
        names = [each.alias for each in route.dependant.query_params]
        if "GET" not in route.methods or not names:
            continue
        for name in names:
            for payload in PAYLOADS:
                sent = f"{filled(route.path, DOG)}?{name}={payload.replace('#', '%23')}"
                check_answer(ask(client, sent), sent)
    check_unharmed(folder)


@pytest.mark.slow
def test_fields_of_forms(client, routes, folder):
    """Every address that takes a form: without its token nothing is done, whatever is sent."""
    fields = ("name", "next", "email", "password", "text", "wnid", "key", "theme", "query", "csrf")
    for route in routes:
        if not route.methods & {"POST", "PUT", "PATCH", "DELETE"}:
            continue
        method = min(route.methods)
        for payload in PAYLOADS:
            sent = filled(route.path, DOG)
            found = client.request(method, sent, data=dict.fromkeys(fields, payload))
            check_answer(found, (sent, payload))
        for content_type, body in (
            ("application/json", b'{"a": '),
            ("application/json", b"[" * 100_000),
            ("multipart/form-data", b"no boundary"),
            ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n"),
            ("application/x-www-form-urlencoded", b"%ff=%fe&" * 1000),
            ("text/plain; charset=none", b"\xff"),
        ):
            headers = {"Content-Type": content_type}
            found = client.request(method, sent, content=body, headers=headers)
            check_answer(found, (sent, content_type))
    check_unharmed(folder)


@pytest.mark.slow
def test_headers(client):
    """Those that are read: ranges, validators, cookies, languages, who asks."""
    odd = (
        "\xff\xfe",
        "{{77777*99999}}",
        "<script>alert(1)</script>",
        "' OR 1=1--",
        "9" * 400,
        "a=b; " * 50,
    )
    names = (
        *("If-None-Match", "If-Range", "Range", "Cookie", "Accept-Encoding", "Accept", "Origin"),
        *("Authorization", "X-Forwarded-For", "X-Forwarded-Host", "X-Request-ID", "User-Agent"),
    )
    for name in names:
        for value in (*odd, f"flash={odd[2]}", "csrf=%00", "bytes=-1-", "W/", '"', "Bearer x", ","):
            for path in ("/", f"/synset/{DOG}", f"/download/{DOG}", "/static/site.css"):
                found = client.get(path, headers={name: value.encode("latin-1")})
                check_answer(found, (name, value, path))


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "X"])
def test_methods_that_are_not_offered_are_refused(client, routes, folder, method):
    """And the answer names all that are (RFC 9110, section 15.5.6)."""
    for route in routes:
        path = filled(route.path, DOG)
        fitting = [each for each in routes if each.path_regex.match(path)]
        if any(method in each.methods for each in fitting):
            continue
        found = client.request(method, path)
        assert found.status_code in {404, 405}, (method, path)
        if found.status_code == 405:
            same = [each.methods for each in fitting if each.path == fitting[0].path]
            offered = set().union(*same)
            heads = {"HEAD"} if "GET" in offered else set()
            assert set(found.headers["Allow"].split(", ")) == offered | heads, (method, path)
    check_unharmed(folder)


def test_the_head_of_an_answer_is_that_of_its_whole(client, routes):
    """And has no body; also where nothing is found.

    Not compressed: the length would be another with each token of a form.
    """
    plain = {"accept-encoding": "identity"}
    for route in routes:
        if "GET" not in route.methods or route.path == "/metrics":
            continue
        path = filled(route.path, DOG)
        client.cookies.clear()  # who has the token of a form gets another page
        whole = client.get(path, headers=plain)
        client.cookies.clear()
        head = client.head(path, headers=plain)
        assert head.status_code == whole.status_code, path
        for name in ("content-type", "content-length", "etag", "location", "cache-control"):
            assert head.headers.get(name) == whole.headers.get(name), (path, name)


class Links(HTMLParser):
    """Addresses that a page leads to or shows, and handlers that it must not have."""

    def __init__(self, text):
        super().__init__()
        self.found, self.handlers = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in {"href", "src", "action"} and tag != "form":
                self.found.append(value)
            if name.startswith("on") or name == "style":
                self.handlers.append((tag, name))


def links_of(found, url):
    """Addresses of this site on a page."""
    if not found.headers.get("content-type", "").startswith("text/html"):
        return []
    page = Links(found.text)
    assert page.handlers == [], url
    local = [urlsplit(urljoin(f"http://testserver{url}", link)) for link in page.found]
    inside = [each for each in local if each.netloc == "testserver"]
    return [urlunsplit(("", "", each.path or "/", each.query, "")) for each in inside]


@pytest.mark.slow
def test_every_link_leads_somewhere_whatever_the_images_are_called(client):
    """From the pages of synsets whose words or images have such names, one step on and another."""
    starts = ["/", "/download", "/search?q=O'Hara", *(f"/synset/{wnid}" for wnid in NAMES)]
    seen, dead = dict.fromkeys(starts, 0), set()
    for url in (waiting := list(starts)):
        found = ask(client, url)
        check_answer(found, url)
        if found.status_code not in {200, 301, 302, 303, 307} and url not in OF_ACCOUNTS:
            dead.add(url)
        for link in links_of(found, url) if seen[url] < 2 else []:
            if link not in seen and len(seen) < 400:
                seen[link] = seen[url] + 1
                waiting.append(link)
    assert dead == set()
    assert len(seen) > 20


@pytest.mark.parametrize("name", NAMES[DOG])
def test_names_of_images_are_shown_as_they_are_and_do_nothing(client, name):
    """On a page escaped, in JSON as text; what is within braces is not worked out."""
    page, twin = client.get(f"/synset/{DOG}"), client.get(f"/synset/{DOG}.json")
    check_answer(page, name)
    assert "7777622223" not in page.text
    assert any(each["name"].endswith(name) for each in twin.json()["images"])


@pytest.mark.parametrize(
    ("words", "wnid"),
    [("read/write head", READ_WRITE_HEAD), ("O'Hara", O_HARA), ("o'hara", O_HARA)],
)
def test_lemmas_with_slashes_and_quotes_are_found(client, words, wnid):
    found = client.get("/search", params={"q": words})
    assert f"/synset/{wnid}" in found.text
    assert client.get("/search.json", params={"q": words}).json()["results"][0]["wnid"] == wnid
    page = client.get(f"/synset/{wnid}")
    assert page.status_code == 200
    assert words.replace("'", "&#39;").lower() in page.text.lower()


def test_a_name_in_a_header_begins_no_other(client):
    """Of an archive whose images have such names."""
    link = client.get(f"/download/{DOG}/link.json").json()
    with client.stream("GET", link["url"]) as found:
        assert found.headers["Content-Disposition"] == f'attachment; filename="{DOG}.tar"'
        assert "set-cookie" not in found.headers


@pytest.mark.slow
def test_every_answer_is_documented_and_none_is_a_failure(app):
    """Schemathesis over all that the OpenAPI has, with values at random and at their bounds."""
    import schemathesis
    from schemathesis.config import SchemathesisConfig
    from schemathesis.engine import events, from_schema

    settings = {"max-examples": 40, "deterministic": True}
    config = SchemathesisConfig.from_dict({"seed": 1, "generation": settings})
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config)
    faults, num_checks = set(), 0
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            faults.add(str(event))
        if not isinstance(event, events.ScenarioFinished):
            continue
        for checks in event.recorder.checks.values():
            num_checks += len(checks)
            faults |= {
                f"{event.recorder.label}: {check.name}: {check.failure_info.failure}"
                for check in checks
                if check.failure_info is not None
            }
    assert faults == set()
    assert num_checks > 5000
