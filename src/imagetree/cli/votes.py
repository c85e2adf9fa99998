"""`imagetree votes`: votes on images, the voters, and what they decide."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from imagetree.cli.output import (
    DEFAULT_DATABASE,
    DatabaseOption,
    JsonOption,
    print_json,
    print_table,
)
from imagetree.curation.consensus import DEFAULT_CONFIG, ConsensusConfig
from imagetree.database.store import open_database
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imagetree.curation.consensus import Decision

app = App(name="votes", help="Verify images by vote: collect votes, judge voters, decide.")

_TRUTHS = {"yes": True, "no": False, "unset": None}


@Parameter(name="*")
@dataclass(frozen=True)
class ConsensusFlags:
    """When an image is decided, and what is learnt from.

    Args:
        precision: confidence at which an image is accepted.
        rejection: confidence that it is no match at which an image is rejected.
        max_votes: an image that is open after so many is undecided.
        sample_images: images of the synset that its table is learnt from.
    """

    precision: float = DEFAULT_CONFIG.precision
    rejection: float = DEFAULT_CONFIG.rejection
    max_votes: int = DEFAULT_CONFIG.max_votes
    sample_images: int = DEFAULT_CONFIG.sample_images

    def config(self) -> ConsensusConfig:
        """The settings; what is no flag has its default."""
        return ConsensusConfig(**vars(self))


_DEFAULT_FLAGS = ConsensusFlags()


@app.command
def add(
    image: str,
    voter: str,
    answer: Literal["yes", "no"],
    *,
    database: DatabaseOption = DEFAULT_DATABASE,
) -> None:
    """Say whether an image shows its synset; a voter's second vote on it replaces the first.

    Example: imagetree votes add n02084071_17 ada yes

    Args:
        image: its name.
        voter: who votes.
        answer: yes or no.
    """
    from imagetree.curation.votes import add_vote
    from imagetree.database.queries import find_image

    with open_database(database) as store:
        add_vote(store, find_image(store, image).id, voter, answer == "yes")
    print(f"{image}: {voter} says {answer}")


@app.command(name="import")
def import_(file: Path, *, database: DatabaseOption = DEFAULT_DATABASE) -> None:
    """Add the votes of a file, all or none.

    A line is the name of an image, the voter, and yes or no, parted by tabs.

    Example: imagetree votes import votes.tsv

    Args:
        file: to read.
    """
    from imagetree.curation.votes import import_votes

    with open_database(database) as store:
        number = import_votes(store, file)
    print(f"{file}: {number:,} votes added")


@app.command
def export(
    file: Path, synset: str | None = None, *, database: DatabaseOption = DEFAULT_DATABASE
) -> None:
    """Write the votes as import reads them.

    Example: imagetree votes export votes.tsv dog

    Args:
        file: to write.
        synset: a word, name or wnid; all votes if not given.
    """
    from imagetree.curation.votes import export_votes

    wnid = None if synset is None else load_nouns().resolve(synset).wnid
    with open_database(database) as store:
        number = export_votes(store, file, wnid)
    print(f"{file}: {number:,} votes")


@app.command
def gold(
    image: str,
    truth: Literal["yes", "no", "unset"],
    *,
    database: DatabaseOption = DEFAULT_DATABASE,
) -> None:
    """Set the truth of an image, by which voters are judged.

    Where there is gold, only voters whom gold of both kinds has shown to be careful are counted.

    Example: imagetree votes gold n02084071_17 yes

    Args:
        image: its name.
        truth: whether it shows its synset; unset where that is no longer taken for known.
    """
    from imagetree.curation.votes import set_gold
    from imagetree.database.queries import find_image

    with open_database(database) as store:
        set_gold(store, {find_image(store, image).id: _TRUTHS[truth]})
    print(f"{image}: {'no gold' if truth == 'unset' else f'gold, {truth}'}")


@app.command
def voters(*, database: DatabaseOption = DEFAULT_DATABASE, json: JsonOption = False) -> None:
    """List the voters, how they do on gold, and whether their votes count.

    Example: imagetree votes voters
    """
    from imagetree.curation.votes import voters as read_voters

    with open_database(database) as store:
        rows = read_voters(store)
    if json:
        print_json([row._asdict() for row in rows])
        return
    print_table(
        ("voter", "votes", "on gold", "accuracy", "at least", "counts"),
        [
            (
                row.voter,
                row.num_votes,
                row.num_gold,
                f"{row.accuracy:.1%}",
                f"{row.lower:.1%}",
                "yes" if row.is_counted else "no",
            )
            for row in rows
        ],
    )


@app.command(name="next")
def next_(
    synset: str,
    voter: str,
    *,
    n: Annotated[int, Parameter(validator=Number(gte=1))] = 20,
    flags: ConsensusFlags = _DEFAULT_FLAGS,
    database: DatabaseOption = DEFAULT_DATABASE,
    json: JsonOption = False,
) -> None:
    """List the images that a voter is to be shown next, gold mixed in.

    Example: imagetree votes next dog ada --n 50

    Args:
        synset: a word, name or wnid.
        voter: who votes.
        n: most images to list.
    """
    from imagetree.curation.polls import next_images

    wnid = load_nouns().resolve(synset).wnid
    with open_database(database) as store:
        rows = next_images(store, wnid, voter, n, flags.config())
    if json:
        print_json([row._asdict() for row in rows])
        return
    for row in rows:
        print(row.name)


@app.command
def status(
    synset: str,
    *,
    flags: ConsensusFlags = _DEFAULT_FLAGS,
    database: DatabaseOption = DEFAULT_DATABASE,
    json: JsonOption = False,
) -> None:
    """Show how far the voting on a synset is.

    Example: imagetree votes status dog

    Args:
        synset: a word, name or wnid.
    """
    from imagetree.curation.polls import status as read_status

    wnid = load_nouns().resolve(synset).wnid
    with open_database(database) as store:
        found = read_status(store, wnid, flags.config())
    if json:
        print_json(found)
        return
    print(f"{wnid}: {found.num_votes:,} votes, {found.num_counted:,} counted")
    print(f"  sample: {found.sample_done:,} of {found.sample_size:,} images have their votes")
    print(f"  images: {_listed(found.decisions)}")


@app.command
def table(
    synset: str,
    *,
    most: Annotated[int, Parameter(validator=Number(gte=0))] = 10,
    flags: ConsensusFlags = _DEFAULT_FLAGS,
    database: DatabaseOption = DEFAULT_DATABASE,
    json: JsonOption = False,
) -> None:
    """Show with how many yes and no votes an image of a synset is how surely a match.

    A plus stands where an image is accepted, a minus where it is rejected.

    Example: imagetree votes table dog --most 6

    Args:
        synset: a word, name or wnid.
        most: yes votes, and no votes, up to which the table is shown.
    """
    from imagetree.curation.consensus import Decision, decide
    from imagetree.curation.polls import synset_table

    wnid, config = load_nouns().resolve(synset).wnid, flags.config()
    with open_database(database) as store:
        learnt = synset_table(store, wnid, config)
    numbers = range(most + 1)
    cells = [[learnt.confidence(yes, no) for no in numbers] for yes in numbers]
    if json:
        shown = {"num_images": learnt.num_images, "share_of_matches": learnt.share_of_matches}
        print_json({"wnid": wnid, **shown, "confidence_by_yes_and_no": cells})
        return
    marks = {Decision.ACCEPTED: "+", Decision.REJECTED: "-"}
    rows = [
        (
            f"{yes} yes",
            *(
                f"{cells[yes][no]:.3f}{marks.get(decide(learnt, yes, no, config), '')}"
                for no in numbers
            ),
        )
        for yes in numbers
    ]
    title = f"{wnid}: learnt from {learnt.num_images:,} images, {learnt.share_of_matches:.1%} match"
    print_table(("", *(f"{no} no" for no in numbers)), rows, title)


@app.command
def apply(
    synset: str,
    *,
    undecided: bool = False,
    flags: ConsensusFlags = _DEFAULT_FLAGS,
    database: DatabaseOption = DEFAULT_DATABASE,
    json: JsonOption = False,
) -> None:
    """Set aside the images of a synset that were voted out.

    Example: imagetree votes apply dog

    Args:
        synset: a word, name or wnid.
        undecided: set aside those too on which the voters are divided.
    """
    from imagetree.curation.polls import apply as apply_votes

    wnid = load_nouns().resolve(synset).wnid
    with open_database(database) as store:
        report = apply_votes(store, wnid, flags.config(), undecided=undecided)
    if json:
        print_json(report)
        return
    print(f"{wnid}: {report.num_quarantined:,} images set aside; left: {_listed(report.decisions)}")


def _listed(decisions: Mapping[Decision, int]) -> str:
    return ", ".join(f"{number:,} {decision}" for decision, number in decisions.items())
