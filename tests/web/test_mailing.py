"""The mailing list and forgotten passwords: by mail alone, and not there without a mail server."""

from __future__ import annotations

import re
import signal
import socket
import time
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event

from imagetree.accounts import limits, users
from imagetree.accounts.audit import Origin
from imagetree.database import open_database
from imagetree.errors import ImagetreeError
from imagetree.mail import subscribers
from imagetree.mail.smtp import Smtp
from imagetree.web.app import create_app
from imagetree.web.serving import check_settings
from imagetree.web.settings import Settings

from ..mail.servers import SENDER, Mailbox, link_in, serving
from .acting import ADA, act_as, hidden_fields, send
from .test_serving import running, wait_until

pytestmark = pytest.mark.slow

EMAIL, STRANGER = "ada@example.org", "stranger@example.org"
PASSWORD, OTHER = "correct horse battery", "another horse battery"
PAGES = ("/forgotten", "/mailing-list", "/mailing-list/join", "/mailing-list/leave")


@pytest.fixture
def mailbox():
    with serving(Mailbox()) as mailbox:
        yield mailbox


@pytest.fixture
def app(site_place, mailbox):
    settings = Settings(str(site_place), smtp=mailbox.smtp, public_url="http://testserver")
    return create_app(settings)


@pytest.fixture
def mailed(app):
    """A visitor of a site that sends mail."""
    with TestClient(app, follow_redirects=False) as client:
        yield client


@pytest.fixture
def store(site_place):
    with open_database(site_place) as store:
        yield store


@pytest.fixture
def account(store):
    return users.sign_up(store, users.Signup("Ada", PASSWORD, EMAIL), Origin("Ada"))


def path_of(mail):
    """Where the link of a mail leads."""
    return link_in(mail).removeprefix("http://testserver")


def follow(client, mail):
    """Open a mail's link and press the button of its page, as a browser does."""
    page = client.get(path_of(mail))
    assert page.status_code == 200
    assert page.headers["referrer-policy"] == "no-referrer"
    [action] = re.findall(r'<form method="post" action="(/mailing-list/[^"]*)"', page.text)
    return send(client, action, dict(hidden_fields(page.text)))


def test_a_forgotten_password_is_set_anew(mailed, mailbox, account) -> None:
    assert 'href="/forgotten"' in mailed.get("/login").text
    asked = send(mailed, "/forgotten", {"email": " ADA@example.org "})
    assert asked.headers["location"] == "/login"
    [mail] = mailbox.wait_for(1)
    page = mailed.get(path_of(mail))
    fields = dict(hidden_fields(page.text)) | {"password": OTHER}
    assert send(mailed, "/reset", fields).status_code == 303
    assert send(mailed, "/reset", fields).status_code == 400
    found = send(mailed, "/login", {"name": EMAIL, "password": OTHER})
    assert found.headers["location"] == "/"


def test_strangers_are_answered_as_owners_are(mailed, mailbox, account) -> None:
    """With the same words, after the same statements."""
    said, done = [], []
    engine = mailed.app.state.site.database.engine
    for path, fields in (("/forgotten", {}), ("/mailing-list", {"do": "leave"})):
        for email in (EMAIL, STRANGER):
            statements = []

            def note(_connection, _cursor, statement, *_rest, kept=statements):
                kept.append(statement)

            mailed.app.state.site.sender.stop()  # whose statements are others
            event.listen(engine, "before_cursor_execute", note)
            found = send(mailed, path, fields | {"email": email})
            event.remove(engine, "before_cursor_execute", note)
            headers = dict(found.headers) | {"x-request-id": ""}
            said.append((found.status_code, found.text, headers))
            done.append(statements)
    assert said[0] == said[1]
    assert said[2] == said[3]
    assert done[0] == done[1]
    assert done[2] == done[3]
    mailed.app.state.site.sender.start()
    mailbox.wait_for(1)


def test_the_list_is_joined_read_and_left(mailed, mailbox, store) -> None:
    """Opening a link changes nothing: programs that look through mail do so."""
    assert 'href="/mailing-list"' in mailed.get("/").text
    send(mailed, "/mailing-list", {"email": EMAIL, "do": "join"})
    assert "A link that confirms this address" in mailed.get("/mailing-list").text
    [asked] = mailbox.wait_for(1)
    mailed.get(path_of(asked))
    assert subscribers.count_members(store) == 0
    assert follow(mailed, asked).headers["location"] == "/news"
    assert subscribers.count_members(store) == 1
    act_as(mailed, ADA)
    page = mailed.get("/news").text
    assert "it has 1 member.</p>" in page
    fields = dict(hidden_fields(page)) | {"title": "Fall release", "text": "It is there."}
    places = [send(mailed, "/news", fields).headers["location"] for _ in range(2)]
    assert places == ["/news/1", "/news/1"]
    act_as(mailed, None)
    mail = mailbox.wait_for(2)[1]
    assert mail["Subject"] == "Fall release"
    mailed.get(path_of(mail))
    assert subscribers.count_members(store) == 1
    assert "You are off the mailing list" in follow(mailed, mail).text
    assert subscribers.count_members(store) == 0
    time.sleep(0.5)
    assert len(mailbox.envelopes) == 2


