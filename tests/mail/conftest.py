"""A mailbox that real mail comes to, and a sender that is asked by the test to send."""

from __future__ import annotations

import pytest

from imagetree.mail.sender import Postmark, Sender

from .servers import Mailbox, serving

SECRET = b"s" * 32
URL = "https://images.example.org"


@pytest.fixture
def mailbox():
    with serving(Mailbox()) as mailbox:
        yield mailbox


@pytest.fixture
def sender(database, mailbox):
    return Sender(database, Postmark(mailbox.smtp, URL, SECRET))
