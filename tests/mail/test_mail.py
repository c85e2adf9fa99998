"""Mail reaches whom it is for, once; nothing that was promised is lost; strangers learn nothing.

Each on SQLite and PostgreSQL, and with a mail server that listens.
"""

from __future__ import annotations

import threading
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import insert, select

from imagetree.accounts import keys, users
from imagetree.accounts.audit import Origin
from imagetree.accounts.clock import utc
from imagetree.database import news, schema
from imagetree.database.news import Draft
from imagetree.errors import DatabaseError, ImagetreeError
from imagetree.mail import outbox, subscribers
from imagetree.mail.outbox import Purpose
from imagetree.mail.sender import Postmark, Sender
from imagetree.mail.smtp import parse_smtp

from .conftest import SECRET, URL
from .servers import SENDER, Mailbox, link_in, make_certificate, serving

pytestmark = pytest.mark.slow

ADA, BOB, EVE = "ada@example.org", "bob@example.org", "eve@example.org"
PASSWORD = "correct horse battery"


def key_in(mail):
    return parse_qs(urlsplit(link_in(mail)).query)["key"][0]


def waiting(database):
    with database.reading() as connection:
        return connection.execute(select(schema.outbox)).all()


def join(database, *emails):
    """Put addresses on the list as their links would."""
    for email in emails:
        asked = subscribers.add_asked(database, email, utc())
        key = subscribers.key_of(SECRET, subscribers.JOIN, asked)
        assert subscribers.join(database, SECRET, key, utc())


def announce(database, title="Fall release", uuid=""):
    return outbox.announce(database, Draft(title, "It is there.\n\nEnjoy.", "Ada", uuid), utc())


@pytest.fixture
def ada(database):
    return users.sign_up(database, users.Signup("Ada", PASSWORD, ADA), Origin("Ada"))


def test_a_link_resets_a_password_once(database, mailbox, sender, ada) -> None:
    outbox.ask(database, Purpose.RESET, ADA, utc())
    assert sender.send_due()
    [mail] = mailbox.mails
    assert (mail["To"], mail["From"], mail["Auto-Submitted"]) == (ADA, SENDER, "auto-generated")
    assert link_in(mail).startswith(f"{URL}/reset?key=")
    keys.use_reset(database, key_in(mail), "another horse battery", Origin("Ada"))
    assert users.log_in(database, "Ada", "another horse battery", Origin("Ada")).id == ada.id
    assert keys.find_by_key(database, key_in(mail), keys.RESET, utc()) is None
    assert waiting(database) == []


def test_nothing_is_sent_to_strangers_or_who_is_shut_out(database, mailbox, sender, ada) -> None:
    """Nor to an address that only looks like one that is known."""
    users.set_disabled(database, ada.id, Origin("root"), disabled=True)
    for email in (ADA, EVE, "\uff41da@example.org", "ad\u0430@example.org"):
        outbox.ask(database, Purpose.RESET, email, utc())
    assert sender.send_due()
    assert mailbox.envelopes == []
    assert waiting(database) == []


def test_what_waits_opens_nothing(database, mailbox, ada) -> None:
    """The row of a mail has no key in it: one is made when the mail is sent."""
    outbox.ask(database, Purpose.RESET, ADA, utc())
    with database.reading() as connection:
        assert connection.execute(select(schema.account_keys)).all() == []
    [row] = waiting(database)
    assert row.email == ADA
    assert not any(isinstance(each, str) and len(each) > 20 for each in row)


def test_an_address_joins_by_its_link_and_leaves_by_another(database, mailbox, sender) -> None:
    outbox.ask(database, Purpose.JOIN, BOB, utc())
    sender.send_due()
    [asked] = mailbox.mails
    assert (asked["To"], subscribers.count_members(database)) == (BOB, 0)
    assert link_in(asked).startswith(f"{URL}/mailing-list/join?key=")
    key = key_in(asked)
    for wrong in ("", "x", key + "x", "x" * 5000, key[:-1], "\ud800"):
        assert not subscribers.join(database, SECRET, wrong, utc())
    assert not subscribers.leave(database, SECRET, key)
    assert not subscribers.join(database, b"t" * 32, key, utc())
    assert subscribers.join(database, SECRET, key, utc())
    assert not subscribers.join(database, SECRET, key, utc())
    outbox.ask(database, Purpose.LEAVE, BOB, utc())
    sender.send_due()
    away = key_in(mailbox.mails[1])
    assert not subscribers.join(database, SECRET, away, utc())
    assert subscribers.leave(database, SECRET, away)
    assert not subscribers.leave(database, SECRET, away)
    assert not subscribers.join(database, SECRET, key, utc())
    assert subscribers.count_members(database) == 0


def test_an_old_link_joins_nobody(database) -> None:
    then = utc() - timedelta(days=3)
    asked = subscribers.add_asked(database, BOB, then)
    key = subscribers.key_of(SECRET, subscribers.JOIN, asked)
    assert not subscribers.join(database, SECRET, key, utc())
    subscribers.add_asked(database, EVE, utc())
    with database.reading() as connection:  # who did not confirm is forgotten
        assert list(connection.scalars(select(schema.subscribers.c.email))) == [EVE]


