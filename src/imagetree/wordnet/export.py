"""The noun hierarchy in ImageNet's own text formats.

Source: the files words.txt and wordnet.is_a.txt that image-net.org published.
"""

from __future__ import annotations

from itertools import pairwise

from imagetree.wordnet.nouns import load_nouns


def render_words() -> str:
    r"""All 82,115 synsets as `wnid<TAB>words`, sorted by wnid, without a final newline.

    >>> render_words().splitlines()[2]
    'n00002137\tabstraction, abstract entity'
    """
    nouns = load_nouns()
    synsets = map(nouns.synset_at, range(len(nouns)))
    return "\n".join(f"{synset.wnid}\t{synset.words}" for synset in synsets)


def render_is_a() -> str:
    """All 75,850 `@` edges as `hypernym hyponym`, sorted, each with a newline; no instances.

    >>> render_is_a().splitlines()[0]
    'n00001740 n00001930'
    """
    nouns = load_nouns()
    wnids = nouns.wnids
    starts, targets = nouns.hypernym_arrays(instances=False)
    edges = [
        f"{wnids[target]} {wnids[hyponym]}\n"
        for hyponym, (start, end) in enumerate(pairwise(starts))
        for target in targets[start:end]
    ]
    return "".join(sorted(edges))
