"""What a place holds: which container, laid out how; and the images in it, batch by batch.

The container is seen in the first bytes, the layout in the names. A path or a URL may be

- a tar of one tar for each class (ILSVRC2012_img_train.tar; all of ImageNet's 21,841),
- a flat tar, zip or folder with a labels file (ILSVRC2012_img_val.tar),
- the tar of one class (`n01440764.tar`), or a folder of such tars,
- a tar, zip or folder with a folder for each class, Kaggle's or Tiny ImageNet's layout among them,
- a shard of WebDataset, or a folder of shards,
- a table of Hugging Face (Parquet), or a folder of such tables,
- a list of paths and URLs with labels (CSV, TSV, JSON lines).

No image is opened here: an image is one by the ending of its name, which `curation.check` checks.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

from imagetree.errors import DatabaseError
from imagetree.sources.containers import (
    Container,
    ContainerKind,
    Folder,
    Parquet,
    RemoteFolder,
    Tar,
    headers_of,
    open_container,
)
from imagetree.sources.detection import kind_of, layout_of
from imagetree.sources.entries import (
    Entry,
    FoundImage,
    SetAside,
    base_of,
    fault_of_base,
    fault_of_length,
    image_name,
    stem_of,
)
from imagetree.sources.labels import UNLABELLED, Archive, Labels, assign_labels, load_labels
from imagetree.sources.layouts import Layout, holds_tars, scan_layout
from imagetree.sources.listing import scan_listing_batches
from imagetree.sources.mapping import LabelMapping, Naming, load_mapping
from imagetree.sources.numbering import number_labels
from imagetree.sources.places import is_url
from imagetree.sources.tars import (
    scan_folder_of_shards,
    scan_folder_of_tars,
    scan_tar_of_tars,
)
from imagetree.sources.tarscan import printable
from imagetree.sources.webdataset import scan_shard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from imagetree.sources.entries import Resolve

_BATCH = 5000
_MAX_NAME_LENGTH = 512  # an index of PostgreSQL holds 2,704 bytes, a character has up to four
_NO_LABEL = "note: an image of the test set, whose label was never published"


@dataclass(frozen=True)
class SourceOptions:
    """What a source does not say of itself.

    Args:
        labels: labels of a flat container: a labels file, or ILSVRC's development kit.
        mapping: wnids of labels that are words; see `sources.mapping`.
        numbering: of labels that are numbers: ilsvrc2012-id, class-index or kaggle-line.
        classes: file with a label on each line, for numbers from 0 that are of no such numbering.
    """

    labels: Path | None = None
    mapping: Path | None = None
    numbering: str | None = None
    classes: Path | None = None


@dataclass(frozen=True)
class Source:
    """A place to import from, as it was found.

    Args:
        location: absolute path, or URL.
        container: how its images are read.
        layout: how it says what they show.
        size_bytes: of an archive, table or list; 0 for a folder of images.
        version: of its bytes; empty for a folder of images, which are looked at one by one.
        labels: of a flat container.
        mapping: of labels that are words.
        classes: labels by their number, from 0, where labels are numbers.
    """

    location: str
    container: ContainerKind
    layout: Layout
    size_bytes: int
    version: str
    labels: Labels | None = None
    mapping: LabelMapping | None = None
    classes: Sequence[str] | None = None

    @property
    def labels_path(self) -> Path | None:
        """Of the labels, or of the mapping."""
        beside = self.labels or self.mapping
        return beside.path if beside else None

    @property
    def labels_sha256(self) -> str | None:
        """Of the same file."""
        beside = self.labels or self.mapping
        return beside.sha256 if beside else None

    def open(self) -> Container:
        """The container."""
        return open_container(self.container, self.location, of_tars=holds_tars(self.layout))


class Batch(NamedTuple):
    """Some images of a source, in its order.

    Args:
        images: what was found.
        set_aside: what was not taken, and why.
        done_bytes: how far the scan is, of the source's size.
        resume: given to `scan_source`, the scan goes on after this batch.
    """

    images: list[FoundImage]
    set_aside: list[SetAside]
    done_bytes: int
    resume: str


def find_source(location: str | Path, options: SourceOptions | None = None) -> Source:
    """See what a place holds.

    Raises:
        DatabaseError: nothing is there, or nothing that is known; the labels are missing, faulty or
            not wanted.
    """
    options = options or SourceOptions()
    where = _absolute(location)
    kind = kind_of(where)
    with closing(open_container(kind, where)) as container:
        layout = layout_of(where, container, has_labels=options.labels is not None)
    if options.labels is not None and layout is not Layout.LABELLED:
        raise DatabaseError(
            f"{where}: labels are for a flat container (this is a {kind}, {layout}, which names "
            "its synsets)",
            hint="import it without --labels",
        )
    beside = options.labels.resolve() if options.labels else None
    source = Source(
        location=where,
        container=kind,
        layout=layout,
        size_bytes=0,
        version="",
        labels=load_labels(beside, options.numbering) if beside else None,
        mapping=load_mapping(options.mapping.resolve()) if options.mapping else None,
        classes=None if beside else number_labels(options.numbering, options.classes),
    )
    with closing(source.open()) as container:
        return replace(source, size_bytes=container.size_bytes, version=container.version)


def scan_source(
    source: Source, resume: str = "", resolve: Resolve | None = None
) -> Iterator[Batch]:
    """The images of a source, and what is set aside.

    Args:
        source: from `find_source`.
        resume: of a batch, after which to go on; empty for the beginning.
        resolve: the synset of a label; None for WordNet's, with the source's mapping.

    Returns:
        Batches in the source's order, in a folder by path.

    Raises:
        DatabaseError: the source cannot be read, has changed since it was found, or its labels do
            not fit.
    """
    resolve = resolve or Naming(source.mapping)
    with closing(source.open()) as container:
        _check_version(source, container)
        yield from _batches(source, container, resume, resolve)
    with closing(source.open()) as container:
        _check_version(source, container)


def find_labels(
    location: str | Path,
    options: SourceOptions | None = None,
    progress: Callable[[int], None] | None = None,
) -> set[str]:
    """The labels that a source uses, whether or not they name a synset.

    Args:
        location: a path or URL.
        options: as for an import.
        progress: told how many labels have been met.

    Raises:
        DatabaseError: as for an import.
    """
    labels: set[str] = set()
    resolve = Naming()

    def note(label: str) -> tuple[str, str]:
        labels.add(label)
        return resolve(label)

    for _ in scan_source(find_source(location, options), resolve=note):
        if progress is not None:
            progress(len(labels))
    return labels


def _batches(
    source: Source, container: Container, resume: str, resolve: Resolve
) -> Iterator[Batch]:
    number = int(resume or 0)
    if source.layout is Layout.LIST:
        yield from _scan_list(source, resolve, number)
    elif source.layout is Layout.TARS and isinstance(container, Tar):
        for items, done in scan_tar_of_tars(container.place, resolve, number):
            number += 1
            yield _batch(items, done, str(number))
    else:
        all_items = _items(source, container, resolve)
        done = sum(item.length for item in filter(_is_image, islice(all_items, number)))
        while chunk := list(islice(all_items, _BATCH)):
            number += len(chunk)
            done += sum(item.length for item in filter(_is_image, chunk))
            yield _batch(chunk, done, str(number))


def _is_image(item: FoundImage | SetAside) -> TypeGuard[FoundImage]:
    return isinstance(item, FoundImage)


def _batch(items: Iterable[FoundImage | SetAside], done: int, resume: str) -> Batch:
    images: list[FoundImage] = []
    set_aside: list[SetAside] = []
    for item in items:
        if isinstance(item, SetAside):
            set_aside.append(item)
        elif len(item.name) > _MAX_NAME_LENGTH:
            fault = f"name of {len(item.name)} characters (expected at most {_MAX_NAME_LENGTH})"
            set_aside.append(SetAside(item.path or item.name, item.offset, fault))
        else:
            images.append(item)
    return Batch(images, set_aside, done, resume)


def _items(
    source: Source, container: Container, resolve: Resolve
) -> Iterator[FoundImage | SetAside]:
    """Image after image of all but tars of tars and lists, which are quicker in batches."""
    if source.layout is Layout.LABELLED:
        return _scan_labelled(source, container, resolve)
    if source.layout is Layout.ONE_CLASS:
        return _scan_class(container, resolve, stem_of(base_of(source.location)))
    if source.layout is Layout.TABLE:
        from imagetree.sources.parquet import scan_parquet  # pyarrow, which takes 170 ms

        assert isinstance(container, Parquet)
        near = not is_url(source.location)
        return scan_parquet(container.files, resolve, classes=source.classes, with_lengths=near)
    if isinstance(container, Folder | RemoteFolder):
        if source.layout is Layout.TARS:
            return scan_folder_of_tars(container, resolve)
        if source.layout is Layout.WEBDATASET:
            return scan_folder_of_shards(container, resolve, source.classes)
    elif source.layout is Layout.WEBDATASET:
        assert isinstance(container, Tar)
        read = headers_of(container.place)
        return scan_shard(read, container.size_bytes, resolve, classes=source.classes)
    return scan_layout(
        source.layout,
        container.entries,
        lambda entry: container.read(entry.offset, entry.length, entry.path),
        resolve,
    )


def _scan_labelled(
    source: Source, container: Container, resolve: Resolve
) -> Iterator[FoundImage | SetAside]:
    found = list(container.entries())
    images = {e: "" for e in found if isinstance(e, Entry) and not fault_of_base(base_of(e.name))}
    archive = Archive(
        images=[_plain(entry.name) for entry in images],
        others={_plain(item[0]) for item in found if item not in images},
        is_cut=any(isinstance(e, SetAside) and e.reason.startswith("truncated") for e in found),
    )
    assert source.labels is not None  # else the layout is another
    labels, missing = assign_labels(source.labels, archive, lambda label: _loss(resolve(label)[1]))
    if missing:
        reason = f"{len(missing)} labelled images are not in what is left of the archive"
        yield SetAside(source.labels.path.name, 0, reason)
    images.update(zip(images, labels, strict=True))
    for item in found:
        if isinstance(item, Entry):
            label = images.get(item, UNLABELLED)
            wnid, fault = ("", _NO_LABEL) if label == UNLABELLED else resolve(label)
            yield _judge(item, wnid, stem_of(base_of(item.name)), fault)
        else:
            yield item


def _loss(fault: str) -> str:
    """Why the images of a label are lost; empty where they are left out on purpose."""
    return "" if fault.startswith("note: ") else fault


def _scan_class(
    container: Container, resolve: Resolve, label: str
) -> Iterator[FoundImage | SetAside]:
    wnid, fault = resolve(label)
    if fault:
        raise DatabaseError(f"{label}: {fault}")
    for item in container.entries():
        if isinstance(item, Entry):
            yield _judge(item, wnid, image_name(base_of(item.name), wnid))
        else:
            yield item


def _judge(entry: Entry, wnid: str, name: str, fault: str = "") -> FoundImage | SetAside:
    fault = fault_of_base(base_of(entry.name)) or fault_of_length(entry.length) or fault
    if fault:
        return SetAside(printable(entry.name), entry.offset, fault)
    return FoundImage(name, wnid, *entry[1:])


def _scan_list(source: Source, resolve: Resolve, resume: int) -> Iterator[Batch]:
    batches = scan_listing_batches(Path(source.location), resolve, classes=source.classes)
    for number, found in enumerate(batches, 1):
        if number > resume:
            images = map(FoundImage, found.names, found.wnids, repeat(0), repeat(0), found.paths)
            yield Batch(list(images), found.set_aside, found.done_bytes, str(number))


def _absolute(location: str | Path) -> str:
    if is_url(location):
        return str(location)
    path = Path(location).expanduser().resolve()
    if any("\ud800" <= c <= "\udfff" for c in str(path)):
        raise DatabaseError(f"{printable(str(path))}: the path is not UTF-8")
    return str(path)


def _check_version(source: Source, container: Container) -> None:
    if (container.size_bytes, container.version) != (source.size_bytes, source.version):
        raise DatabaseError(
            f"{source.location}: changed while it was imported",
            hint="import it again when nothing writes to it any more",
        )


def _plain(name: str) -> str:
    return name.removeprefix("./")