def test_who_asks_again_is_told_the_same_and_gets_what_fits(database, mailbox, sender) -> None:
    """A member is sent the way out, whoever is none and wants to leave nothing."""
    join(database, BOB)
    for purpose, email in (
        (Purpose.JOIN, BOB),
        (Purpose.LEAVE, BOB),
        (Purpose.LEAVE, EVE),
    ):
        outbox.ask(database, purpose, email, utc())
    sender.send_due()
    assert mailbox.receivers == [BOB, BOB]
    assert all("/mailing-list/leave?" in link_in(mail) for mail in mailbox.mails)


def test_an_announcement_goes_to_each_member_once(database, mailbox, sender) -> None:
    join(database, ADA, BOB)
    subscribers.add_asked(database, EVE, utc())
    uuid = "6f1c2f0a-5f5f-4f5c-9a3e-2b7a8f2d1c11"
    first = announce(database, uuid=uuid)
    assert outbox.count_waiting(database, first.id) == 2
    sender.send_due()
    assert announce(database, uuid=uuid) == first  # the form was sent twice
    news.correct_news(database, first.id, "Autumn release", "It is here.")
    sender.send_due()
    assert sorted(mailbox.receivers) == [ADA, BOB]
    assert outbox.count_waiting(database, first.id) == 0
    [mail, other] = mailbox.mails
    assert mail["Subject"] == "Fall release"
    assert mail.get_content().startswith("It is there.\n\nEnjoy.\n\n")
    assert f"{URL}/news/{first.id}\n" in mail.get_content()
    assert mail["Message-ID"] != other["Message-ID"]
    assert first.uuid in mail["Message-ID"]


def test_a_member_leaves_by_one_click(database, mailbox, sender) -> None:
    """As RFC 8058 has it; what was still to be sent to who has left is not."""
    join(database, BOB)
    announce(database)
    sender.send_due()
    [mail] = mailbox.mails
    assert mail["List-Unsubscribe"] == f"<{link_in(mail)}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["List-Id"] == "<news.images.example.org>"
    announce(database, "Second")
    assert subscribers.leave(database, SECRET, key_in(mail))
    assert waiting(database) == []
    sender.send_due()
    assert len(mailbox.envelopes) == 1


def test_what_was_withdrawn_is_not_sent(database, mailbox, sender) -> None:
    join(database, BOB)
    news.withdraw_news(database, announce(database).id)
    sender.send_due()
    assert (mailbox.envelopes, waiting(database)) == ([], [])


def test_an_announcement_that_cannot_be_kept_is_sent_to_nobody(database) -> None:
    join(database, BOB)
    with pytest.raises(DatabaseError, match="title has"):
        announce(database, "a\nBcc: all@example.org")
    assert waiting(database) == []


def test_words_that_look_like_headers_are_none(database, mailbox, sender) -> None:
    """In a title what is not ASCII is encoded, in a text a dot and From begin no command."""
    join(database, BOB)
    text = "Bcc: eve@example.org\n.\nFrom here\nMAIL FROM:<x>\n" + "Zürich " * 300
    title = "Zürich: =?utf-8?q?=0aBcc:?= <script> \u4eca\u65e5"
    outbox.announce(database, Draft(title, text, "Ada"), utc())
    sender.send_due()
    [mail] = mailbox.mails
    assert (mail["Bcc"], mailbox.receivers) == (None, [BOB])
    assert mail.get_content().startswith(text.strip())
    assert "\u4eca\u65e5" in mail["Subject"]
    assert all(len(line) < 998 for line in mailbox.envelopes[0].content.split(b"\r\n"))


@pytest.mark.parametrize(
    "email", ["a,b@example.org", "a>b@example.org", '"a b@example.org', "(a)@b.c"]
)
def test_addresses_that_no_mail_can_have_stop_nobody(database, mailbox, sender, email) -> None:
    outbox.ask(database, Purpose.JOIN, email, utc())
    outbox.ask(database, Purpose.JOIN, BOB, utc())
    assert sender.send_due()
    assert mailbox.receivers == [BOB]
    assert waiting(database) == []


def test_an_address_in_other_letters_is_reached(database, mailbox, sender) -> None:
    """Its domain in the form that every server takes."""
    outbox.ask(database, Purpose.JOIN, "ada@z\u00fcrich.example", utc())
    sender.send_due()
    assert mailbox.receivers == ["ada@xn--zrich-kva.example"]


def test_mail_waits_for_a_server_that_is_away(database, ada) -> None:
    """And no try is spent on it."""
    mailbox = Mailbox()
    with serving(mailbox):
        pass
    outbox.ask(database, Purpose.RESET, ADA, utc())
    away = Sender(database, Postmark(mailbox.smtp, URL, SECRET))
    assert not away.send_due()
    assert [row.tries for row in waiting(database)] == [0]
    with serving(mailbox, mailbox.port):
        assert away.send_due()
    assert mailbox.receivers == [ADA]


