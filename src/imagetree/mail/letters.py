"""The mails that the site sends: plain text, with nothing in them that a stranger has written.

An announcement alone has words of a person, a curator. Header lines are made by `email.message`,
which refuses a value that would begin another line.
"""

from __future__ import annotations

from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import formatdate, make_msgid
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode, urlsplit

if TYPE_CHECKING:
    import smtplib

    from imagetree.database.news import NewsRow
    from imagetree.mail.subscribers import Subscriber

_AUTOMATIC = {"Auto-Submitted": "auto-generated"}  # RFC 3834: nobody's absence answers it


class From(NamedTuple):
    """Who sends.

    Args:
        url: of the site, without a slash at the end.
        sender: who mail is from, as `Images <news@example.org>`.
    """

    url: str
    sender: str

    @property
    def host(self) -> str:
        """The name of the site's machine."""
        return urlsplit(self.url).hostname or "localhost"


class Letter(NamedTuple):
    """A mail.

    Args:
        to: the one who gets it.
        message: head and text.
    """

    to: str
    message: EmailMessage

    def send(self, client: smtplib.SMTP) -> None:
        """Give it to a server.

        Raises:
            OSError: it does not answer.
            smtplib.SMTPException: it refuses the mail.
        """
        # not by `send_message`, which writes >From where a line begins so
        data = self.message.as_bytes(policy=SMTP if self.to.isascii() else SMTPUTF8)
        options = () if self.to.isascii() else ("SMTPUTF8", "BODY=8BITMIME")
        sender = self.message["From"].addresses[0].addr_spec
        client.sendmail(sender, [self.to], data, options)


def reset_letter(origin: From, to: str, key: str) -> Letter:
    """The link that sets a new password."""
    text = (
        f"Somebody, you we hope, has forgotten the password at {origin.url}\n"
        "This link sets a new one, once and within an hour:\n\n"
        f"{_link(origin, '/reset', key)}\n\n"
        "If it was not you, do nothing: the password is as it was.\n"
    )
    return _letter(origin, to, "A new password", text, _AUTOMATIC)


def join_letter(origin: From, to: str, key: str) -> Letter:
    """The link that confirms an address."""
    text = (
        f"Somebody, you we hope, wants to get the news of {origin.url} at this address.\n"
        "If so, follow this link within two days:\n\n"
        f"{_link(origin, '/mailing-list/join', key)}\n\n"
        "If it was not you, do nothing, and nothing more is sent.\n"
    )
    return _letter(origin, to, "Join the mailing list?", text, _AUTOMATIC)


def member_letter(origin: From, to: str, key: str) -> Letter:
    """To who is on the list and asks to join or to leave: the link that leads away."""
    text = (
        f"This address is on the mailing list of {origin.url}\n"
        "This link takes it off:\n\n"
        f"{_link(origin, '/mailing-list/leave', key)}\n\n"
        "If you would rather stay, do nothing.\n"
    )
    return _letter(origin, to, "Leave the mailing list?", text, _AUTOMATIC)


def news_letter(origin: From, member: Subscriber, news: NewsRow, key: str) -> Letter:
    """An announcement to a member of the list, who can leave by one click (RFC 8058).

    Args:
        origin: who sends.
        member: who gets it.
        news: the announcement.
        key: of the member's link to leave.
    """
    away = _link(origin, "/mailing-list/leave", key)
    text = (
        f"{news.text}\n\n{origin.url}/news/{news.id}\n\n-- \n"
        f"You are on the mailing list of {origin.url}\nLeave it: {away}\n"
    )
    headers = {
        "List-Id": f"<news.{origin.host}>",
        "List-Unsubscribe": f"<{away}>",
        "Precedence": "list",
        "Auto-Submitted": "auto-generated",
    }
    if away.startswith("https:"):
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    letter = _letter(origin, member.email, news.title, text, headers)
    # the same again, should it be sent twice
    letter.message.replace_header("Message-ID", f"<{news.uuid}.{member.id}@{origin.host}>")
    return letter


def _link(origin: From, path: str, key: str) -> str:
    return f"{origin.url}{path}?{urlencode({'key': key})}"


def _address(text: str) -> Address:
    """An address as a header has it.

    Raises:
        ValueError: it is none.
    """
    try:
        return Address(addr_spec=text)
    except (MessageError, IndexError) as error:
        raise ValueError("this is no address of mail") from error


def _letter(origin: From, to: str, subject: str, text: str, headers: dict[str, str]) -> Letter:
    """A mail.

    Raises:
        ValueError: the address is none that mail can be sent to.
    """
    message = EmailMessage(SMTP)
    local, _, domain = to.rpartition("@")
    plain = f"{local}@{domain.encode('idna').decode('ascii')}"
    message["From"] = origin.sender
    message["To"] = _address(plain)
    message["Subject"] = subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=origin.host)
    for name, value in headers.items():
        message[name] = value
    message.set_content(text, cte="quoted-printable")
    return Letter(plain, message)
