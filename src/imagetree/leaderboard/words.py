"""What people may call things and say of them: checked when it comes in, kept as it was written.

Nothing here makes text fit for a page or a table: whoever writes these does (`page`, `tables`).
"""

from __future__ import annotations

import re
import unicodedata

from imagetree.errors import ChallengeError

MAX_NAME = 100
MAX_TEXT = 4000
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_slug(name: str, what: str) -> str:
    """A name that may stand in addresses and commands.

    Args:
        name: to be checked.
        what: is named so, for the message.

    Raises:
        ChallengeError: it has other characters than letters, digits, dots, dashes, underscores.
    """
    if not _SLUG.fullmatch(name):
        raise ChallengeError(
            f"{what} {name[:64]!r} is no name (expected up to 64 letters, digits, . _ -)"
        )
    return name


def check_name(text: str, what: str) -> str:
    r"""A name of one line: of a team, of an entry, of who does something.

    Characters that do not print are refused, those among them that turn the direction of writing,
    so that a name cannot look like another one by what is not seen.

    Args:
        text: to be checked.
        what: it names, for the message.

    Returns:
        It in Unicode's form NFC.

    Raises:
        ChallengeError: it is empty, too long, has a blank at either end or does not print.

    >>> check_name("Zu\u0308rich", "team") == "Zürich"
    True
    """
    text = unicodedata.normalize("NFC", text)
    if not (text.isprintable() and text.strip() == text and 0 < len(text) <= MAX_NAME):
        raise ChallengeError(
            f"{what} {text[:MAX_NAME]!r}: not a name "
            f"(expected 1 to {MAX_NAME} printable characters, no blank at either end)"
        )
    return text


def check_text(text: str, what: str) -> str:
    r"""Text of several lines, possibly empty: a description.

    Args:
        text: to be checked.
        what: it is, for the message.

    Returns:
        It in Unicode's form NFC, its lines ended by LF, without blanks at its ends.

    Raises:
        ChallengeError: it is too long, or a character does not print.

    >>> check_text("one\r\ntwo\n", "description")
    'one\ntwo'
    """
    text = unicodedata.normalize("NFC", text).replace("\r\n", "\n").strip()
    if len(text) > MAX_TEXT:
        raise ChallengeError(f"{what}: {len(text):,} characters (expected up to {MAX_TEXT:,})")
    bad = next((c for c in text if c not in "\n\t" and not c.isprintable()), None)
    if bad is not None:
        raise ChallengeError(
            f"{what}: the character U+{ord(bad):04X} does not print (expected text and new lines)"
        )
    return text


def key_of(name: str) -> str:
    r"""What two names have in common that read as the same: case and form do not tell them apart.

    >>> key_of("Super  Vision") == key_of("\uff33UPER VISION")
    True
    """
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def shown_name(name: str) -> str:
    r"""The name of a stranger's file as messages show it.

    >>> shown_name("a\x1b[2J.txt")
    'a?[2J.txt'
    """
    shown = "".join(c if c.isprintable() else "?" for c in name)
    return shown[-MAX_NAME:] or "entry"