def test_an_address_that_is_refused_holds_up_no_other(database, mailbox, sender) -> None:
    """For good: given up. For now: tried again, later each time."""
    mailbox.refusals = {ADA: "550 no such user", BOB: "451 later"}
    join(database, ADA, BOB, EVE)
    announce(database)
    before = utc().timestamp()
    assert sender.send_due()
    assert mailbox.receivers == [EVE]
    [row] = waiting(database)
    assert row.tries == 1
    assert 59 < row.next_at - before < 120
    mailbox.refusals = {}
    assert sender.send_due()
    assert mailbox.receivers == [EVE]  # not due yet
    with database.writing() as connection:
        connection.execute(schema.outbox.update().values(next_at=before))
    sender.send_due()
    assert mailbox.receivers == [EVE, BOB]


def test_what_a_killed_sender_had_taken_is_sent_by_the_next(database, mailbox, sender) -> None:
    """After a while; until then nobody else takes it."""
    outbox.ask(database, Purpose.JOIN, BOB, utc())
    taken = outbox.take(database, utc())
    assert (taken.email, taken.purpose) == (BOB, Purpose.JOIN)
    assert outbox.take(database, utc()) is None
    later = utc() + timedelta(seconds=outbox.HELD_SECONDS + 1)
    assert outbox.take(database, later).id == taken.id


def test_what_could_not_be_sent_for_too_long_is_given_up(database, mailbox, sender, ada) -> None:
    outbox.ask(database, Purpose.RESET, ADA, utc() - timedelta(hours=2))
    outbox.ask(database, Purpose.JOIN, BOB, utc() - timedelta(hours=2))
    sender.send_due()
    assert mailbox.receivers == [BOB]
    assert waiting(database) == []


def test_people_who_wait_go_before_announcements(database, mailbox, sender, ada) -> None:
    join(database, *(f"member{number}@example.org" for number in range(5)))
    announce(database)
    outbox.ask(database, Purpose.RESET, ADA, utc())
    sender.send_due()
    assert mailbox.receivers[0] == ADA
    assert len(mailbox.receivers) == 6


def test_several_senders_send_each_mail_once(database, mailbox) -> None:
    rows = [
        {"email": f"member{n}@example.org", "nonce": "n", "asked_at": "2026", "joined_at": "2026"}
        for n in range(40)
    ]
    with database.writing() as connection:
        connection.execute(insert(schema.subscribers), rows)
    announce(database)
    senders = [Sender(database, Postmark(mailbox.smtp, URL, SECRET)) for _ in range(3)]
    threads = [threading.Thread(target=each.send_due) for each in senders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(mailbox.receivers) == sorted(row["email"] for row in rows)


@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
def test_mail_is_encrypted_for_who_is_named_alone(database, tmp_path, monkeypatch, scheme) -> None:
    """With a password; not to a server whose certificate is not good, nor to one without."""
    context, certificate = make_certificate(tmp_path)
    mailbox = Mailbox()
    how = {"ssl_context": context} if scheme == "smtps" else {"tls_context": context}
    how |= {"authenticator": mailbox.check_login, "auth_require_tls": scheme != "smtps"}
    outbox.ask(database, Purpose.JOIN, BOB, utc())

    def send(password="right", host="localhost"):
        url = f"{scheme}://ada%40example.org@{host}:{mailbox.port}"
        smtp = parse_smtp(url, SENDER, password)
        return Sender(database, Postmark(smtp, URL, SECRET)).send_due()

    with serving(mailbox, **how):
        assert not send()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert not send(host="127.0.0.1")
        assert mailbox.logins == []
        assert not send("wrong")
        assert send()
    assert mailbox.logins[-1] == ("ada@example.org", "right")
    assert mailbox.receivers == [BOB]
    outbox.ask(database, Purpose.JOIN, EVE, utc())
    with serving(mailbox):
        assert not send()
    assert mailbox.receivers == [BOB]


@pytest.mark.parametrize(
    ("url", "sender", "said"),
    [
        ("mail.example.org", SENDER, "no mail server"),
        ("http://mail.example.org", SENDER, "no mail server"),
        ("smtps://", SENDER, "no mail server"),
        ("smtps://mail.example.org:x", SENDER, "no mail server"),
        ("smtps://ada:secret@mail.example.org", SENDER, "lists of processes"),
        ("smtp://mail.example.org", SENDER, "not encrypted"),
        ("smtp://localhost", "", "no address"),
        ("smtp://localhost", "Images <news>", "no address"),
        ("smtp://localhost", "a@b.org, c@d.org", "no address"),
        ("smtp://localhost", "a@b.org\nBcc: c@d.org", "no address"),
    ],
)
def test_settings_that_cannot_be(url, sender, said) -> None:
    with pytest.raises(ImagetreeError, match=said) as refused:
        parse_smtp(url, sender, "")
    assert "secret" not in str(refused.value)


def test_settings_that_can_be() -> None:
    found = parse_smtp("smtps://ada@mail.example.org", SENDER, "secret")
    assert (found.port, found.user, found.sender) == (465, "ada", SENDER)
    assert "secret" not in repr(found)
    assert parse_smtp("smtp://[::1]", SENDER, "").port == 25
