"""The classes of the drawn tree: nouns of WordNet 3.0 that a person always tells apart.

No logic: `plane` and `solids` know how each is drawn, `imagetree.wordnet` what is above it.
Source: WordNet 3.0, data.noun, offsets 13863186 (plane figure) to 13916721 (cube).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A drawn class.

    Attributes:
        wnid: WordNet 3.0 noun.
        lemma: its first word in WordNet, and the name of its drawer.
        is_solid: whether it is shaded in space or cut from a plane.
    """

    wnid: str
    lemma: str
    is_solid: bool


FIGURES = (
    Figure("n13865298", "cylinder", is_solid=True),
    Figure("n13865904", "heart", is_solid=False),
    Figure("n13872592", "cone", is_solid=True),
    Figure("n13874251", "semicircle", is_solid=False),
    Figure("n13876371", "spiral", is_solid=False),
    Figure("n13878306", "ellipse", is_solid=False),
    Figure("n13878634", "square", is_solid=False),  # a rectangle and a regular polygon
    Figure("n13879320", "triangle", is_solid=False),
    Figure("n13881644", "star", is_solid=False),
    Figure("n13896217", "crescent", is_solid=False),
    Figure("n13899200", "sphere", is_solid=True),
    Figure("n13900088", "torus", is_solid=True),
    Figure("n13914837", "pyramid", is_solid=True),
    Figure("n13916721", "cube", is_solid=True),
)
"""Every class, by wnid: none is above another, and the square has two hypernyms."""
