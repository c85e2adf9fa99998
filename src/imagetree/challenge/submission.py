"""Submissions: files of answers to a split, read strictly and written.

Whatever the format, a file may state what it is before its first answer: which labels it has, and
the challenge and the split that it was made for. Text and tables do it in lines `# key: value`,
JSON lines in a first object without an image. A statement that does not fit is refused, and so is
everything else that is not what docs/formats.md says, with the first twenty faults by their lines.
"""

from __future__ import annotations

import io
import json
from itertools import chain
from typing import IO, TYPE_CHECKING

from imagetree.challenge.answers import MAX_GUESSES, Answers, Form, Task
from imagetree.challenge.formats import FORMATS
from imagetree.challenge.json_lines import parse_object
from imagetree.challenge.label_space import LABEL_KINDS, label_space, synset_space
from imagetree.challenge.lines import Faults, iter_lines
from imagetree.challenge.metrics import NO_GUESS
from imagetree.errors import ChallengeError
from imagetree.sources.devkit import load_devkit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from imagetree.challenge.formats import Format
    from imagetree.challenge.label_space import LabelSpace

STATEMENTS = ("labels", "challenge", "split")
"""What a submission may state of itself."""
_MORE_LINES = 1000  # beyond twice the images: who sends more has the wrong file
_HINT = "see the formats and what a file may state: imagetree challenge formats"


def load_answers(path: Path, task: Task, form: Form = Form()) -> Answers:  # noqa: B008 (frozen)
    """Read a submission's file; see `parse_answers`.

    Raises:
        ChallengeError: it cannot be read, or has faults.
    """
    try:
        with path.open("rb") as file:
            return parse_answers(file, task, form, where=str(path), name=path.name)
    except OSError as error:
        raise ChallengeError(
            f"{path}: cannot be read ({error.strerror or error})",
            hint="answer the split first: imagetree challenge run RUN",
        ) from error


def parse_answers(
    file: IO[bytes],
    task: Task,
    form: Form = Form(),  # noqa: B008 (frozen)
    *,
    where: str = "submission",
    name: str = "",
) -> Answers:
    r"""Read a submission.

    Args:
        file: opened for reading bytes; it is streamed, and never wholly in memory.
        task: what it answers.
        form: how it is written.
        where: what to call it in errors.
        name: of the file, whose ending tells the format where the form does not.

    Raises:
        ChallengeError: a line, the number of lines, an image, a label or a statement is wrong; the
            first 20 faults are named with their lines.
        DatabaseError: the kit whose ids are the labels cannot be read.

    >>> task = Task(("n02084071", "n02121808"), num_images=2)
    >>> parse_answers(io.BytesIO(b"# labels: class-index\n1 0\n\n"), task).guesses
    array([[ 1,  0, -1, -1, -1],
           [-1, -1, -1, -1, -1]])
    """
    layout = _format_of(form.format, name)
    fixed, by_class = layout.line_bytes
    lines = iter_lines(
        file,
        where,
        max_bytes=fixed + by_class * len(task.wnids),
        max_lines=2 * task.num_images + _MORE_LINES,
    )
    stated, lines = _read_statements(lines, layout, task, where)
    space = _space_of(stated.get("labels"), task, form, layout, where)
    faults = Faults(where)
    guesses, probabilities = layout.parse(lines, task, space, faults)
    faults.raise_any(space.hint() if faults.count else _HINT)
    return Answers(space.labels, guesses, layout.name, probabilities)


def parse_submission(
    text: str, wnids: Sequence[str], num_images: int, *, name: str = "submission"
) -> NDArray[np.int64]:
    r"""The guesses of a submission in the format `text`, with wnids or what it states.

    Args:
        text: the whole file.
        wnids: wnid of each class.
        num_images: images of the split.
        name: what to call the file in errors.

    Returns:
        int64 (num_images, 5), filled up with NO_GUESS.

    Raises:
        ChallengeError: as for `parse_answers`.

    >>> parse_submission("n00000002\n", ["n00000001", "n00000002"], 1)
    array([[ 1, -1, -1, -1, -1]])
    """
    file = io.BytesIO(text.encode("utf-8", "surrogatepass"))
    return parse_answers(file, Task(tuple(wnids), num_images), where=name).guesses


