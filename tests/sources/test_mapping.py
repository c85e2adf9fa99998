"""Labels that are words: which are taken, which are refused, and the file that decides."""

from __future__ import annotations

from itertools import pairwise

import pytest

from imagetree.errors import DatabaseError
from imagetree.sources import mapping
from imagetree.sources.mapping import (
    HEADER,
    LEFT_OUT,
    MAX_FAULTS_SHOWN,
    OPEN,
    Naming,
    load_mapping,
    rank_senses,
    senses_of,
    write_mapping,
)

CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
BIRDS = ["crane", "cock", "flamingo", "goose", "hen", "kite", "robin"]
DOG, BIRD_CRANE = "n02084071", "n02012849"


@pytest.mark.parametrize(
    ("label", "wnid"),
    [
        (DOG, DOG),
        ("dog.n.01", DOG),
        ("n01440764 tench", "n01440764"),
        ("n01440764_tench", "n01440764"),
        ("n02085620-Chihuahua", "n02085620"),
        ("tench", "n01440764"),
        ("English springer", "n02102040"),
        ("English_Springer", "n02102040"),
        ("english-springer", "n02102040"),
        ("cassette_player", "n02979186"),
        ("golden-retrievers", "n02099601"),
        ("AEROPLANES", "n02691156"),
        ("dog-iron", "n02710044"),
        ("dog_iron", "n02710044"),
    ],
)
def test_labels_without_doubt(label, wnid):
    """Wnids, with words too, sense names, and words of one sense as folders write them."""
    assert Naming()(label) == (wnid, "")


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("crane", ["5 senses", BIRD_CRANE, "n03126707 crane", "imagetree database mapping"]),
        ("cardigan", ["2 senses", "n02963159", "n02113186 Cardigan, Cardigan Welsh corgi"]),
        ("maillot", ["2 senses", "n03710721", "n03710637"]),
        ("images", ["9 senses"]),
        ("unicornn", ["no noun of WordNet 3.0", "'unicorn'", "imagetree database mapping"]),
        ("val", ["no noun of WordNet 3.0"]),
        ("dog.n.99", ["7 senses"]),
        ("n02086723", ["offset of WordNet 3.1", DOG]),
        ("n02086723-dog", ["offset of WordNet 3.1", DOG]),
        ("n99999999", ["no noun synset of WordNet 3.0"]),
        ("v02084071", ["verb"]),
        ("", ["no noun"]),
        ("\udcff\n", ["no noun"]),
    ],
)
def test_labels_in_doubt_are_refused(label, words):
    """The reason lists the senses, or what is near, and names the command that helps."""
    wnid, fault = Naming()(label)
    assert wnid == ""
    assert fault.isprintable()
    assert [word for word in words if word not in fault] == []


def test_glosses_tell_senses_apart_where_they_are_installed(monkeypatch):
    """Short and without examples; where WordNet is not installed words must do."""
    gloss = 'a large bird that wades; "cranes ' + "x" * 99
    monkeypatch.setattr(mapping, "gloss_of", lambda wnid: gloss)
    assert f"{BIRD_CRANE} crane (a large bird that wades);" in Naming()("crane")[1]
    monkeypatch.setattr(mapping, "gloss_of", lambda wnid: None)
    assert f"{BIRD_CRANE} crane;" in Naming()("crane")[1]


def test_each_label_is_thought_about_once(monkeypatch):
    """A label's answer is kept: a search through all words takes milliseconds."""
    naming = Naming()
    first = naming("tench")
    monkeypatch.setattr(mapping, "senses_of", None)
    assert naming("tench") == first


def test_mapping_decides_before_words_do(tmp_path):
    """Also a word with one sense; a dash leaves out, as a note."""
    path = tmp_path / "mapping.tsv"
    path.write_text(f"crane\t{BIRD_CRANE}\ntench\t{DOG}\tfish\tno fish here\nmisc\t-\n")
    naming = Naming(load_mapping(path))
    assert naming("crane") == (BIRD_CRANE, "")
    assert naming("tench") == (DOG, "")
    assert naming("misc") == ("", "note: 'misc' is left out by the mapping")
    assert naming("airplane")[0] == "n02691156"


def test_mapping_as_editors_save_it(tmp_path):
    """A byte order mark, CRLF, blank lines and candidates without a label are no faults."""
    path = tmp_path / "mapping.tsv"
    rows = [
        "\t".join(HEADER),
        f"crane\t{BIRD_CRANE}\tcrane\t",
        "\tn03126707\tcrane\t",
        "",
        " dog\t-",
    ]
    path.write_bytes(("\ufeff" + "\r\n".join(rows)).encode())
    assert load_mapping(path).wnids == {"crane": BIRD_CRANE, " dog": LEFT_OUT}