def test_a_mail_program_leaves_by_one_click(mailed, mailbox, store, app) -> None:
    """RFC 8058: a POST without cookies, Origin or token; a second one finds nothing."""
    send(mailed, "/mailing-list", {"email": EMAIL, "do": "join"})
    follow(mailed, mailbox.wait_for(1)[0])
    send(mailed, "/mailing-list", {"email": EMAIL, "do": "leave"})
    path = path_of(mailbox.wait_for(2)[1])
    with TestClient(app) as program:
        for status in (200, 410):
            found = program.post(path, data={"List-Unsubscribe": "One-Click"})
            assert found.status_code == status
            assert found.headers["cache-control"] == "no-store"
    assert subscribers.count_members(store) == 0


def test_links_that_were_not_mailed_change_nothing(mailed, store) -> None:
    for path in ("/mailing-list/leave", "/mailing-list/join"):
        assert "opened by a link" in mailed.get(path).text
        for key in ("", "x", "<script>alert(1)</script>", "x" * 999):
            found = send(mailed, f"{path}?key={urllib.parse.quote(key)}", {"key": key})
            assert found.status_code == 410
            assert "<script>alert" not in found.text
    assert mailed.post("/mailing-list/join", data={"key": "x"}).status_code == 403


@pytest.mark.parametrize("path", ["/forgotten", "/mailing-list"])
def test_what_is_no_address_is_said(mailed, mailbox, path) -> None:
    for email in ("", "ada", "ada@example.org\nBcc: eve@example.org", "a@b.org,c@d.org", "\0@b.c"):
        found = send(mailed, path, {"email": email})
        assert found.status_code == 400, email
        assert 'role="alert">Nothing was sent' in found.text
    assert mailed.post(path, data={"email": EMAIL}).status_code == 403
    assert mailbox.envelopes == []


def test_mail_to_one_address_is_limited(mailed) -> None:
    """Known or not, by whatever form."""
    for number in range(limits.MAILS_TO_ADDRESS.most):
        path = ("/forgotten", "/mailing-list")[number % 2]
        assert send(mailed, path, {"email": STRANGER}).status_code == 303
    for path in ("/forgotten", "/mailing-list"):
        found = send(mailed, path, {"email": STRANGER})
        assert found.status_code == 429
        assert int(found.headers["retry-after"]) > 3000
    assert send(mailed, "/forgotten", {"email": EMAIL}).status_code == 303


def test_mail_from_one_place_is_limited(mailed) -> None:
    for number in range(limits.MAILS_FROM_ADDRESS.most):
        assert send(mailed, "/forgotten", {"email": f"{number}@b.org"}).status_code == 303
    assert send(mailed, "/forgotten", {"email": "last@b.org"}).status_code == 429


def test_without_a_mail_server_nothing_of_it_is_there(client) -> None:
    for path in PAGES:
        assert client.get(path).status_code == 404
        assert send(client, path, {"email": EMAIL}).status_code in {404, 405}
    for path in ("/", "/news", "/login", "/signup"):
        text = client.get(path).text
        assert "mailing" not in text
        assert "forgotten" not in text.replace("has forgotten the password asks a curator", "")


def test_a_server_that_says_nothing_holds_up_no_page(site_place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        smtp = Smtp("smtp", *silent.getsockname(), SENDER)
        settings = Settings(str(site_place), smtp=smtp, public_url="http://testserver")
        with TestClient(create_app(settings)) as client:
            begin = time.monotonic()
            for _ in range(3):
                assert send(client, "/forgotten", {"email": EMAIL}).status_code == 303
                assert client.get("/").status_code == 200
            assert time.monotonic() - begin < 10  # the server is given 15 s for a word
            conversation, _ = silent.accept()
            conversation.close()


def test_what_was_promised_is_sent_after_a_kill(site_place, account) -> None:
    """The mail server is away, and the site is killed; both come back."""
    mailbox = Mailbox()
    with serving(mailbox):
        pass
    words = ("--smtp", f"smtp://127.0.0.1:{mailbox.port}", "--mail-from", SENDER)
    words += ("--public-url", "http://testserver", "--workers", "2")
    with running(site_place, *words) as site:
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        page = opener.open(f"{site.url}/forgotten").read().decode()
        token = re.search(r'name="csrf" value="([^"]+)"', page)[1]
        form = urllib.parse.urlencode({"csrf": token, "email": EMAIL}).encode()
        said = opener.open(f"{site.url}/forgotten", form).read().decode()
        assert "a link that sets a new password is sent to it" in said
        wait_until(lambda: "mail waits" in site.said())
        assert EMAIL not in site.said()
        site.process.send_signal(signal.SIGKILL)
    with serving(mailbox, mailbox.port), running(site_place, *words):
        [mail] = mailbox.wait_for(1)
    assert mail["To"] == EMAIL


def test_links_in_mail_need_the_sites_address() -> None:
    settings = Settings("images.db", smtp=Smtp("smtp", "localhost", 25, SENDER))
    with pytest.raises(ImagetreeError, match="the links in mail need the site's address"):
        check_settings(settings)
