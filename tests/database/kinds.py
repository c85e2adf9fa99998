"""The same six JPEGs as every kind of source that can be imported."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from sqlalchemy import func, select

from imagetree.database import ImageReader, locate, schema
from imagetree.sources.source import SourceOptions

from ..sources.kits import write_kit

if TYPE_CHECKING:
    from pathlib import Path

DOG, CAT, CHIHUAHUA, TENCH = "n02084071", "n02121808", "n02085620", "n01440764"
WNIDS = (DOG, DOG, DOG, CAT, CAT, CHIHUAHUA)


def _jpeg(number: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (20 + number, 16), (40 * number, 90, 200)).save(file, "JPEG")
    return file.getvalue()


JPEGS = [_jpeg(number) for number in range(6)]
OWN_NAMES = {f"{wnid}_{n}": (wnid, JPEGS[n]) for n, wnid in enumerate(WNIDS)}
VAL_NAMES = {f"val_{n}": (wnid, JPEGS[n]) for n, wnid in enumerate(WNIDS)}


class Kind(NamedTuple):
    """A source and what must come of it: container, layout, and images by name."""

    location: str | Path
    container: str
    layout: str
    images: dict[str, tuple[str, bytes]] = OWN_NAMES
    options: SourceOptions | None = None


# Containers of files by their names.


def make_tar(path, files):
    """A tar; None for a path gives its bytes."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    if path is None:
        return file.getvalue()
    path.write_bytes(file.getvalue())
    return path


