"""The texts of a development kit: its readme, its synsets, its scores."""

from __future__ import annotations

from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING

from imagetree import __version__
from imagetree.sources.devkit import truth_file_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from imagetree.challenge.official import OfficialScore
    from imagetree.sources.devkit import KitSynset

_README = Template("""\
$title
$underline

A recognition challenge on the nouns of WordNet 3.0: which of $num_classes classes is in an image?
This kit has the classes, the hierarchy above them, the truth of the validation images and a
demonstration of the evaluation. The images are not in it. It was made by imagetree $tool from the
challenge of version
$version

Its files are laid out as those of the ILSVRC$year development kit, so that programs which read that
one read this one. $ids_are

1. Data

split       images   what it is for
$splits

The splits have no image in common. The lists below name images without the ending of their files.

data/meta.mat       a struct array `synsets` for MATLAB and SciPy, in the order of the ids:
                      ${id_field}1 to $num_classes for the classes, above for their ancestors
                      WNID             noun of WordNet 3.0: n and the offset in data.noun
                      words            its words, parted by commas
                      gloss            its definition$gloss_note
                      num_children     of its hyponyms that are in the kit; 0 for a class
                      children         their ids
                      wordnet_height   longest way down to a leaf of all nouns of WordNet 3.0
                      num_train_images in train and minival; 0 for an ancestor
data/synsets.tsv    the same as text, with a line of names; children parted by blanks
$cost_note$truth_file
                    id of the class of each validation image, in the order of data/val.txt
data/train.txt      name, tab, id of each image to train on
data/minival.txt    the same of images to choose by, such as a learning rate
data/val.txt        names of the validation images, in the order of their bytes
$test_note
2. Submission

A text file with a line for each image, in the order of data/val.txt: up to 5 ids of classes, best
first, parted by blanks. A line with fewer is filled up with no guess, 0.

3. Evaluation

For an image of class g and guesses l1 ... lk the error is the least d(l, g) of the guesses. The
score is its mean over all images; with several labels on a line of the truth, over these first.

flat            d = 0 for the same class, else 1; no guess costs 1
hierarchical    d = height of the lowest common ancestor: the least wordnet_height among the synsets
                that both are or lie below, 0 for the same class; no guess costs the largest d of
                any two classes

evaluation/demo.val.pred.txt   a submission made of random numbers (seed $seed), now and then right
evaluation/demo.scores.txt     what it scores at k = 1 to 5

    imagetree kit score KIT evaluation/demo.val.pred.txt

prints the same figures.

4. Terms

Words, glosses and hierarchy are WordNet's, under the licence in WORDNET-LICENSE.txt. SHA256SUMS has
the sum of every other file: sha256sum -c SHA256SUMS. The same challenge gives the same bytes.
""")

_IDS_OWN = """The classes have their ids in the order of their wnids; behind them
come entity and, downwards from it, the other ancestors."""
_IDS_KEPT = "The ids are those of the kit\n{}."
_NO_GLOSS = """
                                       (empty for {}: no WordNet was
                                       installed where the kit was made)"""
_COSTS = """                    and `cost_matrix`, the hierarchical error (see 3) of each
                    two classes, by their ids
data/cost_matrix.txt
                    the same as text, a row a line
"""
_TEST = """data/test.txt       names of the test images; their labels are sealed
"""
_USES = {
    "train": "to learn from",
    "minival": "to choose by; a part of the training images that was kept back",
    "val": "to report on; its truth is in this kit",
    "test": "to be compared on; its truth is not in this kit",
}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a readme says of its kit.

    Args:
        year: whose form the kit has.
        version: of the challenge.
        num_classes: ids 1 to this one are classes.
        num_images: in each split.
        has_costs: the kit has a cost matrix.
        glosses: how many synsets have a gloss, and how many there are.
        ids_like: the kit whose ids were kept; empty for none.
        seed: of the demonstration.
    """

    year: int
    version: str
    num_classes: int
    num_images: Mapping[str, int]
    has_costs: bool
    glosses: tuple[int, int]
    ids_like: str
    seed: int


def render_readme(facts: Facts) -> str:
    """The readme.txt of a kit."""
    title = f"Development kit of a challenge with {facts.num_classes:,} classes"
    splits = "\n".join(f"{s:10}{n:9,}   {_USES[s]}" for s, n in facts.num_images.items())
    with_gloss, num_synsets = facts.glosses
    return _README.substitute(
        title=title,
        underline="=" * len(title),
        tool=__version__,
        num_classes=facts.num_classes,
        version=facts.version,
        year=facts.year,
        seed=facts.seed,
        ids_are=_IDS_KEPT.format(facts.ids_like) if facts.ids_like else _IDS_OWN,
        splits=splits,
        id_field=f"{f'ILSVRC{facts.year}_ID':17}",
        gloss_note="" if with_gloss == num_synsets else _NO_GLOSS.format(num_synsets - with_gloss),
        cost_note=_COSTS if facts.has_costs else "",
        truth_file=f"data/{truth_file_name(facts.year)}",
        test_note=_TEST if "test" in facts.num_images else "",
    )


def render_synsets(year: int, synsets: Sequence[KitSynset]) -> str:
    """The synsets of a kit as a table with tabs and a line of names."""
    names = (
        *(f"ILSVRC{year}_ID", "WNID", "words", "gloss", "num_children", "children"),
        *("wordnet_height", "num_train_images"),
    )
    rows = [
        (
            *(s.id.value, s.wnid, s.words, s.gloss, len(s.children)),
            " ".join(str(child.value) for child in s.children),
            *(s.wordnet_height, s.num_train_images),
        )
        for s in synsets
    ]
    return "".join("\t".join(map(str, row)) + "\n" for row in (names, *rows))


def render_scores(score: OfficialScore) -> str:
    """The five flat and five hierarchical errors, as a kit's demonstration prints them."""
    rows = zip(score.flat, score.hierarchical, strict=True)
    lines = [f"{k:7}  {flat:8.4f}  {levels:12.4f}\n" for k, (flat, levels) in enumerate(rows, 1)]
    return "".join(["guesses      flat  hierarchical\n", *lines])