def render_submission(guesses: NDArray[np.int64], wnids: Sequence[str]) -> str:
    r"""Guesses as a submission in the format `text`.

    Args:
        guesses: class indices, best first; int64 (N, G), G <= 5, in [0, K) or NO_GUESS.
        wnids: wnid of each class.

    >>> import numpy as np
    >>> render_submission(np.array([[1, 0], [0, NO_GUESS]]), ["n00000001", "n00000002"])
    'n00000002 n00000001\nn00000001\n'
    """
    return "".join(
        " ".join(wnids[guess] for guess in row if guess != NO_GUESS) + "\n"
        for row in guesses.tolist()
    )


def iter_probabilities(
    probabilities: NDArray[np.float32], names: Sequence[str], wnids: Sequence[str]
) -> Iterator[str]:
    r"""The lines of a submission in the format `jsonl`, with the probabilities of all classes.

    Nine digits, which is all that single precision has: what is read back is what was given.

    Args:
        probabilities: each row's sum 1; float32 (N, K).
        names: of the images.
        wnids: of the classes.

    >>> import numpy as np
    >>> next(iter_probabilities(np.float32([[0.75, 0.25]]), ["val_1"], ["n00000001", "n00000002"]))
    '{"image": "val_1", "scores": {"n00000001": 0.75, "n00000002": 0.25}}\n'
    """
    for name, row in zip(names, probabilities.tolist(), strict=True):
        scores = {wnid: float(f"{p:.9g}") for wnid, p in zip(wnids, row, strict=True)}
        yield json.dumps({"image": name, "scores": scores}, ensure_ascii=False) + "\n"


def _format_of(name: str | None, file_name: str) -> Format:
    """The format of that name, or the one that the ending of a file tells; text for any other."""
    if name is not None:
        if name not in FORMATS:
            raise ChallengeError(
                f"format: {name[:40]!r} (expected {', '.join(FORMATS)})", hint=_HINT
            )
        return FORMATS[name]
    for layout in FORMATS.values():
        if file_name.lower().endswith(layout.endings):
            return layout
    return FORMATS["text"]


def _read_statements(
    lines: Iterator[tuple[int, bytes]], layout: Format, task: Task, where: str
) -> tuple[dict[str, str], Iterator[tuple[int, bytes]]]:
    """What a file states of itself, and the lines behind that."""
    stated: dict[str, str] = {}
    for number, line in lines:
        if layout.name == "jsonl":
            found, fault = parse_object(line)
            if found and not fault and "image" not in found:
                for key, value in found.items():
                    _state(stated, key, value, task, f"{where}:{number}")
                return stated, lines
        elif line.startswith(b"#"):
            key, colon, value = line[1:].decode("utf-8", "replace").partition(":")
            stated_value = value.strip(" \t") if colon else None
            _state(stated, key.strip(" \t"), stated_value, task, f"{where}:{number}")
            continue
        return stated, chain([(number, line)], lines)
    return stated, iter(())


def _state(stated: dict[str, str], key: str, value: object, task: Task, place: str) -> None:
    """Note a statement, and hold the file to the challenge and split that it was made for."""
    if key not in STATEMENTS or not isinstance(value, str) or key in stated:
        why = "is stated twice" if key in stated else "is no statement"
        raise ChallengeError(
            f"{place}: {key[:40]!r} {why} (expected a text for each of {', '.join(STATEMENTS)})",
            hint=_HINT,
        )
    ours = {"challenge": task.version, "split": task.split}.get(key)
    if ours and value != ours:
        raise ChallengeError(
            f"{place}: made for {key} {value[:64]!r} (expected {ours!r})",
            hint="answer this challenge: its version is in imagetree challenge show",
        )
    stated[key] = value


def _space_of(stated: str | None, task: Task, form: Form, layout: Format, where: str) -> LabelSpace:
    """The labels that a file has, by what it states and how it is read; these must not differ."""
    kit = load_devkit(form.kit).numbering if form.kit is not None else None
    if stated is not None and form.labels is not None and stated != form.labels:
        raise ChallengeError(
            f"{where}: states labels {stated[:40]!r}, and is read with {form.labels!r}",
            hint=f"read it as it says: --labels {stated}" if stated in LABEL_KINDS else _HINT,
        )
    kind = stated or form.labels or (kit.kind.name if kit is not None else layout.labels)
    if layout.name != "synsets":
        return label_space(task.wnids, kind, kit)
    if kind != layout.labels:
        raise ChallengeError(
            f"{where}: labels are {kind[:40]!r} (expected wnid, as synsets are answered)",
            hint=_HINT,
        )
    return synset_space(task.wnids)


__all__ = [
    "MAX_GUESSES",
    "Answers",
    "Form",
    "Task",
    "iter_probabilities",
    "load_answers",
    "parse_answers",
    "parse_submission",
    "render_submission",
]
