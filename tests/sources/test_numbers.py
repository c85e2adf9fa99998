"""Labels that are numbers say of which numbering they are, in every kind of source."""

from __future__ import annotations

import pytest

from imagetree.errors import DatabaseError
from imagetree.sources.numbering import ilsvrc2012_wnids
from imagetree.sources.source import SourceOptions, find_source, scan_source

TENCH, GOLDFISH = ilsvrc2012_wnids()[:2]


def wnids(path, **options):
    batches = scan_source(find_source(path, SourceOptions(**options)))
    return [(image.name, image.wnid) for batch in batches for image in batch.images]


@pytest.fixture
def listing(tmp_path):
    """Two lines whose labels are 0 and 1."""
    path = tmp_path / "images.csv"
    path.write_text("path,label\na.jpg,0\nb.jpg,1\n")
    return path


def test_class_index_and_kaggle_line_of_a_list(listing):
    """The same numbers are other classes in another numbering; without one they are refused."""
    found = wnids(listing, numbering="class-index")
    assert [wnid for _, wnid in found] == [TENCH, GOLDFISH]
    found = wnids(listing, numbering="kaggle-line")  # which has no 0
    assert [wnid for _, wnid in found] == [TENCH]
    with pytest.raises(DatabaseError, match="nothing says of which numbering"):
        wnids(listing)


def test_classes_of_ones_own(listing, tmp_path):
    """A file with a label for each number from 0."""
    (tmp_path / "classes.txt").write_text("tench\nn02121808\n")
    found = wnids(listing, classes=tmp_path / "classes.txt")
    assert [wnid for _, wnid in found] == [TENCH, "n02121808"]
    with pytest.raises(DatabaseError, match=r"none\.txt: cannot be read"):
        wnids(listing, classes=tmp_path / "none.txt")


def test_numbers_of_a_flat_tar(val_tar, val_labels):
    """Ground truth of numbers, in the order of the names."""
    val_labels.write_text("1\n2\n1\n")
    assert dict(wnids(val_tar, labels=val_labels, numbering="kaggle-line")) == {
        "val_0": TENCH,
        "val_1": GOLDFISH,
        "val_2": TENCH,
    }
    with pytest.raises(DatabaseError, match="nothing says of which numbering"):
        wnids(val_tar, labels=val_labels)


def test_ids_of_a_kit_without_the_kit(listing):
    """ILSVRC2012_ID is known to the development kit alone."""
    with pytest.raises(DatabaseError, match="only a development kit"):
        wnids(listing, numbering="ilsvrc2012-id")
    with pytest.raises(DatabaseError, match="is no numbering"):
        wnids(listing, numbering="imagenet")
