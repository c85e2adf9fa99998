"""WebDataset shards, read back with the real library; and what every sharded export keeps to."""

from __future__ import annotations

import gc
import hashlib
import io
import json

import numpy as np
import pytest
import webdataset
from PIL import Image

from imagetree.database import ImageReader, import_source
from imagetree.errors import DatabaseError
from imagetree.export.selection import Running, Selection
from imagetree.export.sharding import Sharding
from imagetree.export.shards import write_shards

from .conftest import CAT, CHIHUAHUA, DOG, jpeg, tar_of

# webdataset leaves the files that it reads to the garbage collector
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
TWO = Sharding("train", max_images=2, max_bytes=1 << 30)


@pytest.fixture(autouse=True)
def collected():
    yield
    gc.collect()


def digests(folder) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def test_webdataset_reads_every_sample(store, tmp_path, images):
    """Keys are unique, and images, classes, names and bytes are those of the database."""
    report = write_shards(store, tmp_path / "wds", sharding=TWO)
    assert report.num_images == 7
    urls = sorted(map(str, (tmp_path / "wds").glob("train-*.tar")))
    assert len(urls) == 4
    found: dict[str, dict[str, bytes]] = {}
    keys = []
    for sample in webdataset.WebDataset(urls, shardshuffle=False):
        facts = json.loads(sample["json"])
        keys.append(sample["__key__"])
        assert int(sample["cls"]) == sorted(images).index(facts["wnid"])
        is_png = facts["name"] == f"{CHIHUAHUA}_a.b%"
        found.setdefault(facts["wnid"], {})[facts["name"]] = sample["png" if is_png else "jpg"]
    assert found == images
    assert len(set(keys)) == 7


def test_webdataset_decodes(store, tmp_path):
    """The library's own decoding gives pixels, a number and a dictionary."""
    write_shards(store, tmp_path / "wds", Selection((CAT,)))
    url = str(tmp_path / "wds/train-000000.tar")
    dataset = webdataset.WebDataset(url, shardshuffle=False).decode("rgb8")
    pixels, label, facts = next(iter(dataset.to_tuple("jpg", "cls", "json")))
    assert (pixels.shape, pixels.dtype, label) == ((12, 22, 3), np.uint8, 0)
    assert facts == {"name": f"{CAT}_1", "wnid": CAT}


def test_bytes_do_not_depend_on_threads(store, tmp_path):
    """One thread and eight write the same shards."""
    one = write_shards(store, tmp_path / "a", sharding=TWO, running=Running(threads=1))
    eight = write_shards(store, tmp_path / "b", sharding=TWO, running=Running(threads=8))
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert one == eight


def test_shards_keep_to_their_bytes(store, tmp_path):
    """No shard of several images is above the limit, blocks around them aside."""
    write_shards(store, tmp_path / "wds", sharding=Sharding("s", 1000, 6_000))
    sizes = [path.stat().st_size for path in (tmp_path / "wds").iterdir()]
    assert len(sizes) > 3
    assert max(sizes) <= 10_240


