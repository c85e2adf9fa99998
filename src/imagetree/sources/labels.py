"""Which image of a flat archive belongs to which synset: the labels file that comes beside it.

Two forms: a file name and a wnid on each line, parted by a tab or spaces; or a wnid alone on each
line, one for each image in the order of the names. In place of wnids there may be numbers of a
numbering that is named, as in ILSVRC's ground truth, and in place of the file ILSVRC's development
kit, which holds numbers, wnids and ground truth. Labels are right or refused: their faults come out
in one error, and nothing is guessed.

The test images of ILSVRC have no published labels. `assign_labels` leaves them unlabelled where the
labels are a kit's, and `is_test_image` tells them where there are no labels at all, so that an
archive of them can be listed and nothing be said of what they show.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from imagetree.errors import DatabaseError
from imagetree.sources.devkit import is_devkit, load_devkit
from imagetree.sources.numbering import (
    EXPLANATION,
    ClassIndex,
    IlsvrcId,
    Numbering,
    class_indices,
    kaggle_lines,
    parse_number,
    parse_numbering,
    unnamed_numbering,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from imagetree.sources.devkit import Devkit

MAX_FAULTS_SHOWN = 20
UNLABELLED = ""
"""In place of the wnid of an image of which nothing is known."""

_HINT = "correct the labels file; nothing was imported"
_TEST_IMAGE = re.compile(r"(?:.*/)?ILSVRC20\d\d_test_\d{8}\.JPEG", re.ASCII)


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
        is_kit: they are a development kit's: for all images of val, of which an archive may hold a
            part, and for none of test.
    """

    path: Path
    sha256: str
    lines: tuple[Label, ...]
    is_kit: bool = False

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


def load_labels(path: Path, numbering: Numbering[Any] | str | None = None) -> Labels:
    r"""Read a labels file, or the ground truth of a development kit.

    Args:
        path: of the file; or of a kit, see `load_devkit`.
        numbering: of labels that are numbers, or its name: class-index and kaggle-line stand for
            the 1,000 classes of ILSVRC2012, ilsvrc2010-id and ilsvrc2012-id for those of the kit
            whose `meta.mat` lies beside the file. A kit says itself which it uses.

    Raises:
        DatabaseError: it cannot be read, is no text, is empty, or mixes the two forms; its labels
            are numbers and no numbering is named, or the other way round; or a number is that of no
            class.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "val.tsv"
    ...     _ = file.write_text("a.JPEG\tn02084071\nb.JPEG\tn02121808\n")
    ...     load_labels(file).lines[0]
    ...     _ = file.write_text("0\n")
    ...     load_labels(file, "class-index").lines
    Label(line=1, name='a.JPEG', wnid='n02084071')
    (Label(line=1, name='', wnid='n01440764'),)
    """
    if is_devkit(path):
        return _load_kit(path, numbering)
    data, lines = _load_lines(path)
    labels = Labels(path, hashlib.sha256(data).hexdigest(), lines)
    form = "a file name and a label" if labels.has_names else "a label alone"
    _raise_faults(
        path,
        [
            f"{path.name}:{label.line}: expected {form}, as on line {lines[0].line}"
            for label in lines
            if bool(label.name) != labels.has_names
        ],
    )
    if numbering is None:
        if any(parse_number(label.wnid) is not None for label in lines):
            raise unnamed_numbering(str(path))
        return labels
    if isinstance(numbering, str):
        numbering = _numbering_of(numbering, path)
    return replace(labels, lines=_from_numbers(labels, numbering))


def val_labels(kit: Devkit) -> Labels:
    """The labels of ILSVRC's val images, by the names of their files.

    Raises:
        DatabaseError: the kit came without its ground truth.
    """
    wnids = kit.val_wnids()
    if not wnids:
        raise DatabaseError(
            f"{kit.path}: no ILSVRC{kit.year}_validation_ground_truth.txt in the kit",
            hint="put it beside meta.mat, or name the whole kit",
        )
    lines = (Label(n, name, wnid) for n, (name, wnid) in enumerate(wnids.items(), 1))
    return Labels(kit.path, kit.truth_sha256, tuple(lines), is_kit=True)


