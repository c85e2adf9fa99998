"""WordNet 3.0's nouns: the hierarchy that images are arranged on.

`load_nouns` gives the hierarchy without numpy, in milliseconds; `imagetree.wordnet.taxonomy`
answers questions about many synsets with numpy and is imported by its own name.
"""

from imagetree.wordnet.export import render_is_a, render_words
from imagetree.wordnet.glosses import gloss_of
from imagetree.wordnet.nouns import Nouns, load_nouns
from imagetree.wordnet.synset import Synset

__all__ = ["Nouns", "Synset", "gloss_of", "load_nouns", "render_is_a", "render_words"]