def test_a_broken_off_export_goes_on(store, tmp_path, monkeypatch):
    """What was whole is not read again; the result is that of an export in one go."""
    folder = tmp_path / "wds"

    def stop(done: int, _total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(store, folder, sharding=TWO, running=Running(stop))
    assert sorted(p.name for p in folder.iterdir()) == ["train-000000.tar", "train-000001.tar"]
    read, plainly = [], ImageReader.read
    monkeypatch.setattr(
        ImageReader, "read", lambda self, row: read.append(row.name) or plainly(self, row)
    )
    report = write_shards(store, folder, sharding=TWO)
    assert (len(read), report.num_kept, report.num_images) == (3, 2, 7)
    write_shards(store, tmp_path / "whole", sharding=TWO)
    assert digests(folder) == digests(tmp_path / "whole")


def test_a_torn_journal_and_a_damaged_shard_are_written_again(store, tmp_path):
    """A line that was cut off by a power cut counts as nothing; a changed file is noticed."""
    folder = tmp_path / "wds"
    write_shards(store, folder, sharding=TWO)
    expected = digests(folder)
    manifest = tmp_path / "wds.manifest.jsonl"
    lines = manifest.read_bytes().splitlines(keepends=True)
    manifest.unlink()
    (tmp_path / ".wds.manifest.part").write_bytes(b"".join(lines[:2]) + lines[2][:40])
    data = bytearray((folder / "train-000000.tar").read_bytes())
    data[700] ^= 1
    (folder / "train-000000.tar").write_bytes(data)
    report = write_shards(store, folder, sharding=TWO)
    assert (report.num_kept, digests(folder)) == (1, expected)
    assert manifest.read_bytes().splitlines(keepends=True) == lines
    assert not (tmp_path / ".wds.manifest.part").exists()


def test_manifest_says_what_is_there(store, tmp_path):
    """Every shard with size and hash, and last that the export is complete."""
    report = write_shards(store, tmp_path / "wds", sharding=TWO)
    *parts, last = map(json.loads, (tmp_path / "wds.manifest.jsonl").read_text().splitlines())
    assert {name: digest for part in parts for name, _, digest in part["files"]} == digests(
        tmp_path / "wds"
    )
    assert last == {"complete": True, "num_images": 7, "sha256": report.sha256}


def test_another_selection_replaces_the_shards(store, tmp_path):
    """No shard of the earlier export is left where the new one has fewer."""
    write_shards(store, tmp_path / "wds", sharding=TWO)
    report = write_shards(store, tmp_path / "wds", Selection((CAT,)), sharding=TWO)
    assert list(digests(tmp_path / "wds")) == ["train-000000.tar"]
    assert (report.num_images, report.num_kept) == (2, 0)


def test_new_images_are_exported(store, tmp_path):
    """After an import only the shards whose images have changed are written again."""
    write_shards(store, tmp_path / "wds", sharding=TWO)
    last = "n12992868"  # fungus, behind all others
    (tmp_path / "more.tar").write_bytes(
        tar_of([(f"{last}.tar", tar_of([(f"{last}_1.JPEG", jpeg(1))]))])
    )
    import_source(store, tmp_path / "more.tar")
    report = write_shards(store, tmp_path / "wds", sharding=TWO)
    # a class more: the class index belongs to every shard
    assert (report.num_images, report.num_kept) == (8, 0)


def test_unreadable_images_are_set_aside_once_and_for_all(broken, tmp_path):
    """They are listed again by a run that keeps the shard."""
    first = write_shards(broken, tmp_path / "wds")
    again = write_shards(broken, tmp_path / "wds")
    assert first.num_images == again.num_images == 3
    assert {i.item for i in first.set_aside} == {f"{DOG}/{DOG}_2", f"{CAT}/{CAT}_4"}
    assert first.set_aside == again.set_aside
    assert again.num_kept == 1


def test_what_is_no_image_is_set_aside(store, tmp_path):
    """The ending is that of the bytes, and HTML has none."""
    inner = tar_of([(f"{CAT}_9.JPEG", b"<html>not found</html>")])
    (tmp_path / "bad.tar").write_bytes(tar_of([(f"{CAT}.tar", inner)]))
    import_source(store, tmp_path / "bad.tar")
    report = write_shards(store, tmp_path / "wds", Selection((CAT,)))
    assert report.num_images == 2
    assert report.set_aside[0].reason.startswith("not an image: 22 bytes")


def test_a_folder_with_other_things_is_refused(store, tmp_path):
    """Nothing of the user's is overwritten."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years")
    with pytest.raises(DatabaseError, match="is no export that was broken off"):
        write_shards(store, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years"


@pytest.mark.parametrize("values", [("train", 0, 5), ("train", 5, 0), ("../x", 5, 5), ("", 5, 5)])
def test_impossible_shards_are_refused(values):
    """Empty shards and names that lead elsewhere."""
    with pytest.raises(DatabaseError):
        Sharding(*values)


def test_database_written_meanwhile(store, tmp_path):
    """A shard that would mix two states of the database is not written."""
    fungus = "n00523513"  # sport, before all others
    (tmp_path / "more.tar").write_bytes(
        tar_of([(f"{fungus}.tar", tar_of([(f"{fungus}_1.JPEG", jpeg(1))]))])
    )

    class Late(Selection):
        """A selection whose second look finds one image more."""

        looks = 0

        def rows(self, database):
            Late.looks += 1
            if Late.looks == 2:
                import_source(database, tmp_path / "more.tar")
            return super().rows(database)

    with pytest.raises(DatabaseError, match="changed while they were exported"):
        write_shards(store, tmp_path / "wds", Late())
    assert list((tmp_path / "wds").iterdir()) == []


def test_images_are_what_they_were(store, tmp_path):
    """A picture read out of a shard is one that Pillow opens."""
    write_shards(store, tmp_path / "wds", Selection((CHIHUAHUA,)))
    urls = [str(tmp_path / "wds/train-000000.tar")]
    found = [s for s in webdataset.WebDataset(urls, shardshuffle=False) if "png" in s]
    with Image.open(io.BytesIO(found[0]["png"])) as image:
        assert (image.format, image.size) == ("PNG", (16, 12))