def is_test_image(name: str) -> bool:
    """Whether a member is an image of ILSVRC's test set, whose labels were never published.

    >>> is_test_image("test/ILSVRC2012_test_00000001.JPEG"), is_test_image("n01440764_1.JPEG")
    (True, False)
    """
    return _TEST_IMAGE.fullmatch(name) is not None


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
        A wnid for each of `archive.images`, or UNLABELLED for a test image where the labels are a
        kit's; and the labelled names that an archive which was cut off does not have.

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
    if labels.is_kit and not archive.is_cut:
        missing = []
    if not archive.is_cut:
        faults += [
            f"{path.name}:{label.line}: {label.name!r} is not in the archive" for label in missing
        ]
    found = [
        by_name.get(name) or by_name.get(_base(name)) or _unlabelled(name, labels)
        for name in archive.images
    ]
    faults += [
        f"{name!r} of the archive has no label"
        for name, label in zip(archive.images, found, strict=True)
        if label is None
    ]
    _raise_faults(path, faults)
    return [label.wnid for label in found if label], [label.name for label in missing]


def _load_lines(path: Path) -> tuple[bytes, tuple[Label, ...]]:
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
    return data, lines


def _load_kit(path: Path, numbering: Numbering[Any] | str | None) -> Labels:
    kit = load_devkit(path)
    own = kit.numbering.kind
    named = parse_numbering(numbering) if isinstance(numbering, str) else numbering
    kind = named.kind if isinstance(named, Numbering) else named
    if kind not in {None, own}:
        raise DatabaseError(
            f"{path}: the kit's numbering is {own.name} (expected {kind.name})", hint=EXPLANATION
        )
    return val_labels(kit)


def _numbering_of(name: str, path: Path) -> Numbering[Any]:
    """The numbering of a name; the ids of a kit are in the `meta.mat` beside the labels."""
    kind = parse_numbering(name)
    if not issubclass(kind, IlsvrcId):
        return class_indices() if kind is ClassIndex else kaggle_lines()
    meta = path.with_name("meta.mat")
    found = load_devkit(meta).numbering if meta.is_file() else None
    if found is None or found.kind is not kind:
        raise DatabaseError(
            f"{path}: which class an {name} is, a development kit says, and no meta.mat of that "
            "year lies beside the labels",
            hint="name the kit: --labels ILSVRC2012_devkit_t12.tar.gz",
        )
    return found


def _from_numbers(labels: Labels, numbering: Numbering[Any]) -> tuple[Label, ...]:
    """The lines with wnids in place of numbers."""
    lines, faults = [], []
    for label in labels.lines:
        value = parse_number(label.wnid)
        fault = f"{label.wnid[:40]!r} is no number" if value is None else numbering.fault_of(value)
        if fault or value is None:
            faults.append(f"{labels.path.name}:{label.line}: {fault}")
        else:
            lines.append(label._replace(wnid=numbering.wnid_of(numbering.kind(value))))
    _raise_faults(labels.path, faults, EXPLANATION)
    return tuple(lines)


def _unlabelled(name: str, labels: Labels) -> Label | None:
    return Label(0, name, UNLABELLED) if labels.is_kit and is_test_image(name) else None


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


def _raise_faults(path: Path, faults: Sequence[str], hint: str = _HINT) -> None:
    if not faults:
        return
    shown = "\n".join(f"  {fault}" for fault in faults[:MAX_FAULTS_SHOWN])
    rest = f", the first {MAX_FAULTS_SHOWN} of them" if len(faults) > MAX_FAULTS_SHOWN else ""
    raise DatabaseError(
        f"{path}: {len(faults)} faults in the labels{rest}:\n{shown}",
        hint=hint,
    )
