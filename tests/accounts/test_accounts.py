"""Accounts: nobody gets in who should not, on SQLite and PostgreSQL."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime, timedelta

import pytest
from PIL import Image
from sqlalchemy import select

from imagetree.accounts import keys, limits, users, words
from imagetree.accounts.audit import Origin, account_actions
from imagetree.curation import ballots
from imagetree.curation.votes import Vote, add_votes
from imagetree.database import import_source, locate, schema
from imagetree.errors import AccountError

PASSWORD = "correct horse battery"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def at(**later) -> Origin:
    return Origin("Ada", "192.0.2.1", BEGIN + timedelta(**later))


@pytest.fixture
def one_dog(tmp_path):
    """A folder with one image of a dog."""
    file = tmp_path / "classes" / "n02084071" / "n02084071_1.JPEG"
    file.parent.mkdir(parents=True)
    Image.new("RGB", (16, 12)).save(file, "JPEG")
    return file.parent.parent


@pytest.fixture
def ada(database):
    return users.sign_up(database, users.Signup("Ada", PASSWORD, "Ada@Example.org"), at())


def test_signing_up_and_logging_in(database, ada) -> None:
    assert (ada.name, ada.email, ada.role) == ("Ada", "ada@example.org", "participant")
    for name in ("Ada", "ada", " ADA ", "\uff21da", "ada@example.ORG"):
        assert users.log_in(database, name, PASSWORD, at()).id == ada.id
    with database.reading() as connection:
        [kept] = connection.scalars(select(schema.accounts.c.password))
    assert re.match(r"\$argon2id\$v=19\$m=65536,t=3,p=\d\$", kept)  # RFC 9106, section 4


@pytest.mark.parametrize(
    ("name", "email"),
    [
        ("ada", ""),
        ("\uff21\uff44\uff41", ""),
        ("Bob", "ADA@example.org"),
        ("A\u200bda", ""),
        ("Ada\u202e", ""),
        ("", ""),
        ("x" * 41, ""),
        ("ada@example.org", ""),
        (" Ada", ""),
        ("Eve", "no address"),
        ("Eve", "a@b"),
        ("Eve", "a@b.org\nBcc: all@b.org"),
        ("a\nb", ""),
        ("ada\uff20example.org", ""),
        ("\uff201", ""),
        ("former user 1", ""),
        ("Ada\ufe0f", ""),
        ("A\u034fda", ""),
        ("\u3164", ""),
    ],
)
def test_names_and_addresses_that_are_refused(database, ada, name, email) -> None:
    with pytest.raises(AccountError):
        users.sign_up(database, users.Signup(name, PASSWORD, email), at())
    assert len(users.list_accounts(database)) == 1


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "x" * 201,
        "x" * 1_000_000,
        "aaaaaaaaaaaa",
        "passwordpassword",
        "1234567890",
        "i am ada lovelace",
        "ababababab",
    ],
)
def test_passwords_that_are_refused(database, password) -> None:
    with pytest.raises(AccountError):
        users.sign_up(database, users.Signup("Ada Lovelace", password), at())
    assert users.list_accounts(database) == ()


def test_unknown_names_cost_what_wrong_passwords_cost(database, ada, monkeypatch) -> None:
    """The same work and the same message, so that nobody learns which names there are."""
    said, checked = [], []
    verify = words.verify_password

    def count(password, kept):
        checked.append(kept is None)
        return verify(password, kept)

    monkeypatch.setattr(words, "verify_password", count)
    users.set_disabled(
        database,
        users.sign_up(database, users.Signup("Eve", PASSWORD), at()).id,
        at(),
        disabled=True,
    )
    for name, password in (
        ("Ada", "wrong horse battery"),
        ("Nobody", PASSWORD),
        ("Eve", PASSWORD),
        ("' OR 1=1 --", PASSWORD),
        ("Ada", "x" * 1_000_000),
        ("Ada", ""),
    ):
        with pytest.raises(AccountError) as refused:
            users.log_in(database, name, password, at())
        said.append(str(refused.value))
    assert set(said) == {"wrong name or password"}
    assert len(checked) == 6
    assert words.verify_password("the password of nobody", None)[0] is False


@pytest.mark.slow
def test_guessing_is_stopped_by_account_and_comes_back_with_time(database, ada) -> None:
    """From however many addresses; the right password does not help until then."""
    for number in range(limits.LOGIN_OF_ACCOUNT.most):
        with pytest.raises(AccountError, match="wrong name"):
            users.log_in(database, "ADA", "wrong horse", Origin("?", f"192.0.2.{number}", BEGIN))
    with pytest.raises(limits.TooMany, match="too many logins: try again in 15 minutes"):
        users.log_in(database, "ada", PASSWORD, at(minutes=1, seconds=-59))
    assert users.log_in(database, "ada", PASSWORD, at(minutes=15, seconds=1)).id == ada.id


@pytest.mark.slow
def test_all_ways_to_guess_a_password_count_together(database, ada) -> None:
    """Name, address of e-mail, and the question for it in a session that was left open."""

    def guess(number: int) -> None:
        if number % 3 == 2:
            users.check_own_password(database, ada.id, "wrong horse", BEGIN)
        name, origin = (
            ("Ada", "ada@example.org")[number % 2],
            Origin("?", f"192.0.2.{number}", BEGIN),
        )
        users.log_in(database, name, "wrong horse", origin)

    for number in range(limits.LOGIN_OF_ACCOUNT.most):
        with pytest.raises(AccountError, match="wrong"):
            guess(number)
    for name in ("Ada", "ada@example.org"):
        with pytest.raises(limits.TooMany):
            users.log_in(database, name, PASSWORD, at())
    with pytest.raises(limits.TooMany):
        users.check_own_password(database, ada.id, PASSWORD, BEGIN)
    users.check_own_password(database, ada.id, PASSWORD, BEGIN + timedelta(minutes=16))


@pytest.mark.slow
def test_guessing_is_stopped_by_address(database, ada) -> None:
    for number in range(limits.LOGIN_FROM_ADDRESS.most):
        with pytest.raises(AccountError, match="wrong name"):
            users.log_in(database, f"user {number}", PASSWORD, at())
    with pytest.raises(limits.TooMany, match="too many logins from here"):
        users.log_in(database, "Ada", PASSWORD, at())
    elsewhere = Origin("Ada", "198.51.100.7", BEGIN)
    assert users.log_in(database, "Ada", PASSWORD, elsewhere).id == ada.id


def test_of_many_who_sign_up_with_one_name_one_wins(database) -> None:
    made, refused = [], []

    def sign_up(number: int) -> None:
        try:
            signup = users.Signup("Ada", PASSWORD)
            made.append(users.sign_up(database, signup, Origin("?", f"192.0.2.{number}", BEGIN)))
        except AccountError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=sign_up, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), refused) == (1, ["this name is taken (expected another)"] * 3)


def test_sessions_open_and_end(database, ada) -> None:
    """With the time, with disuse, by their owner, with a new password, with a new role."""
    key = keys.open_session(database, ada, "Firefox", BEGIN)
    other = keys.open_session(database, ada, "Chrome\nX", BEGIN)
    assert key != other
    assert keys.find_by_key(database, key, keys.SESSION, BEGIN).account == ada
    for wrong in ("", "x" * 43, key[:-1], key + "x", "\ud800"):
        assert keys.find_by_key(database, wrong, keys.SESSION, BEGIN) is None
    assert [each.label for each in keys.list_keys(database, ada.id, BEGIN)] == [
        "Chrome?X",
        "Firefox",
    ]
    for days in range(0, 90, 13):
        assert keys.find_by_key(database, key, keys.SESSION, BEGIN + timedelta(days=days))
    assert keys.find_by_key(database, key, keys.SESSION, BEGIN + timedelta(days=91)) is None
    assert keys.find_by_key(database, other, keys.SESSION, BEGIN + timedelta(days=15)) is None
    for end in (
        lambda: users.set_password(database, ada.id, "another horse battery", at()),
        lambda: users.set_role(database, ada.id, "curator", at()),
        lambda: users.set_disabled(database, ada.id, at(), disabled=True),
    ):
        key = keys.open_session(database, ada, "", BEGIN)
        assert keys.find_by_key(database, key, keys.SESSION, BEGIN)
        end()
        assert keys.find_by_key(database, key, keys.SESSION, BEGIN) is None


def test_a_disabled_account_is_shut_out_at_once(database, ada) -> None:
    session = keys.open_session(database, ada, "", BEGIN)
    token = keys.make_token(database, ada, "script", at())
    users.set_disabled(database, ada.id, at(), disabled=True)
    assert keys.find_by_key(database, session, keys.SESSION, BEGIN) is None
    assert keys.find_by_key(database, token, keys.TOKEN, BEGIN) is None
    with pytest.raises(AccountError, match="wrong name or password"):
        users.log_in(database, "Ada", PASSWORD, at())
    users.set_disabled(database, ada.id, at(), disabled=False)
    assert users.log_in(database, "Ada", PASSWORD, at()).id == ada.id


def test_no_key_is_taken_for_another(database, ada) -> None:
    """A link to reset a password opens no session, a token no page."""
    made = {
        keys.SESSION: keys.open_session(database, ada, "", BEGIN),
        keys.TOKEN: keys.make_token(database, ada, "script", at()),
        keys.RESET: keys.make_reset(database, ada, at()),
    }
    for purpose, key in made.items():
        for asked in made:
            found = keys.find_by_key(database, key, asked, BEGIN)
            assert (found is not None) == (purpose == asked)


def test_keys_are_not_in_the_database(database, ada) -> None:
    """Who reads it can open nothing."""
    made = [keys.open_session(database, ada, "", BEGIN), keys.make_reset(database, ada, at())]
    with database.reading() as connection:
        rows = connection.execute(select(schema.account_keys)).all()
    for key in made:
        assert not any(key in str(row) for row in rows)


def test_a_link_resets_once_and_for_an_hour(database, ada) -> None:
    old = keys.make_reset(database, ada, at())
    with pytest.raises(AccountError, match="used or is too old"):
        keys.use_reset(database, old, "another horse battery", at(hours=1))
    link = keys.make_reset(database, ada, at())
    with pytest.raises(AccountError, match="10 to 200"):
        keys.use_reset(database, link, "short", at())
    session = keys.open_session(database, ada, "", BEGIN)
    assert keys.use_reset(database, link, "another horse battery", at()).id == ada.id
    assert keys.find_by_key(database, session, keys.SESSION, BEGIN) is None
    for used in (link, old):
        with pytest.raises(AccountError, match="used or is too old"):
            keys.use_reset(database, used, "a third horse battery", at())
    assert users.log_in(database, "Ada", "another horse battery", at()).id == ada.id
    for _ in range(limits.RESET_OF_ACCOUNT.most - 2):
        keys.make_reset(database, ada, at())
    with pytest.raises(limits.TooMany):
        keys.make_reset(database, ada, at())


def test_only_ones_own_keys_can_be_revoked(database, ada) -> None:
    eve = users.sign_up(database, users.Signup("Eve", PASSWORD), at())
    session = keys.open_session(database, ada, "", BEGIN)
    [key] = keys.list_keys(database, ada.id, BEGIN)
    with pytest.raises(AccountError, match="no such session"):
        keys.revoke_key(database, eve.id, key.id, at())
    keys.revoke_key(database, ada.id, key.id, at())
    assert keys.find_by_key(database, session, keys.SESSION, BEGIN) is None


def test_tokens_have_names_and_a_bound(database, ada) -> None:
    with pytest.raises(AccountError, match="needs a name"):
        keys.make_token(database, ada, " ", at())
    for number in range(keys.MAX_TOKENS):
        keys.make_token(database, ada, f"script {number}", at())
    with pytest.raises(AccountError, match="20 tokens already"):
        keys.make_token(database, ada, "one more", at())


def test_a_deleted_account_is_nobodys(database, ada) -> None:
    """Name and address are gone and free for others; its number and the log stay."""
    session = keys.open_session(database, ada, "", BEGIN)
    users.delete_account(database, ada.id, at())
    left = users.find_account(database, ada.id)
    assert (left.name, left.email, left.is_deleted) == (f"former user {ada.id}", None, True)
    assert keys.find_by_key(database, session, keys.SESSION, BEGIN) is None
    with pytest.raises(AccountError, match="wrong name or password"):
        users.log_in(database, "Ada", PASSWORD, at())
    with pytest.raises(AccountError, match="deleted by its owner"):
        users.set_disabled(database, ada.id, at(), disabled=False)
    again = users.sign_up(database, users.Signup("Ada", PASSWORD, "ada@example.org"), at())
    assert again.id != ada.id


def test_everything_is_in_the_log(database, ada) -> None:
    with pytest.raises(AccountError):
        users.log_in(database, "my password", "wrong horse battery", at())
    users.accept_terms(database, ada.id, "2026-01", at())
    users.set_role(database, ada.id, "curator", Origin("root", "", BEGIN))
    assert users.find_account(database, "ada").terms == "2026-01"
    assert users.count_curators(database) == 1
    rows = account_actions(database)
    assert [(row.who, row.action, row.address) for row in rows] == [
        ("root", "role curator", ""),
        ("Ada", "terms 2026-01 accepted", "192.0.2.1"),
        ("?", "login refused", "192.0.2.1"),
        ("Ada", "signed up as participant", "192.0.2.1"),
    ]
    assert account_actions(database, before=rows[0].id, limit=1) == rows[1:2]


def test_roles_are_those_there_are(database, ada) -> None:
    with pytest.raises(AccountError, match="is no role"):
        users.set_role(database, ada.id, "admin", at())
    with pytest.raises(AccountError, match="no such account"):
        users.set_role(database, 99, "curator", at())
    with pytest.raises(AccountError, match="wrong password"):
        users.check_own_password(database, ada.id, "wrong", BEGIN)
    users.check_own_password(database, ada.id, PASSWORD, BEGIN)


def test_what_no_name_can_hold_is_only_wrong(database, ada) -> None:
    """On each engine the same answer as for any other name that there is not."""
    for name in ("A\x00da", "\ud800", "", " ", "\uff20" * 2000):
        with pytest.raises(AccountError, match="wrong name or password"):
            users.log_in(database, name, "wrong horse battery", Origin("?", "", BEGIN))


def test_a_new_password_ends_tokens_too(database, ada) -> None:
    """After a theft nothing of the thief's is good any more."""
    token = keys.make_token(database, ada, "script", at())
    users.set_password(database, ada.id, "another horse battery", at())
    assert keys.find_by_key(database, token, keys.TOKEN, BEGIN) is None


def test_a_freed_name_inherits_nothing(database, ada, one_dog) -> None:
    """Votes of who has left are nobody's; another of this name cannot take them back."""
    import_source(database, one_dog)
    [row, *_] = locate(database)
    add_votes(database, [Vote(row.id, "Ada", True)])
    users.delete_account(database, ada.id, at())
    assert ballots.num_votes_of(database, "Ada") == 0
    assert ballots.num_votes_of(database, f"former user {ada.id}") == 1
    rows = account_actions(database)
    assert {entry.who for entry in rows} == {f"former user {ada.id}"}
    assert {entry.address for entry in rows} == {""}


def test_sessions_that_ended_by_disuse_are_not_listed(database, ada) -> None:
    keys.open_session(database, ada, "", BEGIN)
    assert keys.list_keys(database, ada.id, BEGIN + timedelta(days=15)) == ()
