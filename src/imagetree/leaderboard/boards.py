"""Leaderboards: one split of one version of a challenge, open to entries until it is closed.

The challenge, with its sealed labels, stays in its folder; the board keeps the version that it was
opened for, and nothing is scored by another one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from imagetree.challenge.answers import MAX_GUESSES
from imagetree.challenge.definition import load_challenge
from imagetree.database import schema
from imagetree.database.journal import utc_now
from imagetree.errors import ChallengeError
from imagetree.leaderboard.audit import Action, Subject, note_action
from imagetree.leaderboard.words import check_name, check_slug

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row, Select

    from imagetree.challenge.definition import Challenge
    from imagetree.database.store import Database

DEFAULT_WEEKLY_LIMIT = 2
"""Entries of a team a week, as ILSVRC's evaluation server allowed them."""
_BOARDS = schema.leaderboards.c
_HINT = "imagetree leaderboard show lists the leaderboards"


@dataclass(frozen=True)
class BoardConfig:
    """How a leaderboard is kept.

    Args:
        split: that is answered; test if None and the challenge has one, else val.
        title: over its pages; its name if empty.
        weekly_limit: entries of a team in any seven days, at least 1.
        rank_k: guesses that count for the rank, 1 or 5; if None 5 where there are more than five
            classes, as in ILSVRC, else 1.
        shows_classes: show more than an entry's errors before the board is closed, figures by
            class above all; if None not for test, and for other splits, whose labels are known.
        entries: folder that keeps the files; beside a database of SQLite if None.
    """

    split: str | None = None
    title: str = ""
    weekly_limit: int = DEFAULT_WEEKLY_LIMIT
    rank_k: int | None = None
    shows_classes: bool | None = None
    entries: Path | None = None


@dataclass(frozen=True)
class Board:
    """A leaderboard.

    Args:
        id: its number in the database.
        name: letters, digits, dots, dashes, underscores.
        title: over its pages.
        challenge: folder of the challenge.
        version: of the challenge.
        split: that is answered.
        num_images: in it.
        num_classes: of the challenge.
        entries_folder: where the files are kept.
        weekly_limit: entries of a team in any seven days.
        rank_k: guesses that count for the rank.
        shows_classes: whether more than errors is shown before it is closed.
        opened_at: UTC, ISO 8601.
        closed_at: the same; None while it is open.
    """

    id: int
    name: str
    title: str
    challenge: Path
    version: str
    split: str
    num_images: int
    num_classes: int
    entries_folder: Path
    weekly_limit: int
    rank_k: int
    shows_classes: bool
    opened_at: str
    closed_at: str | None

    @property
    def is_sealed(self) -> bool:
        """Whether an entry's errors are all that is shown of it as yet."""
        return self.closed_at is None and not self.shows_classes


def open_board(
    database: Database,
    name: str,
    challenge: Challenge,
    config: BoardConfig = BoardConfig(),
    who: str = "",
) -> Board:
    """Open a leaderboard.

    Args:
        database: that keeps it.
        name: new; letters, digits, dots, dashes, underscores.
        challenge: that is answered, its sealed labels beside it.
        config: how it is kept.
        who: opens it.

    Raises:
        ChallengeError: the name is none or taken, there is no such split or no image in it, its
            labels are not here, or a setting has no meaning.
    """
    check_slug(name, "leaderboard")
    split = config.split or ("test" if "test" in challenge.num_images else "val")
    num_images, num_classes = len(challenge.read_split(split)), len(challenge.wnids)
    if not num_images:
        raise ChallengeError(f"{challenge.folder}: there is no image in {split}")
    rank_k = config.rank_k or (MAX_GUESSES if num_classes > MAX_GUESSES else 1)
    _check_settings(config, rank_k, num_classes)
    values = {
        "name": name,
        "title": check_name(config.title or name, "title"),
        "challenge": str(challenge.folder.absolute()),
        "version": challenge.version,
        "split": split,
        "num_images": num_images,
        "num_classes": num_classes,
        "entries_folder": str(_entries_folder(database, config.entries)),
        "weekly_limit": config.weekly_limit,
        "rank_k": rank_k,
        "shows_classes": split != "test" if config.shows_classes is None else config.shows_classes,
        "opened_at": utc_now(),
    }
    with database.writing() as connection:
        if connection.scalar(select(_BOARDS.id).where(_BOARDS.name == name)) is not None:
            raise ChallengeError(f"leaderboard {name!r} is there already", hint=_HINT)
        added = insert(schema.leaderboards).values(values).returning(_BOARDS.id)
        board_id = connection.execute(added).scalar_one()
        note = f"{split} of {challenge.version}"
        note_action(connection, Action.OPENED, Subject(board_id), who, note)
        return board_named(connection, name)


