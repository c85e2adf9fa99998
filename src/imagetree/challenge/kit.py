"""A development kit made of a challenge, laid out as ILSVRC's: `meta.mat`, truth, demonstration.

Beside the form of ILSVRC all is there as plain text too. The same challenge gives the same bytes:
no time, owner or name of a machine is in any file. The labels of a sealed test are in none.
Source: the readme.txt of the kits of 2010 and 2012, "Data" and "Meta Data".
"""

from __future__ import annotations

import gzip
import hashlib
import re
import shutil
from dataclasses import dataclass
from importlib.resources import files as resources
from typing import TYPE_CHECKING

import numpy as np

from imagetree.challenge.kit_text import Facts, render_readme, render_scores, render_synsets
from imagetree.challenge.metamat import render_meta
from imagetree.challenge.official import MAX_GUESSES, OfficialKit, costs_of, score_text
from imagetree.database.closure import ROOT
from imagetree.errors import ChallengeError
from imagetree.export import tarwriter
from imagetree.files import atomic_writer, write_atomic
from imagetree.sources.devkit import KINDS, Devkit, KitSynset, load_devkit, truth_file_name
from imagetree.wordnet import load_nouns
from imagetree.wordnet.glosses import gloss_of
from imagetree.wordnet.taxonomy import closure, height, indices_of, min_depth

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from imagetree.challenge.definition import Challenge

SUMS = "SHA256SUMS"
_TAR_GZ = re.compile(r"\.(tar\.gz|tgz)$", re.IGNORECASE)
_DEFAULT_YEAR = 2012
_WITH_COSTS = 2010


@dataclass(frozen=True, kw_only=True)
class KitConfig:
    """What a kit is like.

    Args:
        year: whose form it has, 2010, 2011 or 2012; that of 2010 has a cost matrix. If None that of
            `ids`, or 2012, which most programs read.
        ids: a kit of the same classes whose ids are kept.
        seed: of the demonstration's random answers.
    """

    year: int | None = None
    ids: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.year not in {None, *KINDS}:
            raise ChallengeError(f"year is {self.year} (expected {', '.join(map(str, KINDS))})")


@dataclass(frozen=True)
class KitReport:
    """What was written.

    Args:
        path: of the kit.
        year: whose form it has.
        num_classes: ids of classes.
        num_synsets: with the ancestors of classes.
        num_glosses: synsets whose definition was found.
        files: names, sorted.
        sums_sha256: of SHA256SUMS, and so of all.
    """

    path: Path
    year: int
    num_classes: int
    num_synsets: int
    num_glosses: int
    files: tuple[str, ...]
    sums_sha256: str


def export_kit(challenge: Challenge, out: Path, config: KitConfig | None = None) -> KitReport:
    """Write a challenge's development kit.

    Args:
        challenge: of at most 10,000 classes.
        out: a new folder, or a file if it ends with `.tar.gz` or `.tgz`, in which all lies in a
            folder of that name.
        config: form, ids and demonstration.

    Raises:
        ChallengeError: there is something in the folder, the kit whose ids are to be kept has other
            classes, or there are too many classes.
        DatabaseError: that kit cannot be read.
    """
    config = config or KitConfig()
    like = load_devkit(config.ids) if config.ids else None
    year = config.year or (like.year if like else _DEFAULT_YEAR)
    synsets = build_synsets(
        challenge.wnids,
        year,
        num_images=_num_train_images(challenge),
        ids=[synset.wnid for synset in like.synsets] if like else None,
    )
    files = _files_of(challenge, year, synsets, config)
    listed = [f"{hashlib.sha256(data).hexdigest()}  {n}\n" for n, data in sorted(files.items())]
    files[SUMS] = "".join(listed).encode()
    if _TAR_GZ.search(out.name):
        _write_tar(out, files)
    else:
        _write_folder(out, files)
    return KitReport(
        out,
        year,
        len(challenge.wnids),
        len(synsets),
        sum(bool(synset.gloss) for synset in synsets),
        tuple(sorted(files)),
        hashlib.sha256(files[SUMS]).hexdigest(),
    )


def build_synsets(
    wnids: Sequence[str],
    year: int,
    *,
    num_images: Mapping[str, int],
    ids: Sequence[str] | None = None,
) -> tuple[KitSynset, ...]:
    """The synsets of a kit: classes, and above them all their ancestors in WordNet.

    Args:
        wnids: of the classes, none an ancestor of another.
        year: of the form.
        num_images: training images of each class.
        ids: all wnids in the order of their ids, as another kit has them. If None the classes are
            in the order of their wnids, then comes entity, and from it downwards every ancestor
            behind the first of its own, those of one hypernym in the order of their wnids.

    Returns:
        In the order of their ids, which for children is the order too.

    Raises:
        ChallengeError: `ids` has other synsets.
        WordnetError: a class is no noun of WordNet 3.0.
    """
    instances = bool(np.any(min_depth()[indices_of(wnids)] < 0))  # as hierarchical_cost has it
    every = set(closure(wnids, instances=instances))
    children = {
        wnid: [w for w in load_nouns().hyponyms(wnid, instances=instances) if w in every]
        for wnid in every.difference(wnids)
    }
    order = [*sorted(wnids), *_downwards(children)] if ids is None else list(ids)
    if set(order) != every or set(order[: len(wnids)]) != set(wnids):
        raise ChallengeError(
            f"the kit whose ids are to be kept has other synsets ({len(order)}, expected "
            f"{len(every)} for {len(wnids)} classes)",
            hint="only a kit of exactly the challenge's classes has ids for them",
        )
    id_of = {wnid: KINDS[year](number) for number, wnid in enumerate(order, 1)}
    heights = height(instances=instances)[indices_of(order)].tolist()
    return tuple(
        KitSynset(
            id=id_of[wnid],
            wnid=wnid,
            words=load_nouns().synset(wnid).words,
            gloss=gloss_of(wnid) or "",
            children=tuple(sorted(id_of[child] for child in children.get(wnid, ()))),
            wordnet_height=levels,
            num_train_images=num_images.get(wnid, 0),
        )
        for wnid, levels in zip(order, heights, strict=True)
    )


