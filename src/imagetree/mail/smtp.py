"""The server that mail is given to, and what its answers mean.

No password and no link ever goes over a network in the clear: without encryption mail is given to
this machine's own server alone.
"""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass, field
from email.policy import SMTP
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from imagetree.errors import ImagetreeError

SECONDS = 15.0
"""For each step of a conversation with the server."""

_HINT = (
    "smtps://USER@mail.example.org, smtp+starttls://USER@mail.example.org, or smtp://localhost; "
    "the password is in IMAGETREE_SMTP_PASSWORD"
)


class _Scheme(NamedTuple):
    """How a server is spoken to: its usual port, and how the conversation is encrypted."""

    port: int
    is_tls: bool = False
    is_starttls: bool = False


_SCHEMES = {
    "smtps": _Scheme(465, is_tls=True),
    "smtp+starttls": _Scheme(587, is_starttls=True),
    "smtp": _Scheme(25),
}


@dataclass(frozen=True)
class Smtp:
    """The server that mail is given to.

    Args:
        scheme: smtps (TLS from the beginning), smtp+starttls (demanded), or smtp (none).
        host: its name, which its certificate must have.
        port: where it listens.
        sender: who mail is from, as `Images <news@example.org>`.
        user: to log in with; empty for nobody.
        password: of the user.
    """

    scheme: str
    host: str
    port: int
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)


def parse_smtp(url: str, sender: str, password: str) -> Smtp:
    """The server of a URL.

    Args:
        url: `smtps://USER@HOST:PORT`; user and port may be missing.
        sender: who mail is from.
        password: of the user; empty where there is none.

    Raises:
        ImagetreeError: the URL is none of these, has a password or names another machine without
            encryption; or the sender is no address.

    >>> parse_smtp("smtp+starttls://ada%40example.org@mail.example.org", "a@example.org", "x").port
    587
    """
    try:
        parts = urlsplit(url)
        scheme, port, host = _SCHEMES[parts.scheme], parts.port, parts.hostname or ""
        is_whole = bool(host) and host.isascii() and not (parts.path.strip("/") or parts.query)
    except (ValueError, KeyError):
        is_whole = False
    if not is_whole:
        raise ImagetreeError("--smtp: this is no mail server (expected a URL)", hint=_HINT)
    if parts.password is not None:
        raise ImagetreeError("--smtp: the password would be seen in lists of processes", hint=_HINT)
    if not (scheme.is_tls or scheme.is_starttls or _is_here(host)):
        raise ImagetreeError(
            f"--smtp: {host} is another machine, and smtp: is not encrypted", hint=_HINT
        )
    user = unquote(parts.username or "")
    return Smtp(parts.scheme, host, port or scheme.port, _check_sender(sender), user, password)


def connect(smtp: Smtp, name: str) -> smtplib.SMTP:
    """A conversation with the server, to which mail can be given.

    Args:
        smtp: the server.
        name: by which this machine presents itself.

    Raises:
        OSError: it does not answer, or its certificate is not good.
        smtplib.SMTPException: it does not encrypt, or refuses the user.
    """
    scheme, context = _SCHEMES[smtp.scheme], ssl.create_default_context()
    client: smtplib.SMTP
    if scheme.is_tls:
        client = smtplib.SMTP_SSL(
            smtp.host, smtp.port, local_hostname=name, timeout=SECONDS, context=context
        )
    else:
        client = smtplib.SMTP(smtp.host, smtp.port, local_hostname=name, timeout=SECONDS)
    try:
        if scheme.is_starttls:
            client.starttls(context=context)
        if smtp.user:
            client.login(smtp.user, smtp.password)
    except BaseException:
        client.close()
        raise
    return client


def is_final(error: Exception) -> bool:
    """Whether a mail that was refused so would be refused again.

    A sender that is refused is a setting that can be mended, and the mail waits for that.
    """
    if isinstance(error, smtplib.SMTPSenderRefused):
        return False
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code >= 500
    return isinstance(error, smtplib.SMTPNotSupportedError | ValueError)


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_sender(sender: str) -> str:
    """The sender as a header has it."""
    header = SMTP.header_factory("From", sender)
    addresses = header.addresses
    is_whole = sender.isprintable() and not header.defects and len(addresses) == 1
    if not (is_whole and addresses[0].domain and addresses[0].addr_spec.isascii()):
        raise ImagetreeError(
            f"--mail-from: {sender!r} is no address",
            hint="name who mail is from: 'Images <news@example.org>'",
        )
    return sender
