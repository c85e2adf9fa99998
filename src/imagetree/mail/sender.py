"""The thread that sends what waits, so that no page waits for a mail server.

Each process of a site has one; the rows of the outbox are shared out among them. A server that
does not answer is asked again after a while, and what waits for it waits.
"""

from __future__ import annotations

import logging
import smtplib
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetree.accounts.audit import Origin
from imagetree.accounts.clock import utc
from imagetree.accounts.keys import make_reset
from imagetree.accounts.users import find_account
from imagetree.database.news import news_of
from imagetree.errors import AccountError
from imagetree.mail import letters, outbox, subscribers
from imagetree.mail.outbox import Purpose
from imagetree.mail.smtp import SECONDS, connect, is_final

if TYPE_CHECKING:
    from imagetree.database.store import Database
    from imagetree.mail.letters import Letter
    from imagetree.mail.outbox import Waiting
    from imagetree.mail.smtp import Smtp

LOOK_SECONDS = 5.0
"""After which the outbox is looked at again, for what other processes have put there."""

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
"""Seconds, after a server has not answered once, and at most."""

_MOST_MAILS = 100  # of one conversation; servers end longer ones
_FAILURES = (OSError, smtplib.SMTPException, ValueError)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Postmark:
    """Where mail of a site is given, and what is in it.

    Args:
        smtp: the server.
        url: of the site, without a slash at the end.
        secret: that the links of the mailing list are signed by.
    """

    smtp: Smtp
    url: str
    secret: bytes


class Sender:
    """Sends what waits in a database's outbox, in a thread of its own between `start` and `stop`.

    Args:
        database: with the outbox.
        postmark: the server and the site.
    """

    def __init__(self, database: Database, postmark: Postmark) -> None:
        self.secret = postmark.secret
        self._database = database
        self._smtp = postmark.smtp
        self._origin = letters.From(postmark.url, postmark.smtp.sender)
        self._thread: threading.Thread | None = None
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._client: smtplib.SMTP | None = None
        self._num_sent = 0
        self._pause = FIRST_PAUSE

    def start(self) -> None:
        """Begin to send."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="mail", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Something new waits."""
        self._woken.set()

    def stop(self) -> None:
        """End once the mail is sent that is under way, or after the time of a server's answer."""
        self._stopping.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join(SECONDS)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            try:
                is_well = self.send_due()
            except Exception:  # noqa: BLE001 (the thread must live on: nobody would notice its end)
                _log.exception("mail waits")
                is_well = False
            if is_well:
                self._pause = FIRST_PAUSE
                self._woken.wait(LOOK_SECONDS)
            else:
                self._stopping.wait(self._pause)
                self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._hang_up()

    def send_due(self) -> bool:
        """Send all that is due; whether the server could be reached."""
        if num_old := outbox.clear_old(self._database, utc()):
            _log.error("%d mails were given up: they could not be sent for too long", num_old)
        try:
            # who is not there is found out before a mail is taken, so that its tries are not spent
            while outbox.has_due(self._database, utc()) and not self._stopping.is_set():
                client = self._connected()
                waiting = outbox.take(self._database, utc())
                if waiting is not None:
                    self._send(client, waiting)
        except (OSError, smtplib.SMTPException) as error:
            _log.warning("mail waits: %s does not take it (%s)", self._smtp.host, error)
            self._hang_up()
            return False
        self._hang_up()
        return True

    def _connected(self) -> smtplib.SMTP:
        if self._client is None or self._num_sent >= _MOST_MAILS:
            self._hang_up()
            self._client, self._num_sent = connect(self._smtp, self._origin.host), 0
        return self._client

    def _hang_up(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(OSError, smtplib.SMTPException):
                client.quit()

    def _send(self, client: smtplib.SMTP, waiting: Waiting) -> None:
        """Send a mail that was taken.

        Raises:
            OSError: the server does not answer any more; the mail is postponed.
            smtplib.SMTPException: likewise.
        """
        try:
            letter = self._compose(waiting)
            if letter is not None:
                letter.send(client)
                self._num_sent += 1
        except _FAILURES as error:
            if not is_final(error):
                outbox.postpone(self._database, waiting, utc())
                if not isinstance(error, smtplib.SMTPRecipientsRefused):
                    raise
                _log.warning("a mail for %s waits: its address is refused now", waiting.purpose)
                return
            # what a server says of an address is not kept: it names the address
            _log.warning("a mail for %s is refused for good", waiting.purpose)
        outbox.finish(self._database, waiting)

    def _compose(self, waiting: Waiting) -> Letter | None:
        """The mail; None where there is no reason to send it."""
        if waiting.purpose is Purpose.NEWS:
            return self._compose_news(waiting)
        email = waiting.email or ""
        if waiting.purpose is Purpose.RESET:
            return self._compose_reset(email)
        member = subscribers.find_member(self._database, email)
        if member is not None:
            key = subscribers.key_of(self.secret, subscribers.LEAVE, member)
            return letters.member_letter(self._origin, email, key)
        if waiting.purpose is Purpose.LEAVE:
            return None
        asked = subscribers.add_asked(self._database, email, utc())
        key = subscribers.key_of(self.secret, subscribers.JOIN, asked)
        return letters.join_letter(self._origin, email, key)

    def _compose_reset(self, email: str) -> Letter | None:
        try:
            account = find_account(self._database, email)
            # to the address that its owner has told, never to the one that was typed
            if account.is_disabled or account.email != email:
                return None
            key = make_reset(self._database, account, Origin("by mail"))
        except AccountError:  # there is none, or it was asked for too often
            return None
        return letters.reset_letter(self._origin, account.email, key)

    def _compose_news(self, waiting: Waiting) -> Letter | None:
        news = news_of(self._database, waiting.news_id or 0)
        member = subscribers.find_member(self._database, waiting.subscriber_id or 0)
        if news is None or news.withdrawn_at is not None or member is None:
            return None
        key = subscribers.key_of(self.secret, subscribers.LEAVE, member)
        return letters.news_letter(self._origin, member, news, key)
