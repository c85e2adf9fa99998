"""MATLAB's files against SciPy, which reads the good ones alike."""

from __future__ import annotations

import io

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from imagetree.sources.matfile import read_mat

LIMIT = 32 << 20


def saved(compress=True, **variables):
    file = io.BytesIO()
    savemat(file, variables, do_compression=compress)
    return file.getvalue()


def same(ours, theirs):
    """Whether what we read is what SciPy reads."""
    if isinstance(ours, str):
        return ours == "".join(theirs.ravel())
    if isinstance(ours, list):
        rows = theirs.ravel(order="F")
        return len(ours) == len(rows) and all(
            same(value, row[name])
            for one, row in zip(ours, rows, strict=True)
            for name, value in one.items()
        )
    return ours.shape == theirs.shape and (ours == theirs).all()


def test_published_file_is_read_as_scipy_reads_it(oracles):
    """All 13,408 fields of 1,676 synsets and a million costs."""
    data = (oracles / "ilsvrc2010" / "meta.mat").read_bytes()
    ours, theirs = read_mat(data, LIMIT), loadmat(io.BytesIO(data))
    assert set(ours) == {"synsets", "cost_matrix"}
    assert len(ours["synsets"]) == 1676
    assert len(ours["synsets"][0]) == 8
    assert all(same(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_numbers_of_all_types(kind, compress):
    """Of any shape, column by column as MATLAB keeps them."""
    array = np.arange(24).reshape(2, 3, 4).astype(kind)
    found = read_mat(saved(compress, a=array, b=array[:0, 0], c=array[0, 0]), LIMIT)
    assert found["a"].dtype == array.dtype
    assert (found["a"] == array).all()
    assert found["b"].shape == (0, 4)
    assert found["c"].tolist() == [[0, 1, 2, 3]]


def test_texts_and_structs():
    inner = np.array([[(7.0, "x")]], [("n", object), ("t", object)])
    data = saved(text="caf\u00e9", none="", struct={"a": "b", "c": 1.5, "inner": inner})
    found = read_mat(data, LIMIT)
    assert found["text"] == "caf\u00e9"
    assert len(found["none"]) == 0
    (struct,) = found["struct"]
    assert (struct["a"], struct["c"].item()) == ("b", 1.5)
    assert struct["inner"][0]["t"] == "x"


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "no MAT-file of level 5"),
        (saved(a=np.zeros((3, 3)) * 1j), "complex"),
        (saved(a=np.array([1, "x"], object)), "class 1"),
        (saved(a=np.array(["ab", "cd"])), "no row of characters"),
        (saved(a=np.zeros(LIMIT, np.uint8)), "more bytes in it than are allowed"),
        (saved(compress=False, a=np.ones(99))[:300], "an element of"),
        (saved(a=1.0)[:124] + b"\0\2" + saved(a=1.0)[126:], "of another level"),
    ],
)
def test_other_files_are_refused(data, fault):
    with pytest.raises(ValueError, match=fault):
        read_mat(data, LIMIT)


def test_structs_in_structs_end():
    """A file cannot make us run out of stack."""
    value = "x"
    for _ in range(12):
        value = {"a": value}
    with pytest.raises(ValueError, match="more than 8 structs inside one another"):
        read_mat(saved(a=value), LIMIT)