def _downwards(children: Mapping[str, Sequence[str]]) -> list[str]:
    """The ancestors of classes from entity down, each where it is met first."""
    found: dict[str, None] = {}
    waiting = [ROOT]
    while waiting:
        wnid = waiting.pop()
        if wnid in children and wnid not in found:
            found[wnid] = None
            waiting += reversed(children[wnid])
    return list(found)


def _num_train_images(challenge: Challenge) -> dict[str, int]:
    """Images to learn from of each class; minival is a part of them that was kept back."""
    counts = dict.fromkeys(challenge.wnids, 0)
    for split in ("train", "minival"):
        for entry in challenge.read_split(split):
            counts[entry.wnid] += 1
    return counts


def _files_of(
    challenge: Challenge, year: int, synsets: tuple[KitSynset, ...], config: KitConfig
) -> dict[str, bytes]:
    """All files of a kit but the sums, by their names."""
    id_of = {synset.wnid: synset.id.value for synset in synsets}
    val = sorted(challenge.read_split("val"))
    truth = np.array([[id_of[entry.wnid]] for entry in val], dtype=np.int64)
    costs = costs_of(synsets)
    has_costs = year == _WITH_COSTS
    devkit = Devkit(challenge.folder, year, synsets, costs, (), "", frozenset())
    demo = _render_demo(truth[:, 0], len(challenge.wnids), config.seed)
    facts = Facts(
        year=year,
        version=challenge.version,
        num_classes=len(challenge.wnids),
        num_images=challenge.num_images,
        has_costs=has_costs,
        glosses=(sum(bool(synset.gloss) for synset in synsets), len(synsets)),
        ids_like=config.ids.name if config.ids else "",
        seed=config.seed,
    )
    texts = {
        "readme.txt": render_readme(facts),
        "data/synsets.tsv": render_synsets(year, synsets),
        f"data/{truth_file_name(year)}": "".join(f"{label}\n" for label in truth[:, 0].tolist()),
        "data/val.txt": "".join(f"{entry.name}\n" for entry in val),
        "evaluation/demo.val.pred.txt": demo,
        "evaluation/demo.scores.txt": render_scores(score_text(OfficialKit(devkit, truth), demo)),
    }
    for split in ("train", "minival"):
        entries = sorted(challenge.read_split(split))
        texts[f"data/{split}.txt"] = "".join(f"{e.name}\t{id_of[e.wnid]}\n" for e in entries)
    if "test" in challenge.num_images:
        texts["data/test.txt"] = "".join(f"{name}\n" for name in challenge.read_names("test"))
    if has_costs:
        rows = (" ".join(map(str, row)) for row in costs.tolist())
        texts["data/cost_matrix.txt"] = "".join(f"{row}\n" for row in rows)
    files = {name: text.encode() for name, text in texts.items()}
    files["data/meta.mat"] = render_meta(year, synsets, costs if has_costs else None)
    licence = resources("imagetree.wordnet") / "facts" / "LICENSE"
    files["WORDNET-LICENSE.txt"] = licence.read_bytes()
    return files


def _render_demo(truth: NDArray[np.int64], num_classes: int, seed: int) -> str:
    """A submission of random numbers, right at each of the five guesses for one image in ten."""
    lines = []
    for number, label in enumerate(truth.tolist()):
        digest = hashlib.sha256(f"{seed}:{number}".encode()).digest()
        draws = [int.from_bytes(digest[at : at + 4]) for at in range(0, 32, 4)]
        guesses: list[int] = []
        for draw in draws[: min(MAX_GUESSES, num_classes)]:
            guess = draw % num_classes + 1
            while guess in guesses:
                guess = guess % num_classes + 1
            guesses.append(guess)
        place = draws[-1] % 10
        if place < len(guesses) and label not in guesses:
            guesses[place] = label
        lines.append(" ".join(map(str, guesses)) + "\n")
    return "".join(lines)


def _write_tar(out: Path, files: Mapping[str, bytes]) -> None:
    folder = _TAR_GZ.sub("", out.name)
    with (
        atomic_writer(out) as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed,
    ):
        size = 0
        for name, data in sorted(files.items()):
            member = tarwriter.member(f"{folder}/{name}", data)
            packed.write(member)
            size += len(member)
        packed.write(tarwriter.archive_end(size))


def _write_folder(out: Path, files: Mapping[str, bytes]) -> None:
    """All of the folder or nothing: it gets its name when it is whole."""
    out = out.resolve()
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ChallengeError(
            f"{out}: something is there already (expected no such folder, or an empty one)",
            hint="name another folder, or a file that ends with .tar.gz",
        )
    part = out.with_name(f".{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # of a run that was killed
    for name, data in files.items():
        write_atomic(part / name, data)
    part.replace(out)
