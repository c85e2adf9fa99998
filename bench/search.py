"""Search over the 117,798 lemmas: latency by kind of query, recall of misspellings, memory.

    python bench/search.py

All queries are made of the lemmas by a fixed seed. Latencies are warm, over all queries and rounds.
Peers for the misspelt ones: SQLite's FTS5 with trigrams, ranked by bm25, over the same lemmas, and
difflib.get_close_matches, over all lemmas (seconds a query, so a few) and over those with the same
first letter or last three letters and much the same length (so that it ends).
"""

from __future__ import annotations

import difflib
import random
import sqlite3
import subprocess
import sys
import time
import tracemalloc
from functools import partial
from typing import TYPE_CHECKING

from imagetree.wordnet import gloss_of, load_nouns
from imagetree.wordnet.glosses import split_words
from imagetree.wordnet.search import search
from run import interleaved, show

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 5
EACH = 60  # queries of a kind
FIRST = 5  # the intended lemma should be among so many
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def main() -> None:
    """Show all figures."""
    print(f"Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}")
    lemmas = all_lemmas()
    bench_build()
    queries = make_queries(lemmas)
    misspelt = [*misspell(lemmas, errors=1), *misspell(lemmas, errors=2)]
    bench_latency(queries, [text for text, _ in misspelt])
    bench_misspelt(lemmas, misspelt)


def all_lemmas() -> list[str]:
    """All lemmas in lower case, each once, sorted, with spaces."""
    nouns = load_nouns()
    synsets = map(nouns.synset_at, range(len(nouns)))
    return sorted({lemma.lower() for synset in synsets for lemma in synset.lemmas})


def make_queries(lemmas: list[str]) -> dict[str, list[str]]:
    """Queries by kind, in the same order each time."""
    rng = random.Random(1)
    several = [lemma for lemma in lemmas if len(lemma.split()) > 1]
    wnids = rng.sample(load_nouns().wnids, EACH)
    shown = filter(None, map(gloss_of, rng.sample(load_nouns().wnids, EACH)))
    return {
        "wnid": wnids,
        "exact": rng.sample(lemmas, EACH),
        "plural": [f"{lemma}s" for lemma in rng.sample(lemmas, EACH)],
        "prefix, 1 letter": list(LETTERS),
        "prefix, 2 to 6 letters": [x[: rng.randint(2, 6)] for x in rng.sample(lemmas, EACH)],
        "words out of order": [" ".join(x.split()[::-1]) for x in rng.sample(several, EACH)],
        "later words": [" ".join(x.split()[1:]) for x in rng.sample(several, EACH)],
        "gloss, 1 to 3 words": [
            " ".join(rng.sample(words, min(len(words), rng.randint(1, 3))))
            for words in map(split_words, shown)
        ],
    }


def misspell(lemmas: list[str], *, errors: int) -> list[tuple[str, str]]:
    """Misspellings that are no lemmas themselves, each with the lemma that was meant."""
    rng = random.Random(errors)
    known, made = set(lemmas), []
    while len(made) < EACH:
        lemma = text = rng.choice(lemmas)
        for _ in range(errors):
            text = spoil(text, rng)
        if len(lemma) >= 4 * errors and text not in known:
            made.append((text, lemma))
    return made


def spoil(text: str, rng: random.Random) -> str:
    """One letter left out, put in, replaced or exchanged with the next."""
    at = rng.randrange(len(text))
    head, here, tail = text[:at], text[at], text[at + 1 :]
    return rng.choice(
        (
            head + tail,
            head + rng.choice(LETTERS) + here + tail,
            head + rng.choice(LETTERS) + tail,
            head + tail[:1] + here + tail[1:],
        )
    )


