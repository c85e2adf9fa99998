"""What is sent by forms is limited in number, by account or address; see accounts.limits."""

from __future__ import annotations

import pytest

from imagetree.accounts.clock import utc
from imagetree.accounts.limits import ENTRIES, PHOTOS, VOTES, count_try
from imagetree.database import open_database

from .acting import BOB, EVE, act_as, send

pytestmark = pytest.mark.slow


def use_up(site_place, limit, whose, *, but=0) -> None:
    with open_database(site_place) as database:
        for _ in range(limit.most - but):
            count_try(database, [(limit, whose)], utc())


@pytest.mark.parametrize(
    ("limit", "path", "user"),
    [
        (PHOTOS, "/coolstuff/recognize", None),
        (PHOTOS, "/coolstuff/common", None),
        (PHOTOS, "/coolstuff/recognize", EVE),
        (VOTES, "/votes/n02084071/answers", BOB),
        (VOTES, "/common/1/votes", BOB),
        (ENTRIES, "/challenges/c/submit", EVE),
    ],
)
def test_after_so_many_one_is_asked_to_come_again(client, site_place, limit, path, user) -> None:
    """The last that may be is not refused; others are not held up by it."""
    if user is not None:
        act_as(client, user)
    whose = "testclient" if user is None else f"account {user.id}"
    use_up(site_place, limit, whose, but=1)
    assert send(client, path, {}).status_code != 429
    refused = send(client, path, {})
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= limit.seconds
    assert f"too many {limit.what}" in refused.text
    act_as(client, BOB if user is not BOB else EVE)
    assert send(client, path, {}).status_code != 429