def boards(database: Database) -> tuple[Board, ...]:
    """All leaderboards by name."""
    with database.reading() as connection:
        rows = connection.execute(_select_boards().order_by(_BOARDS.name))
        return tuple(_board(row) for row in rows)


def find_board(database: Database, name: str) -> Board:
    """The leaderboard of a name.

    Raises:
        ChallengeError: there is none.
    """
    with database.reading() as connection:
        return board_named(connection, name)


def board_named(connection: Connection, name: str) -> Board:
    """The leaderboard of a name, as a transaction sees it.

    Raises:
        ChallengeError: there is none.
    """
    row = connection.execute(_select_boards().where(_BOARDS.name == name)).one_or_none()
    if row is None:
        raise ChallengeError(f"no leaderboard {name[:64]!r}", hint=_HINT)
    return _board(row)


def close_board(database: Database, name: str, who: str = "") -> Board:
    """Close a leaderboard: no entry comes in or is withdrawn any more, and all figures are shown.

    Raises:
        ChallengeError: there is no such board, or it is closed.
    """
    with database.writing() as connection:
        board = board_named(connection, name)
        check_is_open(board)
        closed = update(schema.leaderboards).where(_BOARDS.id == board.id)
        connection.execute(closed.values(closed_at=utc_now()))
        note_action(connection, Action.CLOSED, Subject(board.id), who)
        return board_named(connection, name)


def move_board(
    database: Database,
    name: str,
    challenge: Challenge | None = None,
    entries: Path | None = None,
    who: str = "",
) -> Board:
    """Tell a leaderboard where its challenge and its files are now.

    Args:
        database: that keeps it.
        name: of the board.
        challenge: the same one as before, elsewhere; None if it is where it was.
        entries: folder with the files of its entries; None if they are where they were.
        who: says so.

    Raises:
        ChallengeError: there is no such board, or the challenge is another one.
    """
    with database.writing() as connection:
        board = board_named(connection, name)
        places = {}
        if challenge is not None:
            _check_version(board, challenge)
            places["challenge"] = str(challenge.folder.absolute())
        if entries is not None:
            places["entries_folder"] = str(entries.absolute())
        if places:
            moved = update(schema.leaderboards).where(_BOARDS.id == board.id)
            connection.execute(moved.values(places))
            note = ", ".join(f"{what}: {place}" for what, place in places.items())
            note_action(connection, Action.MOVED, Subject(board.id), who, note)
        return board_named(connection, name)


def challenge_of(board: Board) -> Challenge:
    """The challenge of a leaderboard, held to the version that the board was opened for.

    Raises:
        ChallengeError: it is missing, was changed, or is another one.
    """
    challenge = load_challenge(board.challenge)
    _check_version(board, challenge)
    return challenge


def check_is_open(board: Board) -> None:
    """Refuse a board that was closed.

    Raises:
        ChallengeError: it was.
    """
    if board.closed_at is not None:
        raise ChallengeError(f"leaderboard {board.name!r} was closed on {board.closed_at[:10]}")


def _check_version(board: Board, challenge: Challenge) -> None:
    if challenge.version != board.version:
        raise ChallengeError(
            f"{challenge.folder}: version {challenge.version[:12]} of the challenge "
            f"(expected {board.version[:12]}, which leaderboard {board.name!r} was opened for)",
            hint=f"say where that is: imagetree leaderboard move {board.name} --challenge FOLDER",
        )


def _check_settings(config: BoardConfig, rank_k: int, num_classes: int) -> None:
    if config.weekly_limit < 1:
        raise ChallengeError(f"weekly limit {config.weekly_limit} (expected 1 or more)")
    if rank_k not in {1, MAX_GUESSES} or rank_k > num_classes:
        raise ChallengeError(
            f"ranks by the error at {rank_k} guesses of {num_classes} classes "
            f"(expected 1, or {MAX_GUESSES} where there are as many classes)"
        )


def _entries_folder(database: Database, folder: Path | None) -> Path:
    """Where the files go: a folder beside the database's file unless another is named."""
    if folder is not None:
        return folder.absolute()
    if database.engine.dialect.name != "sqlite":
        raise ChallengeError(
            f"{database.place}: the files of the entries need a folder",
            hint="name one: --entries FOLDER",
        )
    path = Path(database.place)
    return path.with_name(f"{path.name}.entries")


def _select_boards() -> Select[Any]:
    return select(*(_BOARDS[field.name] for field in fields(Board)))


def _board(row: Row[Any]) -> Board:
    values = row._asdict()
    places = {name: Path(values[name]) for name in ("challenge", "entries_folder")}
    return Board(**values | places)