def bench_build() -> None:
    """Time of the first searches in a new process, and memory of all that they keep."""
    code = (
        "import time, numpy\n"
        "from rapidfuzz import process\n"
        "from imagetree.wordnet.search import search\n"
        "for text, glosses in (('dog', 0), ('qxqx', 0), ('qxqx', 1)):\n"
        "    t = time.perf_counter(); search(text, glosses=glosses)\n"
        "    print(round(1e3 * (time.perf_counter() - t)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    lemma, typo, gloss = map(int, shown.split())
    print(
        f"\nfirst search {lemma} ms, first misspelt one {typo} ms (bar: 500 ms), of glosses {gloss}"
    )
    search("dog")
    tracemalloc.start()
    load_nouns().__dict__.pop("lemma_index", None)
    search("qxqx")
    print(f"memory of the index {tracemalloc.get_traced_memory()[0] / 1e6:.1f} MB (bar: 60 MB)")
    before, _ = tracemalloc.get_traced_memory()
    search("qxqx", glosses=True)
    print(f"memory of the glosses {(tracemalloc.get_traced_memory()[0] - before) / 1e6:.1f} MB")
    tracemalloc.stop()


def bench_latency(queries: dict[str, list[str]], misspelt: list[str]) -> None:
    """Latency of each kind, and of letters typed with a thousand synsets to search in."""
    some = frozenset(random.Random(2).sample(load_nouns().wnids, 1_000))
    print("\nlatency, warm, 20 hits (bar: p95 under 10 ms)")
    everything: list[float] = []
    for kind, texts in {**queries, "misspelt": misspelt}.items():
        ask = partial(search, glosses=kind.startswith("gloss"))
        everything += show_latency(kind, latencies(texts, ask))
    show_latency("all", everything)
    typed = [*queries["prefix, 1 letter"], *queries["prefix, 2 to 6 letters"]]
    show_latency("prefixes within 1,000 synsets", latencies(typed, partial(search, within=some)))


def latencies(texts: list[str], ask: Callable[[str], object]) -> list[float]:
    """Seconds of each query in each round; one round before is not kept."""
    seconds = interleaved(ROUNDS, **{text: partial(ask, text) for text in texts})
    return [each for rounds in seconds.values() for each in rounds]


def show_latency(name: str, seconds: list[float]) -> list[float]:
    """Print the percentiles of latencies, and give these back."""
    ordered = sorted(seconds)
    p50, p95 = (1e3 * ordered[len(ordered) * percent // 100] for percent in (50, 95))
    print(f"  {name:32} p50 {p50:7.2f}  p95 {p95:7.2f}  max {1e3 * ordered[-1]:7.2f} ms")
    return seconds


def bench_misspelt(lemmas: list[str], misspelt: list[tuple[str, str]]) -> None:
    """Latency and recall of ours and the peers; for `difflib, all` a few queries must do."""
    database = make_fts5(lemmas)
    asks: dict[str, Callable[[str], list[str]]] = {
        "imagetree": lambda text: [hit.lemma.lower() for hit in search(text, limit=FIRST)],
        "FTS5, trigrams": partial(ask_fts5, database),
        "difflib, filtered": partial(ask_difflib, lemmas),
    }
    few = [text for text, _ in misspelt[:: len(misspelt) // 4]]
    for name, ask in asks.items():
        print(f"\n{name}: {len(misspelt)} misspelt")
        for errors, part in ((1, misspelt[:EACH]), (2, misspelt[EACH:])):
            seconds, found = [], 0
            for text, lemma in part:
                began = time.perf_counter()
                found += lemma in ask(text)
                seconds.append(time.perf_counter() - began)
            print(
                f"  {errors} error(s): meant lemma among the first {FIRST}: {found} of {len(part)}"
            )
            show_latency("", seconds)
    asks["difflib, all"] = lambda text: difflib.get_close_matches(text, lemmas, n=FIRST)
    runs = {
        name: partial(lambda ask: [ask(text) for text in few], ask) for name, ask in asks.items()
    }
    show(f"{len(few)} misspelt queries", interleaved(1, **runs), "imagetree")


def make_fts5(lemmas: list[str]) -> sqlite3.Connection:
    """The lemmas in memory under SQLite's trigram tokenizer."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE lemmas USING fts5(lemma, tokenize='trigram')")
    database.executemany("INSERT INTO lemmas VALUES (?)", ((lemma,) for lemma in lemmas))
    return database


def ask_fts5(database: sqlite3.Connection, text: str) -> list[str]:
    """The lemmas that share most trigrams, by bm25."""
    grams = {text[i : i + 3].replace('"', '""') for i in range(len(text) - 2)}
    match = " OR ".join(f'"{gram}"' for gram in sorted(grams))
    query = "SELECT lemma FROM lemmas WHERE lemmas MATCH ? ORDER BY rank LIMIT ?"
    return [lemma for (lemma,) in database.execute(query, (match, FIRST))]


def ask_difflib(lemmas: list[str], text: str) -> list[str]:
    """Close matches among lemmas with the same beginning or end and much the same length."""
    near = [
        lemma
        for lemma in lemmas
        if abs(len(lemma) - len(text)) <= 2 and (lemma[0] == text[0] or lemma[-3:] == text[-3:])
    ]
    return difflib.get_close_matches(text, near, n=FIRST)


if __name__ == "__main__":
    main()
