"""Voting: does an image show its synset? Several images on a page, in one form.

Yes and no are votes; who is unsure is shown the image another day. A voter's latest votes stand
below the form, where they can be taken back.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from starlette.datastructures import FormData

from imagetree.accounts.limits import VOTES
from imagetree.curation import ballots
from imagetree.curation.polls import next_images, status
from imagetree.curation.votes import Vote, add_votes, fault_of_voter
from imagetree.database.queries import count_images
from imagetree.database.showing import shown_ids
from imagetree.web import access, content
from imagetree.web.common import Number, judge, puzzle
from imagetree.web.forms import checked_form
from imagetree.web.site import User
from imagetree.wordnet import gloss_of, load_nouns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from imagetree.database import Database, ImageRow
    from imagetree.web.site import Site

NUM_IMAGES = 12
"""On a page."""

_NUM_SYNSETS = 24
_MAX_SKIPPED = 120
_MAX_DIGITS = 18
_ANSWERS = {"yes": True, "no": False}
_LIMIT = Depends(access.limited(VOTES))
_Form = Annotated[FormData, Depends(checked_form)]
_Voter = Annotated[User, Depends(access.require_voter)]
_TokenVoter = Annotated[User, Depends(access.require_token_voter)]
_Skip = Annotated[str, Query(max_length=2000, description="ids of images not to show now")]
_REFUSALS: dict[int | str, dict[str, Any]] = {
    **access.ANSWERS,
    404: {"description": "No such noun, or no images of it"},
}


def create_router(site: Site) -> APIRouter:
    """The synsets that want votes, the votes on one, and their JSON twins."""
    router = APIRouter()
    _add_twins(router, site)
    _add_pages(router, site)
    _add_forms(router, site)
    _add_guesses(router, site)
    return router


def count_guess(database: Database, user: User, images: Iterable[ImageRow]) -> int:
    """Count a right guess of what images have in common as votes that each of them shows it.

    A wrong guess says nothing of any one image and counts for nothing. Images that the user has
    voted on before keep that vote. What a guesser has overlooked on one of several images, gold
    among them tells, as it does of any voter.

    Args:
        database: of the images.
        user: who guessed; only users who may vote are counted.
        images: that were shown.

    Returns:
        How many votes there are more.
    """
    if user.role not in access.VOTING_ROLES or fault_of_voter(user.name):
        return 0
    ids = {each.id for each in images}
    known = ballots.voted_ids(database, user.name, ids)
    new = [Vote(image_id, user.name, True) for image_id in sorted(ids - known)]
    return add_votes(database, new)


def _overview(site: Site, user: User) -> dict[str, Any]:
    rows = ballots.synsets_wanting(site.database, user.name, _NUM_SYNSETS)
    return {
        "num_own": ballots.num_votes_of(site.database, user.name),
        "synsets": [content.named(row.wnid) | row._asdict() for row in rows],
    }


def _ballot(site: Site, user: User, wnid: str, skipped: frozenset[int]) -> dict[str, Any]:
    """Images to vote on, how far the voting is, and the voter's latest votes."""
    database = site.database
    num_images = count_images(database, [_noun(wnid)])
    if not num_images:
        raise HTTPException(404, "this synset has no images to vote on")
    given = next_images(database, wnid, user.name, NUM_IMAGES + len(skipped))
    images = [image for image in given if image.id not in skipped][:NUM_IMAGES]
    latest = ballots.recent_votes(database, wnid, user.name, num_images)
    poll = asdict(status(database, wnid))
    return {
        **content.named(wnid),
        "gloss": gloss_of(wnid),
        "images": _described(site, images),
        "skipped": sorted(skipped),
        "num_own": len(latest),
        "num_images": num_images,
        "num_votes": poll["num_votes"],
        "sample_size": poll["sample_size"],
        "sample_done": poll["sample_done"],
        "latest": [
            shown | {"is_match": vote.is_match, "voted_at": vote.voted_at}
            for shown, vote in zip(
                _described(site, [vote.image for vote in latest[:NUM_IMAGES]]), latest, strict=False
            )
        ],
    }


def _described(site: Site, images: list[ImageRow]) -> list[dict[str, Any]]:
    shown = site.thumbnails.describe(images)
    return [{"id": row.id, **each} for row, each in zip(images, shown, strict=True)]


def _add_twins(router: APIRouter, site: Site) -> None:
    @router.get("/votes.json", responses=access.ANSWERS)
    def overview(user: _TokenVoter) -> dict[str, Any]:
        """Synsets that want votes, those with fewest for each image first."""
        return _overview(site, user)

    @router.get("/votes/{wnid}.json", responses=_REFUSALS)
    def ballot(user: _TokenVoter, wnid: str, skip: _Skip = "") -> dict[str, Any]:
        """Images of a synset to vote on, and your latest votes on it."""
        return _ballot(site, user, wnid, parse_ids(skip))


