"""What a curator can do: each deed is shown with what it changes, confirmed, and then done.

A deed is planned from the fields of a form, twice: for the page that asks, which sends the same
fields again, and when it is done. What it says it changes is thus true of the moment it is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from fastapi import HTTPException

from imagetree.curation import polls, queues
from imagetree.curation.consensus import Decision
from imagetree.curation.removal import (
    hidden_synsets,
    hide_synset,
    remove_images,
    restore_image,
    show_synset,
)
from imagetree.database.journal import set_all_aside
from imagetree.database.queries import count_images
from imagetree.database.schema import State
from imagetree.database.showing import shown_image
from imagetree.errors import DatabaseError
from imagetree.web.thumbnails import key_of, parse_key
from imagetree.web.votes import parse_ids
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.datastructures import FormData

    from imagetree.curation.queues import SetAside
    from imagetree.database import Database, ImageRow

MAX_REASON = 300
_MAX_NAMES = 100


class Deed(NamedTuple):
    """What is to be done.

    Args:
        title: what the curator is asked.
        changes: what it changes, and how it is undone.
        names: the images that it is about.
        back: page to go on with.
        perform: does it for a curator of a name, and says what was done.
    """

    title: str
    changes: str
    names: list[str]
    back: str
    perform: Callable[[str], str]


def plan(database: Database, name: str, form: FormData) -> Deed:
    """The deed of a form.

    Args:
        database: that it changes.
        name: of the deed, a key of `PLANNERS`.
        form: its fields.

    Raises:
        HTTPException: there is no such deed, or nothing that it could be done to.
    """
    planner = PLANNERS.get(name)
    if planner is None:
        raise HTTPException(404, "there is no such deed")
    return planner(database, form)


def perform(deed: Deed, curator: str) -> str:
    """Do it, and say what was done.

    Raises:
        HTTPException: what it is about has changed since it was planned.
    """
    try:
        return deed.perform(curator)
    except DatabaseError as error:
        raise HTTPException(409, "this has changed meanwhile: look at the page again") from error


def images(number: int) -> str:
    """So many images, in words.

    >>> images(1), images(1200)
    ('1 image', '1,200 images')
    """
    return f"{number:,} image{'' if number == 1 else 's'}"


def _plan_set_aside(database: Database, form: FormData) -> Deed:
    rows, reason = _chosen(database, form), _reason(form)

    def act(curator: str) -> str:
        set_all_aside(database, {row.id: f"{reason}, by {curator}" for row in rows})
        return f"{images(len(rows))} set aside"

    return Deed(
        f"Set {images(len(rows))} aside?",
        f"{images(len(rows))} will be quarantined: no longer counted, shown or given out. "
        "The quarantine lists them, and each can be released.",
        [key_of(row) for row in rows],
        "/curate/votes",
        act,
    )


def _plan_keep_one(database: Database, form: FormData) -> Deed:
    rows = _chosen(database, form)
    kept = [row for row in rows if row.id in parse_ids(str(form.get("keep", "")))]
    if len(kept) != 1 or len(rows) < 2:
        raise HTTPException(422, "choose which of the images to keep; to keep all, do nothing")
    others = [row for row in rows if row != kept[0]]

    def act(curator: str) -> str:
        reason = f"duplicate of {kept[0].wnid}/{kept[0].name}, by {curator}"
        set_all_aside(database, {row.id: reason for row in others})
        return f"{images(len(others))} set aside, {kept[0].name} kept"

    return Deed(
        f"Keep {kept[0].name} alone?",
        f"{images(len(others))} will be quarantined as duplicates of {kept[0].name}, which stays. "
        "The quarantine lists them, and each can be released.",
        [key_of(row) for row in others],
        _duplicates_page(form),
        act,
    )


def _plan_restore(database: Database, form: FormData) -> Deed:
    found, reason = _away(database, form), _reason(form)
    rows = [each.image for each, _ in found]
    is_removed = any(state is State.REMOVED for _, state in found)

    def act(curator: str) -> str:
        for row in rows:
            restore_image(database, row.name, row.wnid, f"{reason}, by {curator}")
        return f"{images(len(rows))} restored"

    return Deed(
        f"Bring {images(len(rows))} back?",
        f"{images(len(rows))} will be counted, shown and given out again.",
        [key_of(row) for row in rows],
        "/curate/removed" if is_removed else "/curate/quarantine",
        act,
    )


def _plan_remove_quarantined(database: Database, form: FormData) -> Deed:
    found, reason = _away(database, form), _reason(form)
    rows = [each.image for each, state in found if state is State.QUARANTINED]

    def act(curator: str) -> str:
        ids = [row.id for row in rows]
        number = queues.remove_quarantined(database, ids, f"{reason}, by {curator}")
        return f"{images(number)} removed"

    return Deed(
        f"Remove {images(len(rows))}?",
        f"{images(len(rows))} will be taken down: no import of the source brings them back. "
        "The list of removed images names them, and each can be restored.",
        [key_of(row) for row in rows],
        "/curate/quarantine",
        act,
    )


def _plan_remove(database: Database, form: FormData) -> Deed:
    rows, reason = _named_images(database, str(form.get("names", ""))), _reason(form)
    number = queues.count_with_twins(database, [row.id for row in rows])
    twins = f", {images(number - len(rows))} of the same bytes among them" * (number > len(rows))

    def act(curator: str) -> str:
        names = [f"{row.wnid}/{row.name}" for row in rows]
        return f"{images(remove_images(database, names, f'{reason}, by {curator}'))} removed"

    return Deed(
        f"Remove {images(number)}?",
        f"{images(number)} will be taken down{twins}: gone from counts, pages, search, downloads "
        "and thumbnails at once, and no import of the source brings them back. "
        "The list of removed images names them, and each can be restored.",
        [key_of(row) for row in rows],
        "/curate/removed",
        act,
    )


def _plan_apply(database: Database, form: FormData) -> Deed:
    wnid = _wnid(form)
    poll = polls.status(database, wnid)
    if not poll.sample_size or poll.sample_done < poll.sample_size:
        raise HTTPException(
            422,
            f"nothing is decided yet: {poll.sample_done} of {poll.sample_size} images of the "
            "sample have the votes they need",
        )
    voted = polls.image_votes(database, wnid)
    is_over = all(decision is not Decision.OPEN for _, decision in voted)
    out = [
        each.row
        for each, decision in voted
        if decision is Decision.REJECTED and (each.gold is None or is_over)
    ]

    def act(curator: str) -> str:
        report = polls.apply(database, wnid)
        return f"{images(report.num_quarantined)} set aside by vote, as {curator} wished"

    return Deed(
        f"Apply the votes on {_word(wnid)}?",
        f"{images(len(out))} were voted out and will be quarantined; "
        f"{images(len(voted) - len(out))} stay. Each can be released again.",
        [key_of(row) for row in out],
        "/curate/votes",
        act,
    )


def _plan_hide(database: Database, form: FormData) -> Deed:
    wnid, reason, subtree = _wnid(form), _reason(form), form.get("subtree") == "true"
    number = count_images(database, [wnid], subtree=subtree)
    what = f"{_word(wnid)} and all below it" if subtree else _word(wnid)

    def act(curator: str) -> str:
        hide_synset(database, wnid, f"{reason}, by {curator}", subtree=subtree)
        return f"{what} hidden"

    return Deed(
        f"Hide {what}?",
        f"{images(number)} will no longer be counted, shown or given out. They stay in the "
        "database, and the synset can be shown again.",
        [],
        "/curate/hidden",
        act,
    )


def _plan_show(database: Database, form: FormData) -> Deed:
    wnid = _wnid(form)
    row = next((each for each in hidden_synsets(database) if each.wnid == wnid), None)
    if row is None:
        raise HTTPException(422, "this synset is not hidden by itself")
    number = queues.count_in_state_ok(database, wnid, subtree=row.subtree)

    def act(curator: str) -> str:
        show_synset(database, wnid)
        return f"{_word(wnid)} shown again"

    return Deed(
        f"Show {_word(wnid)} again?",
        f"{images(number)} will be counted, shown and given out again, unless another hidden "
        "synset hides them.",
        [],
        "/curate/hidden",
        act,
    )


PLANNERS: dict[str, Callable[[Database, FormData], Deed]] = {
    "set-aside": _plan_set_aside,
    "keep-one": _plan_keep_one,
    "restore": _plan_restore,
    "remove-quarantined": _plan_remove_quarantined,
    "remove": _plan_remove,
    "apply-votes": _plan_apply,
    "hide": _plan_hide,
    "show": _plan_show,
}
"""By the name in the form's address."""


