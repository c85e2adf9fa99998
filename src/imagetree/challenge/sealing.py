"""The images of a sealed test in the database that they were cut from.

There each stands below its synset: a page, a list or an archive of that synset would tell its
class. While they are sealed nobody sees them there, and no other challenge is cut from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagetree.challenge.images import rows_of_split
from imagetree.database.sealing import set_sealed

if TYPE_CHECKING:
    from imagetree.challenge.definition import Challenge
    from imagetree.database.store import Database


def seal_test(challenge: Challenge, database: Database) -> int:
    """Take the images of test out of everything that the database shows.

    Args:
        challenge: with its sealed labels, which say where the images stand.
        database: where they are.

    Returns:
        How many were shown until now.

    Raises:
        ChallengeError: there is no test, its labels are not here, or an image is not in the
            database.
    """
    return set_sealed(database, _ids(challenge, database), sealed=True)


def unseal_test(challenge: Challenge, database: Database) -> int:
    """Show the images of test again, as when the challenge is over; else as `seal_test`."""
    return set_sealed(database, _ids(challenge, database), sealed=False)


def _ids(challenge: Challenge, database: Database) -> list[int]:
    return [row.id for row in rows_of_split(challenge, "test", database)]