def _add_pages(router: APIRouter, site: Site) -> None:
    @router.get("/votes", include_in_schema=False)
    def overview(request: Request, user: _Voter, wnid: str = "") -> Response:
        asked = wnid.strip()
        if asked in load_nouns():  # typed into the page's form
            return site.redirect(request, f"/votes/{asked}")
        return site.page(request, "votes_list.html", _overview(site, user) | {"asked": asked[:20]})

    @router.get("/votes/{wnid}", include_in_schema=False)
    def ballot(request: Request, user: _Voter, wnid: str, skip: _Skip = "") -> Response:
        return site.page(request, "votes_ballot.html", _ballot(site, user, wnid, parse_ids(skip)))


def _add_guesses(router: APIRouter, site: Site) -> None:
    @router.post("/common/{number}/votes", include_in_schema=False, dependencies=[_LIMIT])
    def guess(request: Request, user: _Voter, number: Number, form: _Form) -> Response:
        """Count a right guess as votes, for who says that it shall be."""
        found = puzzle(site.database, number)
        words = str(form.get("guess", ""))[:200]
        if found is None or judge(found.wnid, words)["verdict"] != "right":
            raise HTTPException(422, "only a right guess counts as votes")
        added = count_guess(site.database, user, found.images)
        path = f"/common/{number}?guess={quote(words)}"
        return site.redirect(request, path, flash=_thanks(added, 0))


def _add_forms(router: APIRouter, site: Site) -> None:
    @router.post("/votes/{wnid}/answers", include_in_schema=False, dependencies=[_LIMIT])
    def vote(request: Request, user: _Voter, wnid: str, form: _Form) -> Response:
        """Keep the votes of a page; what is unsure or unanswered is skipped."""
        if fault := fault_of_voter(user.name):
            raise HTTPException(422, f"your name cannot be a voter's: {fault}")
        answers = _answers(form)
        shown = _of_synset(site.database, _noun(wnid), answers)
        votes = [
            Vote(image_id, user.name, _ANSWERS[answer])
            for image_id, answer in answers.items()
            if answer in _ANSWERS and image_id in shown
        ]
        number = add_votes(site.database, votes)
        unsure = {image_id for image_id in answers if answers[image_id] == "unsure"}
        skipped = parse_ids(str(form.get("skip", ""))) | unsure
        query = f"?skip={','.join(map(str, sorted(skipped)))}" if skipped else ""
        return site.redirect(request, f"/votes/{wnid}{query}", flash=_thanks(number, len(unsure)))

    @router.post("/votes/{wnid}/undo", include_in_schema=False)
    def undo(request: Request, user: _Voter, wnid: str, form: _Form) -> Response:
        """Take back own votes: one image's, or those of several."""
        path = f"/votes/{_noun(wnid)}"
        ids = parse_ids(",".join(str(each) for each in form.getlist("image")))
        number = ballots.withdraw_votes(site.database, user.name, ids)
        word = "vote" if number == 1 else "votes"
        return site.redirect(request, path, flash=f"{number} {word} taken back")


def parse_ids(text: str) -> frozenset[int]:
    """Numbers of images, parted by commas; what is none is left out.

    >>> sorted(parse_ids("3,1,x,-2,"))
    [1, 3]
    """
    parts = text.split(",")[:_MAX_SKIPPED]
    return frozenset(
        int(part) for part in parts if part.isascii() and part.isdigit() and len(part) < _MAX_DIGITS
    )


def _noun(wnid: str) -> str:
    if wnid not in load_nouns():
        raise HTTPException(404, "no noun of WordNet 3.0 has this wnid")
    return wnid


def _answers(form: FormData) -> dict[int, str]:
    """What was answered, by the id of the image: fields `image-17`."""
    found = {}
    for name, answer in form.multi_items():
        ids = parse_ids(name.removeprefix("image-")) if name.startswith("image-") else ()
        found.update(dict.fromkeys(ids, str(answer)))
    return found


def _of_synset(database: Database, wnid: str, ids: Iterable[int]) -> set[int]:
    """Those of some ids whose images are shown and of a synset."""
    wanted = set(ids)
    return shown_ids(database, wanted) & ballots.ids_of_synset(database, wnid, wanted)


def _thanks(num_votes: int, num_unsure: int) -> str:
    votes = f"{num_votes} {'vote' if num_votes == 1 else 'votes'} kept"
    return votes + (f", {num_unsure} left for another day" if num_unsure else "")
