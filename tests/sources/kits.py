"""Development kits that tests make, laid out as ILSVRC2012's."""

from __future__ import annotations

import io
import tarfile

import numpy as np
from scipy.io import savemat

FOLDER = "ILSVRC2012_devkit_t12"
DOG, CAT, TENCH, CARNIVORE, ENTITY = (
    *("n02084071", "n02121808", "n01440764"),
    *("n02075296", "n00001740"),
)
SYNSETS = [
    # id, wnid, words, gloss, children, height, images
    (1, DOG, "dog, domestic dog", "a member of the genus Canis", [], 2, 1300),
    (2, CAT, "domestic cat", "any domesticated member of the genus Felis", [], 1, 732),
    (3, TENCH, "tench, Tinca tinca", "freshwater dace-like game fish", [], 0, 1300),
    (4, CARNIVORE, "carnivore", "a flesh-eating mammal", [1, 2], 6, 0),
    (5, ENTITY, "entity", "that which is", [3, 4], 18, 0),
]
FIELDS = (
    *("ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children", "wordnet_height"),
    "num_train_images",
)


def meta_mat(synsets=SYNSETS, fields=FIELDS, **more):
    """A `meta.mat` with a struct array in the published order of the fields."""
    table = np.empty((len(synsets), 1), [(field, object) for field in fields])
    for row, (number, wnid, words, gloss, children, height, images) in zip(
        table[:, 0], synsets, strict=True
    ):
        values = (number, wnid, words, gloss, len(children), children, height, images)
        for field, value in zip(fields, values, strict=True):
            row[field] = np.array([value], float) if field == "children" else value
    file = io.BytesIO()
    savemat(file, {"synsets": table, **more}, do_compression=True)
    return file.getvalue()


def kit_files(meta=None, truth="2\n1\n3\n1\n", blacklist="4\n"):
    """The files of a kit by their names."""
    files = {
        "readme.txt": b"ILSVRC2012",
        "data/meta.mat": meta_mat() if meta is None else meta,
        "data/ILSVRC2012_validation_ground_truth.txt": truth.encode(),
        "data/ILSVRC2012_clsloc_validation_blacklist.txt": blacklist.encode(),
        "evaluation/demo.val.pred.txt": b"1 2 3\n",
    }
    return {f"{FOLDER}/{name}": data for name, data in files.items()}


def write_kit(path, files=None):
    """Write a kit as a `.tar.gz`."""
    with tarfile.open(path, "w:gz") as archive:
        for name, data in (kit_files() if files is None else files).items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path