def make_zip(path, files, packing=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def make_folder(path, files):
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def make_parquet(path, rows):
    """A table as Hugging Face's `datasets` writes one, of (class, image's path, bytes) rows."""
    names = [DOG, CAT, CHIHUAHUA]
    feature = {"label": {"names": names, "_type": "ClassLabel"}, "image": {"_type": "Image"}}
    facts = json.dumps({"info": {"features": feature}}).encode()
    images = pa.array(
        [{"bytes": data, "path": name} for _, name, data in rows],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    labels = pa.array([names.index(wnid) for wnid, _, _ in rows], pa.int64())
    table = pa.table({"image": images, "label": labels})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({b"huggingface": facts}), path, row_group_size=2)
    return path


# What is put into them.


def class_files(names=None, *, prefix="", suffix=".JPEG"):
    """`prefix/CLASS/n.JPEG`; classes may go by other names than their wnids."""
    names = names or {}
    return {
        f"{prefix}{names.get(wnid, wnid)}/{n}{suffix}": JPEGS[n] for n, wnid in enumerate(WNIDS)
    }


def class_tars(prefix=""):
    """A tar for each class."""
    found = {}
    for wnid in dict.fromkeys(WNIDS):
        files = {f"{wnid}_{n}.JPEG": JPEGS[n] for n, each in enumerate(WNIDS) if each == wnid}
        found[f"{prefix}{wnid}.tar"] = make_tar(None, files)
    return found


def flat_files():
    """Images side by side, the last one first."""
    return {f"val_{n}.JPEG": JPEGS[n] for n in reversed(range(6))}


def kaggle_files():
    """Two synsets in train, the third in val, as Kaggle has them, with boxes and test images."""
    data = "ILSVRC/Data/CLS-LOC"
    synsets = "".join(f"{wnid} words\n" for wnid in sorted(set(WNIDS)))
    val = f"ImageId,PredictionString\nILSVRC2012_val_00000005,{CHIHUAHUA} 1 2 3 4 \n"
    train = {f"{data}/train/{w}/{w}_{n}.JPEG": JPEGS[n] for n, w in enumerate(WNIDS[:5])}
    return {
        "LOC_synset_mapping.txt": synsets.encode(),
        "LOC_val_solution.csv": val.encode(),
        **train,
        f"{data}/val/ILSVRC2012_val_00000005.JPEG": JPEGS[5],
        f"{data}/test/ILSVRC2012_test_00000001.JPEG": JPEGS[0],
        f"ILSVRC/Annotations/CLS-LOC/train/{DOG}/{DOG}_0.xml": b"<annotation/>",
    }


def tiny_imagenet_files():
    """Two synsets in train, the third in val, as Tiny ImageNet has them."""
    root = "tiny-imagenet-200"
    train = {f"{root}/train/{w}/images/{w}_{n}.JPEG": JPEGS[n] for n, w in enumerate(WNIDS[:5])}
    return {
        f"{root}/wnids.txt": "\n".join(sorted(set(WNIDS))).encode(),
        f"{root}/val/val_annotations.txt": f"val_5.JPEG\t{CHIHUAHUA}\t0\t0\t9\t9\n".encode(),
        **train,
        f"{root}/val/images/val_5.JPEG": JPEGS[5],
    }


def samples(numbers=range(6)):
    """Samples of WebDataset."""
    found = {}
    for n in numbers:
        found |= {f"{n:04}.cls": WNIDS[n].encode(), f"{n:04}.jpg": JPEGS[n]}
    return found


SAMPLE_NAMES = {f"{wnid}_{n:04}": (wnid, JPEGS[n]) for n, wnid in enumerate(WNIDS)}
KAGGLE_NAMES = {
    **{name: image for name, image in OWN_NAMES.items() if image[0] != CHIHUAHUA},
    "ILSVRC2012_val_00000005": (CHIHUAHUA, JPEGS[5]),
}
TINY_NAMES = {**KAGGLE_NAMES, "val_5": (CHIHUAHUA, JPEGS[5])}
del TINY_NAMES["ILSVRC2012_val_00000005"]


# Kinds of sources, by what a user would call them; each makes one below a folder.


def _labels(root, text):
    path = root / "labels.txt"
    path.write_text(text)
    return SourceOptions(labels=path)


def _named_labels(root):
    return _labels(root, "".join(f"val_{n}.JPEG\t{wnid}\n" for n, wnid in enumerate(WNIDS)))


def _word_options(root):
    """A mapping that decides on `crane`, whose first sense is a bird."""
    path = root / "mapping.tsv"
    path.write_text(f"label\twnid\twords\tnote\ncrane\t{CAT}\n")
    return SourceOptions(mapping=path)


def _kit(root):
    """A kit that says DOG, CAT, TENCH are 1, 2, 3, and what the three images of val show."""
    kit = write_kit(root / "ILSVRC2012_devkit_t12.tar.gz")
    names = [f"ILSVRC2012_val_{n:08}" for n in range(1, 5)]
    images = dict(zip(names, zip((CAT, DOG, TENCH, DOG), JPEGS, strict=False), strict=True))
    tar = make_tar(root / "v.tar", {f"{name}.JPEG": image[1] for name, image in images.items()})
    return Kind(tar, "tar", "flat, with labels", images, SourceOptions(labels=kit))


def _table_rows():
    return [(wnid, f"{wnid}_{n}.jpg", JPEGS[n]) for n, wnid in enumerate(WNIDS)]


def _shards(root):
    for part in range(2):
        make_parquet(root / f"data/train-{part}-of-2.parquet", _table_rows()[3 * part :][:3])
    (root / "README.md").write_text("a data set")
    return Kind(root, "parquet", "table")


def _list(root, name, lines):
    make_folder(root, class_files())
    (root / name).write_text("".join(f"{line}\n" for line in lines))
    return Kind(root / name, "list", "list")


def _paths():
    return [(wnid, f"{wnid}/{n}.JPEG") for n, wnid in enumerate(WNIDS)]


FLAT, FOLDERS, TARS = "flat, with labels", "folder per class", "tar per class"
WORDS = {DOG: "domestic_dog", CAT: "domestic cat", CHIHUAHUA: "chihuahua.n.03"}
CRANE = {DOG: "domestic_dog", CAT: "crane", CHIHUAHUA: f"{CHIHUAHUA}-Chihuahua"}
KINDS = {
    "tar of tars": lambda r: Kind(make_tar(r / "t.tar", class_tars()), "tar", TARS),
    "whole release": lambda r: Kind(make_tar(r / "t.tar", class_tars("w21/")), "tar", TARS),
    "folder of tars": lambda r: Kind(make_folder(r / "f", class_tars()), "folder", TARS),
    "tar of one class": lambda r: Kind(
        make_tar(r / f"{DOG}.tar", {f"{DOG}_{n}.JPEG": JPEGS[n] for n in range(3)}),
        "tar",
        "one class",
        {name: image for name, image in OWN_NAMES.items() if image[0] == DOG},
    ),
    "flat tar, labels by name": lambda r: Kind(
        make_tar(r / "v.tar", flat_files()), "tar", FLAT, VAL_NAMES, _named_labels(r)
    ),
    "flat tar, labels in order": lambda r: Kind(
        make_tar(r / "v.tar", flat_files()),
        *("tar", FLAT, VAL_NAMES),
        _labels(r, "".join(f"{wnid}\n" for wnid in WNIDS)),
    ),
    "flat tar, development kit": _kit,
    "flat tar, labels that are words": lambda r: Kind(
        make_tar(r / "v.tar", flat_files()),
        *("tar", FLAT, VAL_NAMES),
        _labels(r, "".join(f"val_{n}.JPEG\t{WORDS[w]}\n" for n, w in enumerate(WNIDS))),
    ),
    "flat zip": lambda r: Kind(
        make_zip(r / "v.zip", flat_files()), "zip", FLAT, VAL_NAMES, _named_labels(r)
    ),
    "flat folder": lambda r: Kind(
        make_folder(r / "v", flat_files()), "folder", FLAT, VAL_NAMES, _named_labels(r)
    ),
    "class folders": lambda r: Kind(make_folder(r / "c", class_files()), "folder", FOLDERS),
    "class folders in a tar": lambda r: Kind(make_tar(r / "c.tar", class_files()), "tar", FOLDERS),
    "class folders in a zip": lambda r: Kind(make_zip(r / "c.zip", class_files()), "zip", FOLDERS),
    "class folders in a deflated zip": lambda r: Kind(
        make_zip(r / "c.zip", class_files(), zipfile.ZIP_DEFLATED), "zip", FOLDERS
    ),
    "nested class folders": lambda r: Kind(
        make_folder(
            make_folder(r / "c", dict(list(class_files(prefix="a/train/").items())[:4])),
            dict(list(class_files(prefix="a/val/").items())[4:]),
        ),
        *("folder", FOLDERS),
    ),
    "class folders named by words": lambda r: Kind(
        make_folder(r / "c", class_files(WORDS)), "folder", FOLDERS
    ),
    "class folders with a mapping": lambda r: Kind(
        make_folder(r / "c", class_files(CRANE)), "folder", FOLDERS, options=_word_options(r)
    ),
    "Kaggle in a folder": lambda r: Kind(
        make_folder(r / "k", kaggle_files()), "folder", "Kaggle localization", KAGGLE_NAMES
    ),
    "Kaggle in a zip": lambda r: Kind(
        make_zip(r / "k.zip", kaggle_files()), "zip", "Kaggle localization", KAGGLE_NAMES
    ),
    "Tiny ImageNet in a folder": lambda r: Kind(
        make_folder(r / "t", tiny_imagenet_files()), "folder", "Tiny ImageNet", TINY_NAMES
    ),
    "Tiny ImageNet in a zip": lambda r: Kind(
        make_zip(r / "t.zip", tiny_imagenet_files()), "zip", "Tiny ImageNet", TINY_NAMES
    ),
    "shard of WebDataset": lambda r: Kind(
        make_tar(r / "s.tar", samples()), "tar", "WebDataset", SAMPLE_NAMES
    ),
    "shards of WebDataset": lambda r: Kind(
        make_folder(
            r / "s",
            {f"s-{n}.tar": make_tar(None, samples(range(3 * n, 3 * n + 3))) for n in range(2)},
        ),
        *("folder", "WebDataset", SAMPLE_NAMES),
    ),
    "Parquet": lambda r: Kind(make_parquet(r / "t.parquet", _table_rows()), "parquet", "table"),
    "Parquet in shards": lambda r: _shards(r / "p"),
    "CSV": lambda r: _list(r, "l.csv", ["path,wnid", *(f"{path},{w}" for w, path in _paths())]),
    "TSV": lambda r: _list(r, "l.tsv", [f"{path}\t{w}" for w, path in _paths()]),
    "JSON lines": lambda r: _list(
        r, "l.jsonl", [json.dumps({"path": path, "label": w}) for w, path in _paths()]
    ),
}


# What is in a database.


def dump(database):
    """Everything that is in it."""
    with database.reading() as connection:
        return {t.name: connection.execute(select(t)).all() for t in schema.metadata.sorted_tables}


def check_counts(database):
    """The stored counts are those of the rows."""
    columns = schema.images.c
    query = select(columns.synset, columns.state, func.count(), func.sum(columns.length))
    with database.reading() as connection:
        rows = connection.execute(query.group_by(columns.synset, columns.state)).all()
        kept = connection.execute(select(schema.synset_counts)).all()
    recounted = {}
    for synset, state, number, size in rows:
        figures = recounted.setdefault(synset, [0, 0, 0, 0, 0])
        figures[4 if state == schema.State.SEALED else state] = number
        figures[3] = size if state == schema.State.OK else figures[3]
    assert {row[0]: list(row[1:]) for row in kept if any(row[1:])} == recounted


def read_all(database):
    """Every image in it by name: its wnid and bytes."""
    rows = list(locate(database))  # so that no transaction is left open by an image that fails
    with ImageReader(database) as reader:
        return {row.name: (row.wnid, reader.read(row)) for row in rows}
