"""`imagetree synset`: the nouns of WordNet 3.0."""

from __future__ import annotations

from cyclopts import App

from imagetree.cli.output import JsonOption, print_json
from imagetree.wordnet import Synset, load_nouns

app = App(name="synset", help="Look up the nouns of WordNet 3.0.")


@app.command
def show(text: str, *, json: JsonOption = False) -> None:
    """Show a synset: its words, what it is a kind of, and its kinds.

    Example: imagetree synset show dog

    Args:
        text: a word (its commonest sense), `dog.n.01`, or a wnid.
    """
    from imagetree.wordnet import gloss_of

    nouns = load_nouns()
    synset = nouns.resolve(text)
    paths = nouns.paths_to_root(synset.wnid, instances=True)
    hyponyms = nouns.hyponyms(synset.wnid)
    gloss = gloss_of(synset.wnid)
    others = [each for each in nouns.find(text) if each.wnid != synset.wnid]
    if json:
        print_json(
            {
                "wnid": synset.wnid,
                "name": synset.name,
                "lemmas": synset.lemmas,
                "gloss": gloss,
                "hypernyms": nouns.hypernyms(synset.wnid),
                "hyponyms": hyponyms,
                "paths_to_root": paths,
                "other_senses": [each.wnid for each in others],
            }
        )
        return
    print(f"{synset.wnid}  {synset.name}  {synset.words}")
    if gloss:
        print(f"  {gloss}")
    for path in paths:
        print("  " + " > ".join(nouns.synset(each).lemma for each in path))
    print(f"  {len(hyponyms)} hyponyms" + (":" if hyponyms else ""))
    for each in hyponyms:
        print(f"    {each}  {nouns.synset(each).words}")
    if others:
        listed = ", ".join(f"{each.name} ({each.wnid})" for each in others)
        print(f"  other senses of {text!r}: {listed}")


@app.command
def search(text: str, *, limit: int = 20, glosses: bool = False, json: JsonOption = False) -> None:
    """Search synsets by a word, a plural, a part of one, several words in any order, or a wnid.

    Misspelt words are found too. Each line says by what it was found.

    Example: imagetree synset search retreiver

    Args:
        text: what to look for.
        limit: lines to show at most.
        glosses: look into the definitions too, where WordNet is installed.
    """
    from imagetree.wordnet.search import search as search_synsets

    hits = search_synsets(text, limit=limit, glosses=glosses)
    if json:
        print_json(
            [
                {
                    "wnid": hit.synset.wnid,
                    "name": hit.synset.name,
                    "words": hit.synset.words,
                    "lemma": hit.lemma,
                    "kind": hit.kind,
                }
                for hit in hits
            ]
        )
        return
    for hit in hits:
        print(f"{_line(hit.synset)}  ({hit.kind})")


@app.command
def common(*texts: str, json: JsonOption = False) -> None:
    """Show what synsets have in common: all their lowest common hypernyms.

    Example: imagetree synset common Chihuahua tabby

    Args:
        texts: words, names or wnids.
    """
    from imagetree.wordnet.taxonomy import lowest_common_hypernyms

    nouns = load_nouns()
    given = [nouns.resolve(text) for text in texts]
    found = lowest_common_hypernyms(*(each.wnid for each in given), instances=True)
    synsets = [nouns.synset(wnid) for wnid in found]
    if json:
        keys = ("wnid", "name", "words")
        rows = {"of": given, "common": synsets}
        print_json(
            {k: [{key: getattr(s, key) for key in keys} for s in v] for k, v in rows.items()}
        )
        return
    for text, synset in zip(texts, given, strict=True):
        print(f"{text}: {_line(synset)}")
    for synset in synsets:
        print(f"in common: {_line(synset)}")


def _line(synset: Synset) -> str:
    return f"{synset.wnid}  {synset.name:24}  {synset.words}"
