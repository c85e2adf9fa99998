"""Parquet, read back with Hugging Face's own library."""

from __future__ import annotations

import hashlib

import pyarrow.parquet as pq
import pytest

from imagetree.export import parquet
from imagetree.export.parquet import write_parquet
from imagetree.export.selection import Running, Selection
from imagetree.export.sharding import Sharding

from .conftest import CAT, CHIHUAHUA, DOG

THREE = Sharding("train", max_images=3, max_bytes=1 << 30)


@pytest.fixture
def load(tmp_path, monkeypatch):
    """`datasets.load_dataset` without network, with its cache in the test's folder."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)

    def read(folder):
        return datasets.load_dataset(
            "parquet",
            data_files={"train": str(folder / "*.parquet")},
            cache_dir=str(tmp_path / "cache"),
            split="train",
        )

    return read


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_hugging_face_reads_it(store, tmp_path, images, load):
    """Images decode, classes have their names, and bytes and file names are the database's."""
    import datasets

    report = write_parquet(store, tmp_path / "hf", sharding=THREE)
    assert report.num_images == 7
    found = load(tmp_path / "hf")
    assert found.features["label"].names == [DOG, CHIHUAHUA, CAT]
    assert isinstance(found.features["image"], datasets.Image)
    assert found[0]["image"].size == (26, 12)
    raw = found.cast_column("image", datasets.Image(decode=False))
    back: dict[str, dict[str, bytes]] = {}
    for row in raw:
        stem = row["image"]["path"].rpartition(".")[0]
        back.setdefault(found.features["label"].int2str(row["label"]), {})[stem] = row["image"][
            "bytes"
        ]
    assert back == images


def test_files_and_row_groups(store, tmp_path, monkeypatch):
    """Files are numbered of how many; a group is full at its images or at its bytes."""
    monkeypatch.setattr(parquet, "GROUP_IMAGES", 2)
    write_parquet(store, tmp_path / "hf", sharding=THREE)
    names = sorted(path.name for path in (tmp_path / "hf").iterdir())
    assert names == [f"train-0000{n}-of-00003.parquet" for n in range(3)]
    file = pq.ParquetFile(tmp_path / "hf" / names[0])
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [2, 1]
    monkeypatch.setattr(parquet, "GROUP_BYTES", 1)
    write_parquet(store, tmp_path / "tiny", sharding=THREE)
    assert pq.ParquetFile(tmp_path / "tiny" / names[0]).num_row_groups == 3


def test_bytes_do_not_depend_on_threads(store, tmp_path):
    """One thread and eight write the same file."""
    for folder, threads in (("a", 1), ("b", 8)):
        write_parquet(store, tmp_path / folder, running=Running(threads=threads))
    found = [
        hashlib.sha256((tmp_path / folder / "train-00000-of-00001.parquet").read_bytes()).digest()
        for folder in ("a", "b")
    ]
    assert found[0] == found[1]


def test_unreadable_images_are_set_aside(broken, tmp_path):
    """The rest is there; a file may come out empty of rows and can still be read."""
    report = write_parquet(broken, tmp_path / "hf", sharding=Sharding("train", 1, 1 << 30))
    assert (report.num_images, len(report.set_aside)) == (3, 2)
    rows = [pq.read_metadata(path).num_rows for path in sorted((tmp_path / "hf").iterdir())]
    assert sorted(rows) == [0, 0, 1, 1, 1]


def test_a_subtree_numbers_its_own_classes(store, tmp_path):
    """The class index is that of the export: from 0, whatever else the database holds."""
    write_parquet(store, tmp_path / "hf", Selection((CAT,), subtree=True))
    table = pq.read_table(tmp_path / "hf" / "train-00000-of-00001.parquet")
    assert table["label"].to_pylist() == [0, 0]
