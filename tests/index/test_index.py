"""An index finds what an exhaustive comparison finds, goes on where it was, and is never stale."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from imagetree.errors import TrainingError
from imagetree.index.build import Contents, build_index
from imagetree.index.projection import encode, find_axes
from imagetree.index.search import VectorIndex, least, ranked
from imagetree.index.store import CODES, FEATURES, INFO, NAMES, PROGRESS, PROJECTION, read_info
from imagetree.training.batches import BadImage
from imagetree.understanding.features import FeatureBatch

WIDTH = 96
SHA = "a" * 64


class Numbers:
    """As many images as are asked for; their features are made by `Vectors`."""

    reader = None

    def __init__(self, count: int) -> None:
        self.rows = list(range(count))
        self.names = tuple(f"image {n}\t\u00e9" for n in range(count))
        self.labels = np.zeros(count, np.int64)


class Vectors:
    """In place of a network, which has its own tests: a few groups of features, some images bad."""

    layer = "fc7"

    def __init__(self, *, bad=(), stop_at=None, scale=1.0) -> None:
        self.bad, self.stop_at, self.scale, self.looked = set(bad), stop_at, scale, []

    def vector(self, number: int) -> np.ndarray:
        centre = np.random.default_rng(number % 7).normal(0, 5, WIDTH)
        noise = np.random.default_rng(1000 + number).normal(0, 1, WIDTH)
        return np.maximum(centre + noise * np.linspace(2, 0, WIDTH), 0).astype(np.float32)

    def iter_features(self, images, progress=None):
        for start in range(0, len(images.rows), 16):
            rows = images.rows[start : start + 16]
            good = [place for place, row in enumerate(rows) if row not in self.bad]
            self.looked += rows
            if self.stop_at in rows:
                raise KeyboardInterrupt
            yield FeatureBatch(
                np.array([start + place for place in good]),
                np.array([self.vector(rows[p]) * self.scale for p in good]).reshape(-1, WIDTH),
                tuple(
                    BadImage(start + place, "no image")
                    for place, row in enumerate(rows)
                    if row in self.bad
                ),
            )


def make(folder, vectors, count=300, checkpoint=SHA):
    images = Numbers(count)
    wnids = [f"n{number % 7:08d}" for number in images.rows]
    return build_index(folder, vectors, Contents(images, wnids, "numbers"), checkpoint)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("index") / "whole"
    make(folder, Vectors(bad=(3, 100)))
    return folder


def test_it_finds_the_nearest(folder) -> None:
    """All ten, in the order of an exhaustive comparison in float64, with names and distances."""
    index, vectors = VectorIndex(folder), Vectors()
    good = [number for number in range(300) if number not in {3, 100}]
    stored = np.array([vectors.vector(n) for n in good]).astype(np.float16).astype(np.float64)
    queries = np.array([vectors.vector(1000 + n) for n in range(20)])
    for query, found in zip(queries, index.search(queries, 10), strict=True):
        distances = np.sqrt(np.square(stored - query).sum(1))
        order = np.argsort(distances, kind="stable")[:10]
        assert [each.row for each in found] == order.tolist()
        assert [each.name for each in found] == [f"image {good[row]}\t\u00e9" for row in order]
        assert [each.wnid for each in found] == [f"n{good[row] % 7:08d}" for row in order]
        np.testing.assert_allclose([each.distance for each in found], distances[order], rtol=1e-4)


def test_bad_images_are_told_and_have_no_row(folder) -> None:
    info = read_info(folder)
    assert info.bad == (("image 3\t\u00e9", "no image"), ("image 100\t\u00e9", "no image"))
    assert (info.num_rows, info.width, info.identity.num_images) == (298, WIDTH, 300)
    assert not (folder / PROGRESS).exists()
    assert info.recall >= 0.98


def test_the_recall_that_is_told_is_true(tmp_path) -> None:
    """Codes of noise find little: more candidates are taken until enough is found."""

    class Noise(Vectors):
        def vector(self, number: int) -> np.ndarray:
            return np.random.default_rng(number).normal(0, 1, 600).astype(np.float32)

        def iter_features(self, images, progress=None):
            yield FeatureBatch(
                np.arange(len(images.rows)), np.array([self.vector(row) for row in images.rows])
            )

    info = make(tmp_path, Noise(), 1500)
    assert info.length == 128
    assert 400 <= info.candidates <= 1500
    index = VectorIndex(tmp_path)
    hits = 0
    for row in range(0, 1500, 15):
        query = index.features[row].astype(np.float32)
        distances = np.square(index.features.astype(np.float32) - query).sum(1)
        truth = set(np.argsort(distances)[1:11].tolist())
        hits += len(truth & {each.row for each in index.search(query[None], 11)[0]})
    assert hits / 1000 == pytest.approx(info.recall, abs=0.02)


def test_it_goes_on_where_it_was(tmp_path, folder, monkeypatch) -> None:
    """What was written is not looked at again, and the index is the same byte for byte."""
    monkeypatch.setattr("imagetree.index.build._SAVE_EVERY", 64)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, Vectors(bad=(3, 100), stop_at=200))
    with pytest.raises(TrainingError, match="this index is not whole yet"):
        VectorIndex(tmp_path)
    second = Vectors(bad=(3, 100))
    make(tmp_path, second)
    assert second.looked[0] == 192
    for name in (FEATURES, PROJECTION, CODES, NAMES, INFO):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    third = Vectors(bad=(3, 100))
    assert make(tmp_path, third) == read_info(folder)
    assert third.looked == []


def test_another_index_is_not_written_over(tmp_path, monkeypatch) -> None:
    """Neither a whole one nor one that was begun."""
    monkeypatch.setattr("imagetree.index.build._SAVE_EVERY", 16)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, Vectors(stop_at=100))
    for changes in ({"checkpoint": "b" * 64}, {"count": 200}):
        with pytest.raises(TrainingError, match="another index is here"):
            make(tmp_path, Vectors(), **changes)
    make(tmp_path, Vectors())
    with pytest.raises(TrainingError, match=r"another index is here \(of another checkpoint\)"):
        make(tmp_path, Vectors(), checkpoint="b" * 64)


def test_index_of_another_checkpoint_is_refused(folder, tmp_path) -> None:
    checkpoint = tmp_path / "checkpoint"
    checkpoint.write_bytes(b"another")
    with pytest.raises(TrainingError, match="made with another checkpoint"):
        VectorIndex(folder, checkpoint)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        (INFO, b"{", "damaged"),
        (INFO, b'{"format": 2}', "damaged"),
        (NAMES, b'["a", "b"]\n', "1 names"),
        (CODES, b"\x93NUMPY", "cannot be read"),
        (PROJECTION, None, "cannot be read"),
    ],
)
def test_damage_is_told(folder, tmp_path, name, data, message) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    if data is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(TrainingError, match=message):
        VectorIndex(tmp_path)


def test_an_array_that_would_run_code_is_refused(folder, tmp_path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    np.save(tmp_path / CODES, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(TrainingError, match="cannot be read"):
        VectorIndex(tmp_path)


def test_a_description_that_lies_is_refused(folder, tmp_path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    values = json.loads((tmp_path / INFO).read_text())
    (tmp_path / INFO).write_text(json.dumps(values | {"num_rows": 10**9}))
    with pytest.raises(TrainingError, match="expected float16"):
        VectorIndex(tmp_path)


def test_questions_that_have_no_answer(folder) -> None:
    index = VectorIndex(folder)
    with pytest.raises(TrainingError, match="299 neighbours cannot be found among 298"):
        index.search(np.zeros((1, WIDTH), np.float32), 299)
    with pytest.raises(TrainingError, match=r"shape \(1, 5\)"):
        index.search(np.zeros((1, 5), np.float32), 1)


def test_questions_that_are_not_finite(folder) -> None:
    """What a network that has diverged gives for a photograph."""
    for value in (np.nan, np.inf, 1e30):
        with pytest.raises(TrainingError, match="not finite"):
            VectorIndex(folder).search(np.full((1, WIDTH), value, np.float32), 1)


@pytest.mark.parametrize("number", [1, 15, 16, 17, 1000, 10_007])
@pytest.mark.parametrize("count", [1, 2, 50, 1000])
def test_the_least(number, count) -> None:
    """As a whole sort finds them: of few and many, and where the last few are in no block."""
    values = np.random.default_rng(number).standard_normal(number).astype(np.float32)
    count = min(number, count)
    assert least(values, count).tolist() == sorted(np.argsort(values)[:count].tolist())
    assert len(set(least(np.zeros_like(values), count).tolist())) == count


def test_all_of_float16_as_float32() -> None:
    """A row of each: its distance from zero is what it is."""
    values = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    features = values[np.isfinite(values)][:, None]
    every = np.arange(len(features))
    rows, distances = ranked(features, np.zeros(1, np.float32), every, len(every))
    assert sorted(rows.tolist()) == every.tolist()
    expected = np.abs(features[rows, 0].astype(np.float64))
    np.testing.assert_allclose(distances, expected, rtol=1e-6, atol=0)


def test_a_network_that_has_diverged_is_told(tmp_path) -> None:
    with pytest.raises(TrainingError, match="beyond what float16 holds"):
        make(tmp_path, Vectors(scale=1e5))


def test_pairs_are_nearest_neighbours_once_each(folder) -> None:
    """Each image is in a pair with its nearest; a pair is told once."""
    index = VectorIndex(folder)
    pairs = list(index.iter_pairs())
    assert len({(a.row, b.row) for a, b in pairs}) == len(pairs)
    assert {each.row for pair in pairs for each in pair} == set(range(298))
    values = index.features.astype(np.float64)
    first, second = min(pairs, key=lambda pair: pair.second.distance)
    distances = np.sqrt(np.square(values[:, None] - values[None]).sum(-1))
    np.fill_diagonal(distances, np.inf)
    assert {first.row, second.row} == set(np.unravel_index(distances.argmin(), distances.shape))
    assert second.distance == pytest.approx(distances.min(), rel=1e-4)


def test_axes_are_the_principal_ones() -> None:
    """Those of a whole decomposition, up to their direction; codes are coordinates on them."""
    rng = np.random.default_rng(0)
    values = (rng.normal(0, 1, (2000, 40)) * 2.0 ** -np.arange(40) * 100).astype(np.float16)
    projection = find_axes(values)
    _, _, expected = np.linalg.svd(values.astype(np.float64) - values.mean(0, dtype=np.float64))
    likeness = np.abs((projection[1:9] * expected[:8]).sum(1))
    np.testing.assert_allclose(likeness, 1, atol=1e-3)
    codes = encode(values, projection)
    np.testing.assert_allclose(
        codes.astype(np.float32).std(0)[:3], 100 * 2.0 ** -np.arange(3), rtol=0.1
    )


def test_fewer_than_two_images(tmp_path) -> None:
    with pytest.raises(TrainingError, match="fewer than two images can be decoded"):
        make(tmp_path, Vectors(bad=(0,)), 2)


def test_the_number_of_candidates_is_no_less_than_the_answers(folder) -> None:
    index = VectorIndex(folder)
    index.info = replace(index.info, candidates=5)
    assert len(index.search(Vectors().vector(0)[None], 50)[0]) == 50
