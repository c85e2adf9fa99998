"""What do these images have in common? Find out: a synset is guessed from its images.

The puzzles are numbered. A number leads to the same synset and images for as long as the database
stays as it is, so that a class can be sent to one; the front page shows the number of the day.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from fastapi import APIRouter, HTTPException, Path, Query, Request
from fastapi.responses import RedirectResponse, Response

from imagetree.database import sample
from imagetree.database.closure import ancestors_or_self, hypernyms
from imagetree.database.counting import current_counts
from imagetree.database.schema import wnid_of
from imagetree.web import content
from imagetree.web.caching import unless_changed
from imagetree.web.images import JPEG, run_aside, send_image
from imagetree.wordnet import gloss_of, load_nouns, taxonomy
from imagetree.wordnet.search import MatchKind
from imagetree.wordnet.search import search as search_nouns

if TYPE_CHECKING:
    from imagetree.database import Database, ImageRow
    from imagetree.web.site import Site

NUM_IMAGES = 6
"""Of a puzzle."""

Number = Annotated[int, Path(ge=1, le=999_999_999)]
"""Of a puzzle, in an address."""

_LEAST_IMAGES = 3  # a synset with fewer is not asked for
_NAMED_BY = {MatchKind.WNID, MatchKind.WNID31, MatchKind.EXACT, MatchKind.PLURAL}
_VERDICTS = ("right", "above", "below", "far")  # the best first
NONE: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such puzzle"}}
"""Of puzzles, for the OpenAPI."""

_Guess = Annotated[str, Query(max_length=200, description="a word, or a wnid")]
_Reveal = Annotated[bool, Query(description="tell the answer")]


class Puzzle(NamedTuple):
    """Images to be named.

    Args:
        number: from 1.
        wnid: the answer.
        images: of it.
    """

    number: int
    wnid: str
    images: tuple[ImageRow, ...]


def create_router(site: Site) -> APIRouter:
    """The puzzles, their images and JSON twins."""
    router = APIRouter()

    @router.get("/common", include_in_schema=False)
    def begin() -> Response:
        return RedirectResponse(f"/common/{today()}", 302)

    @router.get("/common/{number}.json", responses=NONE)
    def twin(number: Number, guess: _Guess = "", reveal: _Reveal = False) -> dict[str, Any]:
        """A puzzle, and what is to be said of a guess."""
        return played(get_puzzle(site.database, number), guess, reveal=reveal)

    @router.get("/common/{number}", include_in_schema=False)
    def page(
        request: Request, number: Number, guess: _Guess = "", reveal: _Reveal = False
    ) -> Response:
        unless_changed(site, request)
        values = played(get_puzzle(site.database, number), guess, reveal=reveal)
        return site.page(request, "common.html", values)

    @router.get("/common/{number}/{position:int}", response_class=Response, responses=JPEG)
    async def image(request: Request, number: Number, position: int) -> Response:
        """An image of a puzzle, whose address does not tell the answer."""
        return await run_aside(request, _send, site, request, number, position)

    return router


def _send(site: Site, request: Request, number: int, position: int) -> Response:
    images = get_puzzle(site.database, number).images
    if not 1 <= position <= len(images):
        raise HTTPException(404, "the puzzle has no such image")
    return send_image(site, request, images[position - 1], "thumb", "")


def today() -> int:
    """The number of the day: days since 1970, in UTC."""
    return int(datetime.now(UTC).timestamp()) // 86_400


def puzzle(database: Database, number: int) -> Puzzle | None:
    """The puzzle of a number; None where no synset has enough images."""
    with database.reading() as connection:
        counts = current_counts(database, connection)
    synsets = counts.synsets[counts.num_images >= _LEAST_IMAGES]
    if not len(synsets):
        return None
    digest = hashlib.sha256(str(number).encode()).digest()
    wnid = wnid_of(int(synsets[int.from_bytes(digest[:8]) % len(synsets)]))
    return Puzzle(number, wnid, sample(database, [wnid], NUM_IMAGES, number))


def question(database: Database, number: int) -> dict[str, Any] | None:
    """A puzzle without its answer."""
    found = puzzle(database, number)
    return None if found is None else _question(found)


def played(found: Puzzle, guess: str, *, reveal: bool) -> dict[str, Any]:
    """A puzzle, and what is to be said of a guess.

    Args:
        found: the puzzle.
        guess: a word, its plural or a wnid; of a word with several senses the best one counts.
        reveal: tell the answer; a right guess tells it too.
    """
    said = judge(found.wnid, guess) if guess.strip() else None
    is_told = reveal or (said is not None and said["verdict"] == "right")
    return _question(found) | {
        "guess": guess,
        "said": said,
        "answer": _answer(found) if is_told else None,
    }


def judge(answer: str, guess: str) -> dict[str, Any]:
    """What is to be said of a guess.

    Returns:
        `verdict`: right; above, where the answer is a kind of the guess, and below, the other way
        round, both with `steps`; far, with what the guess and the answer have in `common`; or
        unknown, with `meant`: words that are spelt alike.

    >>> found = judge("n02085620", "dog")
    >>> found["verdict"], found["steps"], found["synset"]["wnid"]
    ('above', 2, 'n02084071')
    """
    hits = search_nouns(guess, limit=60)
    senses = [hit.synset.wnid for hit in hits if hit.kind in _NAMED_BY]
    if not senses:
        return {"verdict": "unknown", "meant": [hit.lemma for hit in hits[:5]]}
    judged = [_judge_sense(answer, wnid) for wnid in senses]
    # Of several equally good senses the commonest counts: they come in this order.
    return min(judged, key=lambda each: _VERDICTS.index(each["verdict"]))


def _judge_sense(answer: str, wnid: str) -> dict[str, Any]:
    said: dict[str, Any] = {"synset": content.named(wnid)}
    if wnid == answer:
        return said | {"verdict": "right"}
    if wnid in ancestors_or_self(answer):
        return said | {"verdict": "above", "steps": _steps_up(answer, wnid)}
    if answer in ancestors_or_self(wnid):
        return said | {"verdict": "below", "steps": _steps_up(wnid, answer)}
    shared = taxonomy.lowest_common_hypernyms(wnid, answer, instances=True)
    return said | {"verdict": "far", "common": [content.named(each) for each in shared]}


def _steps_up(wnid: str, ancestor: str) -> int:
    """Edges of the shortest way up to an ancestor."""
    steps, level = 0, {wnid}
    while ancestor not in level:
        level = {above for each in level for above in hypernyms(each)}
        steps += 1
    return steps


def _question(found: Puzzle) -> dict[str, Any]:
    places = range(1, len(found.images) + 1)
    return {
        "number": found.number,
        "images": [f"/common/{found.number}/{position}" for position in places],
    }


def _answer(found: Puzzle) -> dict[str, Any]:
    synset = load_nouns().synset(found.wnid)
    return content.named(found.wnid) | {
        "lemma": synset.lemma,
        "gloss": gloss_of(found.wnid),
        "paths": content.ways(found.wnid),
        "names": [image.name for image in found.images],
    }


def get_puzzle(database: Database, number: int) -> Puzzle:
    """The puzzle of a number.

    Raises:
        HTTPException: there is none.
    """
    found = puzzle(database, number)
    if found is None:
        raise HTTPException(404, "no synset has images enough to be guessed from")
    return found