def fields_of(form: FormData) -> list[tuple[str, Any]]:
    """The fields to be sent again with the confirmation."""
    ours = {"csrf", "confirmed"}
    return [(name, value) for name, value in form.multi_items() if name not in ours]


def _duplicates_page(form: FormData) -> str:
    """The page that a group was chosen on; its fields are looked at there."""
    names = ("wnid", "subtree", "distance")
    query = {name: str(form[name])[:20] for name in names if form.get(name)}
    return f"/curate/duplicates?{urlencode(query)}" if query else "/curate/duplicates"


def _ids(form: FormData) -> frozenset[int]:
    return parse_ids(",".join(str(each) for each in form.getlist("image")))


def _chosen(database: Database, form: FormData) -> tuple[ImageRow, ...]:
    rows = queues.shown_images(database, _ids(form))
    if not rows:
        raise HTTPException(422, "choose at least one image that is shown")
    return rows


def _away(database: Database, form: FormData) -> list[tuple[SetAside, State]]:
    found = [queues.set_aside_image(database, each) for each in sorted(_ids(form))]
    kept = [each for each in found if each is not None]
    if not kept:
        raise HTTPException(422, "choose at least one image that was set aside")
    return kept


def _named_images(database: Database, text: str) -> list[ImageRow]:
    names = list(dict.fromkeys(text.split()))
    if not 0 < len(names) <= _MAX_NAMES:
        raise HTTPException(422, f"{len(names)} names (expected 1 to {_MAX_NAMES}, one a line)")
    rows = []
    for name in names:
        key = parse_key(name) if "\0" not in name else None
        row = shown_image(database, *key) if key else None
        if row is None:
            raise HTTPException(422, f"no image {name[:100]} is shown here; nothing was removed")
        rows.append(row)
    return rows


def _reason(form: FormData) -> str:
    reason = str(form.get("reason", "")).strip()
    if not reason.isprintable() or not 0 < len(reason) <= MAX_REASON:
        raise HTTPException(422, f"say why, in one line of at most {MAX_REASON} characters")
    return reason


def _wnid(form: FormData) -> str:
    wnid = str(form.get("wnid", "")).strip()
    if wnid not in load_nouns():
        raise HTTPException(422, f"no synset of WordNet 3.0 has the ID {wnid[:20]!r}")
    return wnid


def _word(wnid: str) -> str:
    return load_nouns().synset(wnid).lemma
