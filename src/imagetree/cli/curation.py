"""`imagetree curation`: removal, hiding, releases, duplicates, what the images are like."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Group, Parameter
from cyclopts.validators import mutually_exclusive

from imagetree.cli.output import (
    DEFAULT_DATABASE,
    DatabaseOption,
    JsonOption,
    print_json,
    print_table,
    progress_bar,
)
from imagetree.database.store import open_database
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imagetree.curation.duplicates import DuplicateGroup
    from imagetree.curation.releases import SynsetDiff

app = App(name="curation", help="Remove and hide images, find duplicates, make releases.")

_NEARNESS = Group("Nearness", validator=mutually_exclusive)


@app.command
def remove(name: str, *more: str, reason: str, database: DatabaseOption = DEFAULT_DATABASE) -> None:
    """Take images down; no import brings them back, restore does.

    Every other image of the same bytes goes too, as far as the images have been checked
    (imagetree database check). With an unknown name among them nothing is removed.

    Example: imagetree curation remove n02084071_17 --reason "asked for by its owner"

    Args:
        name: of an image.
        more: names of further images.
        reason: why; imagetree database problems lists it.
    """
    from imagetree.curation.removal import remove_images

    with open_database(database) as store:
        number = remove_images(store, (name, *more), reason)
    print(f"{number:,} images removed, those of the same bytes among them")


@app.command
def restore(
    name: str, synset: str, *, reason: str, database: DatabaseOption = DEFAULT_DATABASE
) -> None:
    """Bring an image back that was removed or set aside.

    Example: imagetree curation restore n02084071_17 dog --reason "a mistake"

    Args:
        name: of the image.
        synset: its synset, as a word, name or wnid.
        reason: why.
    """
    from imagetree.curation.removal import restore_image

    wnid = load_nouns().resolve(synset).wnid
    with open_database(database) as store:
        restore_image(store, name, wnid, reason)
    print(f"{name} of {wnid} restored")


@app.command
def hide(
    synset: str,
    *,
    reason: str,
    subtree: bool = True,
    database: DatabaseOption = DEFAULT_DATABASE,
) -> None:
    """Leave a synset out of every count, page, sample, challenge and export.

    Its images stay in the database and are imported as before.

    Example: imagetree curation hide ball.n.12 --reason "a sense that no image shows"

    Args:
        synset: a word, name or wnid.
        reason: why.
        subtree: hide all that is below it too.
    """
    from imagetree.curation.removal import hide_synset

    wnid = load_nouns().resolve(synset).wnid
    with open_database(database) as store:
        hide_synset(store, wnid, reason, subtree=subtree)
    print(f"{wnid} hidden{', with all below it' if subtree else ''}")


@app.command
def show(synset: str, *, database: DatabaseOption = DEFAULT_DATABASE) -> None:
    """Show a synset again that was hidden.

    Example: imagetree curation show ball.n.12

    Args:
        synset: a word, name or wnid.
    """
    from imagetree.curation.removal import show_synset

    wnid = load_nouns().resolve(synset).wnid
    with open_database(database) as store:
        show_synset(store, wnid)
    print(f"{wnid} shown again")


@app.command
def hidden(*, database: DatabaseOption = DEFAULT_DATABASE, json: JsonOption = False) -> None:
    """List the hidden synsets.

    Example: imagetree curation hidden
    """
    from imagetree.curation.removal import hidden_synsets

    with open_database(database) as store:
        rows = hidden_synsets(store)
    if json:
        print_json([row._asdict() for row in rows])
        return
    for row in rows:
        below = " and all below it" if row.subtree else ""
        print(f"{row.wnid}  {_word(row.wnid)}{below}: {row.reason}  ({row.hidden_at})")
    print(f"{len(rows):,} hidden")


@app.command
def release(
    name: str, *, database: DatabaseOption = DEFAULT_DATABASE, json: JsonOption = False
) -> None:
    """Keep the list of the images of this moment under a name; it never changes.

    Example: imagetree curation release fall-2026

    Args:
        name: up to 64 letters, digits, dots, dashes and underscores.
    """
    from imagetree.curation.releases import make_release

    with open_database(database) as store, progress_bar(name, "synsets") as bar:
        made = make_release(store, name, bar)
    if json:
        print_json(made._asdict())
        return
    print(f"{name}: {made.num_images:,} images of {made.num_synsets:,} synsets")
    print(f"  sha256 {made.sha256}")


@app.command
def releases(*, database: DatabaseOption = DEFAULT_DATABASE, json: JsonOption = False) -> None:
    """List the releases, the oldest first.

    Example: imagetree curation releases
    """
    from imagetree.curation.releases import releases as read_releases

    with open_database(database) as store:
        rows = read_releases(store)
    if json:
        print_json([row._asdict() for row in rows])
        return
    print_table(("release", "made", "images", "synsets", "sha256"), rows)


@app.command
def names(
    release: str, *, database: DatabaseOption = DEFAULT_DATABASE, json: JsonOption = False
) -> None:
    """List the images of a release by synset.

    Example: imagetree curation names fall-2026

    Args:
        release: its name.
    """
    from imagetree.curation.releases import names_of_release

    with open_database(database) as store:
        rows = names_of_release(store, release)
        if not json:
            for wnid, name in rows:
                print(f"{wnid}  {name}")
            return
        listed: dict[str, list[str]] = {}
        for wnid, name in rows:
            listed.setdefault(wnid, []).append(name)
    print_json(listed)


@app.command
def diff(
    older: str,
    newer: str,
    *,
    names: bool = False,
    database: DatabaseOption = DEFAULT_DATABASE,
    json: JsonOption = False,
) -> None:
    """Count by synset what was added and removed between two releases.

    Example: imagetree curation diff spring-2026 fall-2026

    Args:
        older: name of a release.
        newer: name of another.
        names: list the images themselves.
    """
    from imagetree.curation.releases import diff_releases

    with open_database(database) as store:
        found = list(diff_releases(store, older, newer))
    if json:
        print_json([_diff_as_json(each, names) for each in found])
        return
    for each in found if names else []:
        for sign, listed in (("-", each.removed), ("+", each.added)):
            for name in listed:
                print(f"{sign} {each.wnid}  {name}")
    if found and not names:
        header = ("wnid", "word", "added", "removed")
        print_table(header, [(e.wnid, _word(e.wnid), len(e.added), len(e.removed)) for e in found])
    added, removed = (sum(len(each[i]) for each in found) for i in (1, 2))
    print(f"{added:,} added, {removed:,} removed, in {len(found):,} synsets")


def _diff_as_json(diff: SynsetDiff, with_names: bool) -> dict[str, Any]:
    numbers = {"num_added": len(diff.added), "num_removed": len(diff.removed)}
    return (diff._asdict() if with_names else {"wnid": diff.wnid}) | numbers


@app.command
def duplicates(
    *synsets: str,
    subtree: bool = False,
    distance: Annotated[int, Parameter(group=_NEARNESS)] = 4,
    exact: Annotated[bool, Parameter(group=_NEARNESS, negative="")] = False,
    set_aside: Annotated[bool, Parameter(negative="")] = False,
    keep: Literal["first", "largest"] = "first",
    across_synsets: Annotated[bool, Parameter(negative="")] = False,
    protect: tuple[str, ...] = (),
    database: DatabaseOption = DEFAULT_DATABASE,
    json: JsonOption = False,
) -> None:
    """Find images that are in the database more than once, or nearly.

    The images must have been checked: imagetree database check. With --set-aside one image of each
    group stays, and the reasons of the others name it; of a group with several synsets one stays in
    each, unless --across-synsets is given.

    Example: imagetree curation duplicates --set-aside --keep largest --protect val.tar

    Args:
        synsets: words, names or wnids within which to look; everything if none is given.
        subtree: look in all that is below them too.
        distance: bits of 64 in which the hashes of two near duplicates differ at most, 0 to 12.
        exact: the same bytes alone.
        set_aside: set all but one of each group aside.
        keep: the first by wnid and name, or the one with the most pixels.
        across_synsets: keep one image of a group even where its synsets differ.
        protect: sources whose images stay, such as the archive of val.
    """
    from imagetree.curation.duplicates import find_duplicates, set_duplicates_aside
    from imagetree.database.journal import source_of, sources

    wnids = [load_nouns().resolve(text).wnid for text in synsets]
    with open_database(database) as store:
        protected = {source_of(store, location).id for location in protect}
        groups = find_duplicates(
            store,
            max_distance=None if exact else distance,
            wnids=wnids or None,
            subtree=subtree,
        )
        number = 0
        if set_aside:
            number = set_duplicates_aside(
                store, groups, keep=keep, across_synsets=across_synsets, protected=protected
            )
        places = {row.id: row.location for row in sources(store)}
    if json:
        shown = [_group_as_json(group, places) for group in groups]
        print_json({"groups": shown, "num_set_aside": number})
        return
    for group in groups:
        _print_group(group, places)
    what = f"{number:,} set aside" if set_aside else "none set aside (--set-aside does)"
    print(f"{sum(len(g.copies) for g in groups):,} images in {len(groups):,} groups, {what}")


def _group_as_json(group: DuplicateGroup, places: Mapping[int, str]) -> dict[str, Any]:
    return {
        "is_exact": group.is_exact,
        "distance": group.distance,
        "crosses_synsets": group.crosses_synsets,
        "crosses_sources": group.crosses_sources,
        "copies": [
            {
                "wnid": copy.image.wnid,
                "name": copy.image.name,
                "source": places[copy.image.source_id],
                "num_pixels": copy.num_pixels,
                "sha256": copy.sha256.hex(),
            }
            for copy in group.copies
        ],
    }


def _print_group(group: DuplicateGroup, places: Mapping[int, str]) -> None:
    kind = "the same bytes" if group.is_exact else f"at most {group.distance} bits apart"
    synsets = ", several synsets" if group.crosses_synsets else ""
    print(f"{len(group.copies):,} images, {kind}{synsets}")
    for copy in group.copies:
        image = copy.image
        print(
            f"  {image.wnid}  {image.name}  {copy.num_pixels:,} pixels  {places[image.source_id]}"
        )


@app.command
def traits(*, database: DatabaseOption = DEFAULT_DATABASE, json: JsonOption = False) -> None:
    """Count the checked images by format, and by what is unusual about them.

    Example: imagetree curation traits
    """
    from imagetree.curation.check import count_traits

    with open_database(database) as store:
        formats, found = count_traits(store)
    if json:
        print_json({"formats": formats, "traits": found})
        return
    print_table(("format", "images"), list(formats.items()))
    print_table(("trait", "images"), list(found.items()))


@app.command
def plain(name: str, output: Path, *, database: DatabaseOption = DEFAULT_DATABASE) -> None:
    """Write an image as a plain JPEG that every decoder reads alike: upright, RGB, one frame.

    Example: imagetree curation plain n02105855_2933 dog.jpg

    Args:
        name: of the image.
        output: file to write.
    """
    from imagetree.database.queries import find_image
    from imagetree.database.reading import ImageReader
    from imagetree.files import write_atomic
    from imagetree.sources.encoding import encode_plain_jpeg

    with open_database(database) as store, ImageReader(store) as reader:
        data = encode_plain_jpeg(reader.read(find_image(store, name)))
    write_atomic(output, data)
    print(f"{output}: {len(data):,} bytes")


def _word(wnid: str) -> str:
    return load_nouns().synset(wnid).lemma