def test_mapping_faults_are_listed_by_line(tmp_path):
    """The first twenty, each with its line, and how many there are."""
    path = tmp_path / "mapping.tsv"
    bad = ["crane\t?", "cock\t", "hen", "kite\tn99999999", "gull\tgull", "emu\t-", "emu\t-",
           f"n01440764\t{DOG}", "n01440764-tench\tn01440764", f"n02086723\t{DOG}"]  # fmt: skip
    path.write_text("\n".join(bad + ["x\t?"] + [f"x{n}\t?" for n in range(19)]))
    with pytest.raises(DatabaseError) as caught:
        load_mapping(path)
    lines = caught.value.message.splitlines()
    assert lines[0] == f"{path}: 27 faults in the mapping, the first 20 of them:"
    assert len(lines) == 1 + MAX_FAULTS_SHOWN
    assert lines[1].startswith("  mapping.tsv:1: 'crane': is not decided")
    assert lines[2].startswith("  mapping.tsv:2: 'cock': is not decided")
    assert lines[3].startswith("  mapping.tsv:3: 'hen': is not decided")
    assert "mapping.tsv:4: 'kite': n99999999 is no noun" in lines[4]
    assert "mapping.tsv:5: 'gull': 'gull' is no wnid" in lines[5]
    assert lines[6] == "  mapping.tsv:7: 'emu': the label is there twice"
    assert "mapping.tsv:8: 'n01440764': is a synset itself" in lines[7]
    assert lines[8].startswith("  mapping.tsv:11: 'x'")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("data", "fault"), [(None, "cannot be read"), (b"crane\t\xff", r"no UTF-8 text \(byte 6\)")]
)
def test_mapping_that_is_no_file_of_text(tmp_path, data, fault):
    """It is named in the error."""
    path = tmp_path / "mapping.tsv"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(DatabaseError, match=fault):
        load_mapping(path)


def read_rows(path):
    return [line.split("\t") for line in path.read_text().splitlines()]


def test_proposal_for_cifar10(tmp_path):
    """Words of one sense are filled in; the others are open, with the right sense first."""
    path = tmp_path / "mapping.tsv"
    assert write_mapping(path, reversed(CIFAR10)) == (4, 6)
    header, *rows = read_rows(path)
    assert tuple(header) == HEADER
    assert [row[0] for row in rows if row[0]] == CIFAR10
    filled = {row[0]: row[1] for row in rows if row[0]}
    assert {label for label, wnid in filled.items() if wnid == OPEN} == {
        "bird", "cat", "dog", "frog", "horse", "truck",
    }  # fmt: skip
    assert filled["automobile"] == "n02958343"
    first = {row[0]: rows[at + 1][1] for at, row in enumerate(rows) if row[1] == OPEN}
    assert first == {label: senses_of(label)[0].wnid for label in first}
    assert sum(not row[0] for row in rows) == sum(len(senses_of(label)) for label in first)


def test_proposal_is_refused_until_it_is_reviewed(tmp_path):
    """What is open is a fault; with the first candidates chosen it loads."""
    path = tmp_path / "mapping.tsv"
    write_mapping(path, CIFAR10)
    with pytest.raises(DatabaseError, match="6 faults in the mapping"):
        load_mapping(path)
    rows = read_rows(path)
    for row, below in pairwise(rows):
        row[1] = below[1] if row[1] == OPEN else row[1]
    path.write_text("\n".join("\t".join(row) for row in rows))
    naming = Naming(load_mapping(path))
    assert [naming(label)[1] for label in CIFAR10] == [""] * 10
    assert naming("dog") == (DOG, "")


def test_proposal_keeps_what_is_there(tmp_path):
    """A file that may hold decisions is never written over."""
    path = tmp_path / "mapping.tsv"
    path.write_text("mine")
    with pytest.raises(DatabaseError, match="is there already"):
        write_mapping(path, CIFAR10)
    assert path.read_text() == "mine"


def test_proposal_leaves_wnids_out_and_translates_those_of_31(tmp_path):
    """A wnid of 3.0 needs no row; one of 3.1 is open, with the synset of 3.0 below it."""
    path = tmp_path / "mapping.tsv"
    labels = [DOG, "n02085620-Chihuahua", "n02086723", "unicornn", "a\tb", "", "v02084071"]
    assert write_mapping(path, labels) == (0, 3)
    _, wnid, meant, unknown, verb = read_rows(path)
    assert wnid[:2] == ["n02086723", OPEN]
    assert meant[:2] == ["", DOG]
    assert unknown[:2] == ["unicornn", OPEN]
    assert "no such noun" in unknown[3]
    assert verb[:2] == ["v02084071", OPEN]


@pytest.mark.parametrize(
    ("labels", "label", "name"),
    [
        (BIRDS, "crane", "crane.n.05"),
        (BIRDS, "kite", "kite.n.04"),
        (["crane", "forklift", "bulldozer", "truck"], "crane", "crane.n.04"),
        (["cardigan", "beagle", "pug", "boxer"], "cardigan", "cardigan.n.02"),
        (["cardigan", "beagle", "pug", "boxer"], "boxer", "boxer.n.04"),
        (["cardigan", "jersey", "miniskirt"], "cardigan", "cardigan.n.01"),
        (["maillot", "bikini"], "maillot", "maillot.n.01"),
        (["mouse", "keyboard", "monitor"], "mouse", "mouse.n.04"),
        (["mouse", "cat", "dog", "rabbit"], "mouse", "mouse.n.01"),
    ],
)
def test_senses_near_the_other_labels_come_first(labels, label, name):
    """The bird among birds, the machine among machines, the dog among dogs."""
    ranked = rank_senses({each: senses_of(each) for each in labels})
    assert ranked[label][0].name == name
    assert set(ranked[label]) == set(senses_of(label))


def test_alone_senses_are_in_the_order_of_wordnet():
    """But individuals of the name, two writers and a constellation, come last."""
    ranked = rank_senses({"crane": senses_of("crane"), "cat": ()})["crane"]
    assert [sense.name for sense in ranked] == [
        "crane.n.04", "crane.n.05", "crane.n.01", "crane.n.02", "grus.n.01",
    ]  # fmt: skip
    alone = rank_senses({"cat": senses_of("cat")})["cat"]
    assert alone == senses_of("cat")
