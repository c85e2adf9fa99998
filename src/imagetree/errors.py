"""Every error that imagetree raises for a reason outside its own code.

ImagetreeError
 +-- WordnetError     a word, wnid or WordNet file that is not what it should be
 +-- DatabaseError    an archive, an image, a label file or the store
 +-- AccountError     names, passwords, sessions and rights of the site's users
 +-- ChallengeError   classes, splits, submissions, scores
 +-- TrainingError    configuration, checkpoints, a run that cannot go on

A message reads `where: what is wrong (expected X, got Y)`; the hint names what repairs it.
The command line prints both and ends with exit status 1: no traceback for a user's mistake.
"""

from __future__ import annotations


class ImagetreeError(Exception):
    """A message for the user, and a hint that says how to go on.

    Args:
        message: where, what is wrong, what was expected; lower case, no full stop.
        hint: the command or change that repairs it.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\nhint: {self.hint}"


class WordnetError(ImagetreeError):
    """A word, wnid or WordNet file that is not what it should be."""


class DatabaseError(ImagetreeError):
    """An archive, an image, a label file or the store."""


class AccountError(ImagetreeError):
    """Names, passwords, sessions and rights of the site's users."""


class ChallengeError(ImagetreeError):
    """Classes, splits, submissions, scores."""


class TrainingError(ImagetreeError):
    """Configuration, checkpoints, a run that cannot go on."""
