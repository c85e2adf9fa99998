"""A site with something on every page: drawn images, votes, a challenge, accounts, news, a run."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from imagetree.accounts import keys, users
from imagetree.accounts.audit import Origin
from imagetree.accounts.clock import utc
from imagetree.alexnet.network import AlexNet
from imagetree.challenge.cut import CutConfig, cut_challenge
from imagetree.challenge.images import write_test_images
from imagetree.cli.index import build
from imagetree.curation.check import check_images
from imagetree.curation.removal import hide_synset, remove_images
from imagetree.curation.votes import Vote, add_votes
from imagetree.database import ImageReader, images_of, import_source, open_database
from imagetree.database.journal import set_aside
from imagetree.database.news import post_news, withdraw_news
from imagetree.demo.archive import draw_archive
from imagetree.demo.tree import FIGURES
from imagetree.leaderboard.boards import BoardConfig, close_board, open_board
from imagetree.leaderboard.entries import Submission, submit
from imagetree.leaderboard.teams import add_team
from imagetree.sources.source import SourceOptions
from imagetree.training.checkpoints import Checkpoint, save_checkpoint
from imagetree.training.config import TrainConfig
from imagetree.training.runs import open_run

if TYPE_CHECKING:
    from pathlib import Path

SQUARE, TRIANGLE, SPHERE, TORUS, STAR = (
    *("n13878634", "n13879320", "n13899200", "n13900088", "n13881644"),
)
PLANE = "n13863186"  # plane figure, above four of them
PER_CLASS = 12
PASSWORD = "correct horse battery"
CURATOR, ANNOTATOR, PARTICIPANT = "Grace", "Bob", "Ada"
ROLES = {CURATOR: "curator", ANNOTATOR: "annotator", PARTICIPANT: "participant"}
BOARD, CLOSED_BOARD = "figures-2026", "figures-val"


class Drawn(NamedTuple):
    """A database of drawn images, and a run whose classes they are.

    Args:
        place: path of the database.
        run: of a network that has learnt nothing.
    """

    place: Path
    run: Path


class Furnished(NamedTuple):
    """A site with something on every page.

    Args:
        place: path of the database.
        run: of a network.
        index: of what it makes of images.
        sessions: the cookie of each role.
        tokens: likewise, for programs.
        fields: what can stand for each variable of an address.
    """

    place: Path
    run: Path
    index: Path
    sessions: dict[str, str]
    tokens: dict[str, str]
    fields: dict[str, str]


def draw(folder: Path) -> Drawn:
    """Draw, import and check images of each figure, and copies of three squares."""
    archive, copies = folder / "drawn.tar", folder / "copies" / SQUARE
    draw_archive(archive, PER_CLASS, workers=1)
    copies.mkdir(parents=True)
    with tarfile.open(archive) as outer:
        squares = io.BytesIO(outer.extractfile(f"{SQUARE}.tar").read())
    with tarfile.open(fileobj=squares) as inner:
        for number in (1, 2, 3):
            data = inner.extractfile(f"{SQUARE}_{number}.JPEG").read()
            (copies / f"{SQUARE}_{100 + number}.JPEG").write_bytes(data)
    place = folder / "images.db"
    with open_database(place, create=True) as database:
        import_source(database, archive)
        import_source(database, copies.parent)
        check_images(database, threads=1)
    return Drawn(place, untrained(folder / "run", place))


def untrained(folder: Path, place: Path) -> Path:
    """A run with a network for the figures that has learnt nothing."""
    config = TrainConfig(architecture="single_gpu", input_size=67, start_size=67, test_size=67)
    wnids = tuple(figure.wnid for figure in FIGURES)
    network = AlexNet(config.network, len(wnids), 67, seed=1)
    colours = (120.0, 115.0, 105.0), (70.0, 68.0, 70.0)
    run = open_run(folder, config, folder.with_name("figures"), str(place))
    checkpoint = Checkpoint(config, wnids, *colours, 0, 1, network.state_dict())
    save_checkpoint(run.checkpoint_path, checkpoint)
    return folder


def open_boards(database, folder: Path) -> None:
    """A leaderboard on a sealed test, whose images are offered, and one on val that is closed."""
    config = CutConfig(classes=(SQUARE, TRIANGLE, SPHERE, STAR), val_share=0.25, test_share=0.25)
    challenge = cut_challenge(database, folder / "figures", config)
    with ImageReader(database) as reader:
        write_test_images(challenge, database, reader, folder / "figures.test.tar")
    open_board(database, BOARD, challenge, BoardConfig(title="Figures 2026", rank_k=1))
    open_board(database, CLOSED_BOARD, challenge, BoardConfig("val", "Figures, val", rank_k=1))
    answers = folder / "answers.txt"
    for board, split in ((BOARD, "test"), (CLOSED_BOARD, "val")):
        team = f"Team of {split}"
        add_team(database, team, "Ada and others", who="Ada")
        rows = [entry.wnid for entry in challenge.read_split(split)]
        answers.write_text("".join(f"{wnid}\n" for wnid in [*rows[:-2], SQUARE, SQUARE]))
        submit(database, board, Submission(path=answers, team=team, title="First", who="Ada"))
    close_board(database, CLOSED_BOARD)


def import_plain(database, folder: Path, wnid: str) -> None:
    """Import an image that is called `plain`; beside no label it would be called by its synset."""
    folder.mkdir(parents=True)
    Image.new("RGB", (40, 30), "#28c").save(folder / "plain.JPEG")
    labels = folder.with_suffix(".txt")
    labels.write_text(f"plain.JPEG {wnid}\n")
    import_source(database, folder, SourceOptions(labels=labels))


def furnish(folder: Path) -> Furnished:
    """Make the site's database.

    Args:
        folder: for all its files, empty.
    """
    place, run = draw(folder)
    sessions, tokens = {}, {}
    with open_database(place) as database:
        open_boards(database, folder)
        for wnid in (SQUARE, TRIANGLE):  # two images of one name; now neither can be sealed
            import_plain(database, folder / "more" / wnid, wnid)
        build(run, folder / "index")
        for name, role in ROLES.items():
            account = users.sign_up(database, users.Signup(name, PASSWORD, "", role), Origin("me"))
            sessions[role] = keys.open_session(database, account, "a browser", utc())
            tokens[role] = keys.make_token(database, account, "a program", Origin(name))
        voted = images_of(database, [STAR], limit=5)
        for who in (ANNOTATOR, CURATOR):
            add_votes(database, [Vote(row.id, who, who == CURATOR) for row in voted])
        aside, removed = images_of(database, [SPHERE], limit=2)
        set_aside(database, aside.id, "a drawing")
        remove_images(database, [f"{SPHERE}/{removed.name}"], "owner asked")
        hide_synset(database, TORUS, "for a test")
        for title in ("Fall release", "Winter release", "A mistake"):
            post_news(database, title, "It is there.\n\nSo is the leaderboard.", CURATOR)
        withdraw_news(database, 3)
    fields = {"wnid": SQUARE, "key": f"{SQUARE}_4", "number": "1", "name": "single_gpu"}
    return Furnished(place, run, folder / "index", sessions, tokens, fields)
