"""What people may call themselves, where mail reaches them, what may be a password."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from pwdlib import PasswordHash

from imagetree.errors import AccountError

MAX_NAME, MAX_EMAIL = 40, 254
MIN_PASSWORD, MAX_PASSWORD = 10, 200
_EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f.]+(\.[^@\s\x00-\x1f.]+)+")
_HASHES = PasswordHash.recommended()  # Argon2id
_COMMON = (
    "password",
    "passwort",
    "1234567890",
    "0123456789",
    "qwertyuiop",
    "qwertzuiop",
    "imagenet",
)
"""Words that a password must not consist of, alone or repeated."""


_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Unicode's Default_Ignorable_Code_Point: what nothing is drawn for."""
FORMER = "former user"
"""Begins the name of an account whose owner has left; nobody else's."""


def check_name(text: str) -> str:
    r"""The name of an account, in Unicode's form NFC.

    Raises:
        AccountError: it is empty, too long, has a blank at either end, a character that does not
            print or that nothing is drawn for, or, in any width, an @: no name looks like an
            address of e-mail, or like another's.

    >>> check_name("Zu\u0308rich") == "Zürich"
    True
    """
    text = unicodedata.normalize("NFC", text)
    key = key_of(text)
    is_plain = text.isprintable() and text.strip() == text and not _UNSEEN.search(text)
    is_own = key and "@" not in key and not key.startswith(FORMER)
    if not (is_plain and is_own and len(text) <= MAX_NAME):
        raise AccountError(
            f"this is no name (expected 1 to {MAX_NAME} characters that are seen, no blank at "
            f"either end, no @, no {FORMER!r})"
        )
    return text


def check_email(text: str) -> str | None:
    """An address in lower case; None where none is given.

    Raises:
        AccountError: it has not the form of an address.

    >>> check_email(" Ada@Example.ORG "), check_email("")
    ('ada@example.org', None)
    """
    text = unicodedata.normalize("NFC", text).strip().lower()
    if not text:
        return None
    if len(text) > MAX_EMAIL or not text.isprintable() or not _EMAIL.fullmatch(text):
        raise AccountError("this is no address of e-mail (expected name@example.org)")
    return text


def key_of(name: str) -> str:
    r"""What names that read as the same have in common: case, width and blanks do not count.

    >>> key_of("Ada  L") == key_of("\uff21DA l")
    True
    """
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def check_password(password: str, name: str) -> str:
    """A password that may be taken.

    Raises:
        AccountError: it is too short or too long, holds the name, or is among the first that
            anybody would try.
    """
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise AccountError(
            f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters (got {len(password):,})"
        )
    plain = password.casefold()
    has_name = len(key_of(name)) > 3 and key_of(name) in plain
    if has_name or len(set(plain)) < 5 or any(not plain.replace(word, "") for word in _COMMON):
        raise AccountError(
            "this password is easily guessed (expected one without your name, of five different "
            "characters or more)"
        )
    return password


def hash_password(password: str) -> str:
    """Argon2id's text, with a salt of its own: 50 ms and 64 MiB of work."""
    return _HASHES.hash(password)


def verify_password(password: str, kept: str | None) -> tuple[bool, str | None]:
    """Whether a password is the one that is kept.

    For an account that is not there the same work is done, so that the time does not tell.

    Args:
        password: as it was sent; what is longer than a password can be is never right.
        kept: Argon2id's text; None for nobody's.

    Returns:
        Whether it is right, and a new text where the kept one is of weaker settings than today's.
    """
    is_right, newer = _HASHES.verify_and_update(password[: MAX_PASSWORD + 1], kept or _nobodys())
    return is_right and kept is not None, newer


@cache
def _nobodys() -> str:
    return _HASHES.hash("the password of nobody")
