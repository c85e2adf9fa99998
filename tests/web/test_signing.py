"""Links cannot be forged, moved to another path or used late; the secret is kept from others."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from itsdangerous import URLSafeSerializer

from imagetree.database import open_database
from imagetree.errors import DatabaseError
from imagetree.web.signing import Grant, LinkSigner, load_secret, secret_folder

PATH = "/download/n02084071.tar"
GRANT = Grant("ada", "e" * 64, 1_000_000)


@pytest.fixture
def signer() -> LinkSigner:
    return LinkSigner(b"s" * 32)


def test_a_key_gives_back_what_was_signed(signer):
    """Until its last second, for its own path."""
    assert signer.check(PATH, signer.sign(PATH, GRANT), now=1_000_000) == GRANT


def test_an_expired_key_opens_nothing(signer):
    """A second after its end."""
    assert signer.check(PATH, signer.sign(PATH, GRANT), now=1_000_001) is None


def test_a_key_opens_no_other_path(signer):
    """The subtree is another archive than the synset."""
    key = signer.sign(PATH, GRANT)
    assert signer.check("/download/n02084071_subtree.tar", key, now=0) is None


def test_another_secret_makes_no_keys(signer):
    """Nor does a serializer of the same secret with other settings."""
    forged = LinkSigner(b"t" * 32).sign(PATH, GRANT)
    assert signer.check(PATH, forged, now=0) is None
    assert signer.check(PATH, URLSafeSerializer(b"s" * 32).dumps(GRANT), now=0) is None


def test_no_changed_character_is_overlooked(signer):
    """Each character of a key counts, in what is signed and in the signature."""
    key = signer.sign(PATH, GRANT)
    for place, letter in enumerate(key[:-1]):  # the last one carries bits that base64 leaves out
        changed = key[:place] + ("B" if letter == "A" else "A") + key[place + 1 :]
        assert signer.check(PATH, changed, now=0) is None


@pytest.mark.parametrize("key", ["", ".", "..", "a.b", "é.ü", "\0", "A" * 10_000, "'; drop"])
def test_rubbish_is_no_key(signer, key):
    """It ends in no error either."""
    assert signer.check(PATH, key, now=0) is None


def test_the_secret_is_made_once_and_for_the_owner_alone(tmp_path):
    """Mode 600 from the first moment, whatever the umask; the same at the next start."""
    before = os.umask(0)
    try:
        secret = load_secret(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "web-secret").stat().st_mode) == 0o600
    assert len(secret) == 32
    assert load_secret(tmp_path) == secret
    assert [path.name for path in tmp_path.iterdir()] == ["web-secret"]


def test_processes_that_start_at_once_share_a_secret(tmp_path):
    """Of those that make it, one is first and none replaces it."""
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(load_secret, [tmp_path] * 32))) == 1


@pytest.mark.parametrize(("mode", "size"), [(0o640, 32), (0o604, 32), (0o600, 31), (0o600, 0)])
def test_a_secret_that_is_none_is_refused(tmp_path, mode, size):
    """Others could read it, or it could be guessed."""
    path = tmp_path / "web-secret"
    path.write_bytes(b"x" * size)
    path.chmod(mode)
    with pytest.raises(DatabaseError, match="web-secret") as caught:
        load_secret(tmp_path)
    assert "rm" in (caught.value.hint or "")


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    """Said with the path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseError, match="cannot be had"):
        load_secret(tmp_path / "file" / "below")


def test_the_secret_is_in_the_databases_folder(tmp_path):
    """Beside an SQLite file."""
    with open_database(tmp_path / "images.db", create=True) as database:
        assert secret_folder(database) == tmp_path


def test_a_servers_secret_is_in_the_users_state(new_postgresql, tmp_path, monkeypatch):
    """A PostgreSQL server has no folder of ours."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with open_database(new_postgresql, create=True) as database:
        assert secret_folder(database) == tmp_path / "imagetree"
