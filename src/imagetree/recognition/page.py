"""Images with their answers as one page that opens offline, a tile for each as it comes."""

from __future__ import annotations

import base64
from contextlib import contextmanager
from html import escape
from typing import IO, TYPE_CHECKING

from imagetree.files import atomic_writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from imagetree.recognition.classifier import Guess, Recognition

_STYLE = """
:root { --ink: #1d2b36; --soft: #5d6d79; --line: #dde4e8; --ground: #fbfcfc; --card: #fff;
  --blue: #2a6f97; --bad: #a8443c; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf1; --soft: #9fb0bb; --line: #32404a;
  --ground: #12191e; --card: #1a242b; --blue: #7cb7d8; --bad: #ea9a92; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 80rem; padding: 1.5rem 1.25rem 3rem; background: var(--ground);
  color: var(--ink); font: 15px/1.4 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.35rem; margin: 0 0 1rem; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(13.5rem, 1fr)); gap: 1rem; }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  overflow: hidden; }
figure img { display: block; width: 100%; aspect-ratio: 1; object-fit: cover; }
figcaption { padding: .6rem .8rem .7rem; }
b { display: block; font-size: 1.05rem; line-height: 1.25; margin-bottom: .35rem; }
p { display: flex; justify-content: space-between; gap: .6rem; margin: .25rem 0 0;
  font-size: .87rem; }
p span:first-child { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
p span:last-child { color: var(--blue); font-variant-numeric: tabular-nums; }
i { display: block; height: 3px; border-radius: 2px; background: var(--blue); }
small { display: block; margin-top: .5rem; color: var(--soft); overflow-wrap: anywhere; }
.bad figcaption { color: var(--bad); }
"""


@contextmanager
def page_writer(path: Path, title: str) -> Iterator[Callable[[Recognition], None]]:
    """A page that appears when it is complete; the function it gives adds a tile to it.

    Args:
        path: the file to write.
        title: of the page.

    Raises:
        ImagetreeError: it cannot be written.
    """
    with atomic_writer(path) as file:
        _write(
            file,
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
            "img-src data:; style-src 'unsafe-inline'\">\n"
            f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
            f"<h1>{escape(title)}</h1>\n<main>\n",
        )
        yield lambda found: _write(file, _tile(found))
        _write(file, "</main>\n</body>\n</html>\n")


def _write(file: IO[bytes], text: str) -> None:
    file.write(text.encode(errors="backslashreplace"))  # names need not be UTF-8


def _tile(found: Recognition) -> str:
    shown = escape(found.name.rpartition("/")[2] or found.name)
    name = f'<small title="{escape(found.name, quote=True)}">{shown}</small>'
    if found.reason is not None:
        reason = escape(found.reason)
        return f'<figure class="bad"><figcaption>{reason}{name}</figcaption></figure>\n'
    best, note = found.guesses[0], ""
    if found.hedged:
        best = found.hedged.answer
        note = "" if found.hedged.answer.information else "not sure: "  # the root is no answer
    picture = ""
    if found.picture is not None:
        data = base64.b64encode(found.picture).decode()
        alt = escape(f"{_first(best)}: {found.name}", quote=True)
        picture = f'<img loading="lazy" alt="{alt}" src="data:image/jpeg;base64,{data}">'
    way = escape(" > ".join(best.path), quote=True)
    lines = "".join(_line(guess) for guess in found.guesses)
    heading = f'<b title="{way}">{note}{escape(_first(best))}</b>'
    return f"<figure>{picture}<figcaption>{heading}{lines}{name}</figcaption></figure>\n"


def _line(guess: Guess) -> str:
    share = f"{100 * guess.probability:.1f}"
    words = escape(_first(guess))
    title = escape(f"{guess.words} ({guess.wnid})", quote=True)
    return (
        f'<p title="{title}"><span>{words}</span><span>{share} %</span></p>'
        f'<i style="width:{share}%"></i>'
    )


def _first(guess: Guess) -> str:
    return guess.words.split(",")[0]
