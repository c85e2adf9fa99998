"""Links that open one archive for one account until a time, and the secret that they are signed by.

A link can be given to `curl` or `wget`, which have no session. It names the state of the archive
too, so that a download that is resumed never joins bytes of two states.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from itsdangerous import BadData, URLSafeSerializer

from imagetree.errors import DatabaseError

if TYPE_CHECKING:
    from imagetree.database import Database

LINK_SECONDS = 24 * 3600
"""How long a link is good for; a download that has begun is not broken off at its end."""

_SECRET_BYTES = 32
_SECRET_NAME = "web-secret"
_MAX_KEY_LENGTH = 1000  # of what is looked at; a true key has about 200 characters


class Grant(NamedTuple):
    """What a link allows.

    Args:
        account: whose it is; empty for a visitor without one.
        etag: of the archive as it was when the link was made.
        expires: seconds since 1970 UTC, after which it is no longer good.
    """

    account: str
    etag: str
    expires: int


class LinkSigner:
    """Makes and checks the keys of links: HMAC-SHA-256 over path, account, etag and expiry.

    Args:
        secret: at least 32 bytes; whoever knows it can make links.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, path: str, grant: Grant) -> str:
        """The key that opens a path.

        Args:
            path: of the address, without host and query.
            grant: what it allows there.
        """
        return str(self._serializer(path).dumps(grant))

    def check(self, path: str, key: str, *, now: float | None = None) -> Grant | None:
        """What a key allows at a path; None where it is forged, for another path, or expired."""
        if len(key) > _MAX_KEY_LENGTH:
            return None
        try:
            grant = Grant(*self._serializer(path).loads(key))
        except BadData:
            return None
        is_expired = grant.expires < (time.time() if now is None else now)
        return None if is_expired else grant

    def _serializer(self, path: str) -> URLSafeSerializer:
        options = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
        return URLSafeSerializer(self._secret, salt=f"download {path}", signer_kwargs=options)


def secret_folder(database: Database) -> Path:
    """Where the secret of a database's site is kept.

    An SQLite file's own folder; for a server, `imagetree/` in the user's XDG_STATE_HOME.
    """
    url = database.engine.url
    if url.get_backend_name() == "sqlite":
        return Path(str(url.database)).absolute().parent
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "imagetree"


def load_secret(folder: Path) -> bytes:
    """The secret kept in a folder as `web-secret`, which is made at the first time.

    Of several processes that make it at once all get the same.

    Raises:
        DatabaseError: it cannot be made or read, others may read it, or it is too short.
    """
    path = folder / _SECRET_NAME
    try:
        if not path.exists():
            _make_secret(path)
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            secret = file.read()
    except OSError as error:
        raise DatabaseError(
            f"{path}: the secret that links are signed by cannot be had ({error.strerror})",
            hint="its folder must be writable by who starts the site",
        ) from error
    if mode & 0o077:
        raise DatabaseError(
            f"{path}: others may read the secret (expected mode 600, got {mode:o})",
            hint=f"rm {path} (a new one is made, and links made before end)",
        )
    if len(secret) < _SECRET_BYTES:
        raise DatabaseError(
            f"{path}: too short (expected {_SECRET_BYTES} bytes, got {len(secret)})",
            hint=f"rm {path} (a new one is made, and links made before end)",
        )
    return secret


def _make_secret(path: Path) -> None:
    """Write a new secret, unless another process has done so first.

    `write_atomic` replaces what is there; here the first one must stay, and no moment may pass in
    which others could read it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # of mode 600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()
