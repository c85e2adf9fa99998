"""Which image of a flat archive belongs to which synset: the labels file that comes beside it.

Two forms: a file name and a wnid on each line, parted by a tab or spaces; or a wnid alone on each
line, one for each image in the order of the names, as ILSVRC's ground truth has it. A labels file
is right or refused: its faults come out in one error, and nothing is guessed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from imagetree.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

MAX_FAULTS_SHOWN = 20


class Label(NamedTuple):
    """One line of a labels file; `name` is empty where the line is a wnid alone."""

    line: int
    name: str
    wnid: str


@dataclass(frozen=True)
class Labels:
    """A labels file.

    Args:
        path: where it was read.
        sha256: of its bytes.
        lines: its labels in the order of the file.
    """

    path: Path
    sha256: str
    lines: tuple[Label, ...]

    @property
    def has_names(self) -> bool:
        """Whether each line names its image; else the lines are in the order of the names."""
        return bool(self.lines and self.lines[0].name)


class Archive(NamedTuple):
    """What labels are matched with.

    Args:
        images: names of the members that want a label.
        others: names of the members that are set aside; a label for one of these is no fault.
        is_cut: the archive ends early, so that labels without an image are to be expected.
    """

    images: Sequence[str]
    others: Collection[str]
    is_cut: bool


def load_labels(path: Path) -> Labels:
    r"""Read a labels file.

    Raises:
        DatabaseError: it cannot be read, is no text, is empty, or mixes the two forms.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "val.tsv"
    ...     _ = file.write_text("a.JPEG\tn02084071\n")
    ...     load_labels(file).lines
    (Label(line=1, name='a.JPEG', wnid='n02084071'),)
    """
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise DatabaseError(
            f"{path}: the labels cannot be read ({error.strerror})",
            hint="name the labels file: --labels FILE",
        ) from error
    except UnicodeDecodeError as error:
        raise DatabaseError(f"{path}: the labels are no UTF-8 text (byte {error.start})") from None
    lines = tuple(
        _parse_line(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()
    )
    if not lines:
        raise DatabaseError(f"{path}: the labels file is empty")
    labels = Labels(path, hashlib.sha256(data).hexdigest(), lines)
    form = "a file name and a wnid" if labels.has_names else "a wnid alone"
    _raise_faults(
        path,
        [
            f"{path.name}:{label.line}: expected {form}, as on line {lines[0].line}"
            for label in lines
            if bool(label.name) != labels.has_names
        ],
    )
    return labels


def assign_labels(
    labels: Labels, archive: Archive, fault_of_wnid: Callable[[str], str]
) -> tuple[list[str], list[str]]:
    """The wnid of each image of an archive.

    A label without a slash stands for the member of that name in whatever folder of the archive.

    Args:
        labels: the labels file.
        archive: the members to match it with.
        fault_of_wnid: why a wnid is refused; empty for a noun of WordNet 3.0.

    Returns:
        A wnid for each of `archive.images`; and the labelled names that an archive which was cut
        off does not have.

    Raises:
        DatabaseError: a name twice or not in the archive, an image without label, an unknown wnid,
            or another number of lines than images; the first 20 faults are listed, and their total.
    """
    path = labels.path
    faults = [
        f"{path.name}:{label.line}: {fault}"
        for label in labels.lines
        if (fault := fault_of_wnid(label.wnid))
    ]
    if not labels.has_names:
        wnids = _by_order(labels, archive)
        _raise_faults(path, faults)
        return wnids, []
    by_name = _index(labels, faults)
    missing = _find_missing(by_name, archive)
    if not archive.is_cut:
        faults += [
            f"{path.name}:{label.line}: {label.name!r} is not in the archive" for label in missing
        ]
    found = [by_name.get(name) or by_name.get(_base(name)) for name in archive.images]
    faults += [
        f"{name!r} of the archive has no label"
        for name, label in zip(archive.images, found, strict=True)
        if label is None
    ]
    _raise_faults(path, faults)
    return [label.wnid for label in found if label], [label.name for label in missing]


def _parse_line(number: int, line: str) -> Label:
    line = line.strip()
    name, _, wnid = line.rpartition("\t")
    if not name:
        *names, wnid = line.rsplit(None, 1)
        name = names[0] if names else ""
    return Label(number, name.strip().removeprefix("./"), wnid.strip())


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def _by_order(labels: Labels, archive: Archive) -> list[str]:
    """The lines dealt out to the images in the order of their names."""
    if len(labels.lines) != len(archive.images):
        cut = ", which is cut off" if archive.is_cut else ""
        raise DatabaseError(
            f"{labels.path}: {len(labels.lines)} labels for {len(archive.images)} images of the "
            f"archive{cut} (expected one line for each image, in the order of their names)",
            hint="use labels that name their images: file name, tab, wnid on each line",
        )
    order = sorted(range(len(archive.images)), key=archive.images.__getitem__)
    wnids = [""] * len(order)
    for position, label in zip(order, labels.lines, strict=True):
        wnids[position] = label.wnid
    return wnids


def _index(labels: Labels, faults: list[str]) -> dict[str, Label]:
    """The labels by name; a name's second label is added to the faults."""
    by_name: dict[str, Label] = {}
    for label in labels.lines:
        first = by_name.setdefault(label.name, label)
        if first is not label:
            faults.append(
                f"{labels.path.name}:{label.line}: {label.name!r} has a label on line {first.line}"
            )
    return by_name


def _find_missing(by_name: dict[str, Label], archive: Archive) -> list[Label]:
    present = set(archive.images) | set(archive.others)
    present |= {_base(name) for name in present}
    return [label for name, label in by_name.items() if name not in present]


def _raise_faults(path: Path, faults: Sequence[str]) -> None:
    if not faults:
        return
    shown = "\n".join(f"  {fault}" for fault in faults[:MAX_FAULTS_SHOWN])
    rest = f", the first {MAX_FAULTS_SHOWN} of them" if len(faults) > MAX_FAULTS_SHOWN else ""
    raise DatabaseError(
        f"{path}: {len(faults)} faults in the labels{rest}:\n{shown}",
        hint="correct the labels file; nothing was imported",
    )
