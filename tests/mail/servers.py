"""A real mail server for tests: it keeps what it is given and refuses what it is told to."""

from __future__ import annotations

import asyncio
import email
import re
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager
from email.policy import default

from aiosmtpd.smtp import SMTP, AuthResult

from imagetree.mail.smtp import Smtp

SENDER = "Images <news@example.org>"
LINK = re.compile(r"https?://\S+key=\S+")


class Mailbox:
    """What a server was given."""

    def __init__(self):
        self.envelopes, self.refusals, self.logins = [], {}, []
        self.port = 0

    async def handle_RCPT(self, _server, _session, envelope, address, _options):
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, _session, envelope):
        self.envelopes.append(envelope)
        return "250 taken"

    def check_login(self, _server, _session, _envelope, _mechanism, data):
        self.logins.append((data.login.decode(), data.password.decode()))
        is_right = data.password == b"right"
        return AuthResult(success=is_right, handled=False)  # the server says so itself

    @property
    def mails(self):
        """The mails, parsed."""
        contents = [each.content.replace(b"\r\n", b"\n") for each in self.envelopes]
        return [email.message_from_bytes(each, policy=default) for each in contents]

    @property
    def receivers(self):
        return [address for each in self.envelopes for address in each.rcpt_tos]

    def wait_for(self, number, seconds=30.0):
        """So many mails, once they are there."""
        end = time.monotonic() + seconds
        while len(self.envelopes) < number and time.monotonic() < end:
            time.sleep(0.02)
        assert len(self.envelopes) == number
        return self.mails

    @property
    def smtp(self):
        return Smtp("smtp", "127.0.0.1", self.port, SENDER)


def link_in(mail):
    """The link of a mail."""
    return LINK.search(mail.get_content())[0]


@contextmanager
def serving(mailbox, port=0, ssl_context=None, **how):
    """The server, listening; at any port that is free where none is named."""
    loop = asyncio.new_event_loop()

    def make():
        return SMTP(mailbox, loop=loop, hostname="localhost", **how)

    made = loop.create_server(make, "127.0.0.1", port, ssl=ssl_context)
    server = loop.run_until_complete(made)
    mailbox.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield mailbox
    finally:
        asyncio.run_coroutine_threadsafe(_close(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _close(server):
    """Conversations that are under way are broken off."""
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def make_certificate(folder):
    """A context of TLS for localhost, and the file that a client must trust."""
    key, certificate = folder / "key", folder / "certificate"
    made = ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=localhost"]
    made += ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        [*made, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate
