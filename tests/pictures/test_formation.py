"""The filters as they form: every moment a frame, filters in their places, figures of the log."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from imagetree.cli.main import main
from imagetree.errors import TrainingError
from imagetree.pictures.filters import colour_shares, tower_picture
from imagetree.pictures.formation import (
    choose_by_change,
    choose_moments,
    draw_frame,
    moments_of,
    render_animation,
    render_strip,
)
from imagetree.training.config import TrainConfig
from imagetree.training.runs import open_run
from imagetree.training.snapshots import Snapshot, save_snapshot

RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=(96, 3, 11, 11)).astype(np.float32)
WAVE = np.sin(np.arange(11) / 2).astype(np.float32)
EDGES = np.broadcast_to(WAVE, (96, 3, 11, 11))
"""Grey waves, to which the noise turns."""

STEPS = (0, 1, 2, 5, 10, 20, 40, 80)
SNAPSHOTS = [Snapshot(step, (1 - step / 80) * NOISE + step / 8 * EDGES) for step in STEPS]
RECORDS = [
    *({"kind": "step", "step": step, "loss": 2.3 - step / 50} for step in range(10, 90, 10)),
    {
        "kind": "epoch",
        "step": 40,
        "epoch": 1,
        "minival_top1_error": 0.5,
        "train_top1_error": 0.625,
    },
    {"kind": "epoch", "step": 80, "epoch": 2, "minival_top1_error": 0.25},
]
RECORDS.sort(key=lambda record: record["step"])
MOMENTS = moments_of(SNAPSHOTS, RECORDS)


def open_gif(data: bytes) -> list[np.ndarray]:
    image = Image.open(io.BytesIO(data))
    frames = []
    for number in range(image.n_frames):
        image.seek(number)
        frames.append(np.array(image.convert("RGB")))
    return frames


def test_moment_tells_what_the_log_said_last() -> None:
    """Nothing before the first record, the errors of the last whole epoch after it."""
    told = {moment.snapshot.step: (moment.when, moment.what) for moment in MOMENTS}
    assert told[0] == ("step 0", "")
    assert told[10] == ("step 10 · epoch 0.2", "loss 2.10")
    assert told[40] == (
        "step 40 · epoch 1",
        "loss 1.50 · top-1 error: 50.0% minival, 62.5% train",
    )
    assert told[80] == ("step 80 · epoch 2", "loss 0.70 · top-1 error: 25.0% minival")
    assert MOMENTS[-1].caption == "epoch 2 · error 25.0%"


def test_run_without_a_log_has_steps_alone() -> None:
    [moment] = moments_of(SNAPSHOTS[-1:], [])
    assert (moment.when, moment.what, moment.caption) == ("step 80", "", "")


def test_colours_are_the_medians_of_the_towers() -> None:
    filters = NOISE.copy()
    filters[:48] = filters[:48].mean(axis=1, keepdims=True)
    [moment] = moments_of([Snapshot(0, filters)], [], towers=2)
    assert moment.colours == (pytest.approx(0), np.median(colour_shares(NOISE[48:])))
    assert MOMENTS[0].colours[0] == pytest.approx(2 / 3, abs=0.02)
    assert MOMENTS[-1].colours[0] < 0.01


def test_choice_has_both_ends() -> None:
    assert choose_moments(MOMENTS, 3) == (MOMENTS[0], MOMENTS[4], MOMENTS[7])
    assert choose_moments(MOMENTS, 20) == MOMENTS
    assert choose_moments(MOMENTS[:1], 1) == MOMENTS[:1]


def test_strip_leaves_out_what_looks_the_same() -> None:
    """Of a hundred moments, the last six of which differ, the first and these are chosen."""
    still = [Snapshot(step, NOISE) for step in range(94)]
    turning = [Snapshot(94 + n, NOISE + 3 * n * EDGES) for n in range(6)]
    chosen = choose_by_change(moments_of([*still, *turning], []), 6)
    assert chosen[0].snapshot.step == 0
    assert all(moment.snapshot.step >= 90 for moment in chosen[1:])
    assert chosen[-1].snapshot.step == 99


def test_choice_by_change_of_filters_that_never_change() -> None:
    still = moments_of([Snapshot(step, NOISE) for step in range(4)], [])
    assert [moment.snapshot.step for moment in choose_by_change(still, 6)] == [0, 3]
    assert choose_by_change(still[:1], 6) == still[:1]


@pytest.mark.parametrize("towers", [1, 2])
def test_frame_shows_each_weight_as_a_square(towers: int) -> None:
    """The filters stand pixel by pixel in the frame; text above, a curve below."""
    [moment] = moments_of([Snapshot(40, NOISE)], RECORDS, towers)
    frame = draw_frame(moment, RECORDS)
    filters = tower_picture(NOISE, towers, scale=6)
    assert 1200 <= frame.shape[1] <= 1280
    height, width = filters.shape[:2]
    assert np.array_equal(frame[76 : 76 + height, 40 : 40 + width], filters)
    assert frame[:76].min() < 100
    below = frame[76 + height :]
    assert (np.abs(below - np.array([0x2A, 0x6F, 0x97])).sum(2) < 6).sum() > 30  # the dot


def test_dot_moves_along_the_curve() -> None:
    """The dot of a later moment stands further to the right."""
    places = []
    for moment in (MOMENTS[4], MOMENTS[7]):
        below = draw_frame(moment, RECORDS)[76 + 438 :]
        is_dot = np.abs(below - np.array([0x2A, 0x6F, 0x97])).sum(2) < 6
        columns = is_dot.sum(0)
        places.append(int(np.flatnonzero(columns >= columns.max() * 0.6).mean()))
    assert places[1] > places[0] + 500


@pytest.mark.slow
def test_animation_has_a_frame_for_each_moment_and_loops() -> None:
    """256 colours of a frame's own are enough: the filters are hardly changed by them."""
    data = render_animation(MOMENTS, RECORDS, seconds=0.2)
    image = Image.open(io.BytesIO(data))
    assert image.n_frames == len(MOMENTS)
    assert image.info["loop"] == 0
    durations = []
    for number in range(image.n_frames):
        image.seek(number)
        durations.append(image.info["duration"])
    assert durations == [200] * 7 + [3000]
    for moment, frame in zip(MOMENTS, open_gif(data), strict=True):
        exact = draw_frame(moment, RECORDS)
        assert frame.shape == exact.shape
        assert np.abs(frame.astype(int) - exact).mean() < 5


def test_rare_colour_survives_the_256_of_a_frame() -> None:
    """One red filter among blue ones keeps its shades."""
    filters = NOISE / 20 + np.array([-1, 0, 1], np.float32)[:, None, None]
    filters[40] = NOISE[40] / 20 + np.array([1, 0, -1], np.float32)[:, None, None]
    moments = moments_of([Snapshot(0, filters)], [])
    [frame] = open_gif(render_animation(moments, []))
    exact = draw_frame(moments[0], [])
    top, left = 76 + 6 * (2 * 12 + 1), 40 + 6 * (8 * 12 + 1)
    red = (slice(top, top + 66), slice(left, left + 66))
    assert exact[red][..., 0].min() > 128
    assert np.abs(frame[red].astype(int) - exact[red]).mean() < 3


def test_same_moments_same_bytes() -> None:
    some = MOMENTS[-2:]
    assert render_animation(some, RECORDS) == render_animation(some, RECORDS)
    assert render_strip(some) == render_strip(some)


@pytest.mark.parametrize("towers", [1, 2])
def test_strip_shows_six_moments_side_by_side(towers: int) -> None:
    """The first and the last at its ends, with text above, at most 1,280 pixels wide."""
    moments = moments_of(SNAPSHOTS, RECORDS, towers)
    image = np.array(Image.open(io.BytesIO(render_strip(moments))))
    chosen = choose_by_change(moments, 6)
    tiles = [
        tower_picture(moment.snapshot.filters, towers, columns=8, scale=2) for moment in chosen
    ]
    tall, wide = tiles[0].shape[:2]
    assert len(chosen) >= 5
    assert image.shape[1] == len(chosen) * (wide + 12) + 12 <= 1280
    for number, tile in enumerate(tiles):
        left = 12 + number * (wide + 12)
        assert np.array_equal(image[-12 - tall : -12, left : left + wide], tile)
        assert image[: -12 - tall, left : left + wide].min() < 100


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"kept no filters on its way\nhint: .*imagetree train"):
        moments_of([], RECORDS)
    with pytest.raises(TrainingError, match=r"for 0 seconds .expected 0.02 to 60"):
        render_animation(MOMENTS, RECORDS, seconds=0)


@pytest.mark.slow
def test_command_draws_a_run(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two towers: a column of colour for each in the table, one number for each in JSON."""
    config = TrainConfig(architecture="two_gpu", device="cpu")
    run = open_run(tmp_path, config, tmp_path / "challenge", "images.db")
    for snapshot in SNAPSHOTS[-3:]:
        save_snapshot(run.folder, snapshot)
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in RECORDS))
    assert main(["pictures", "formation", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "colour, GPU 1" in out
    assert "62.50%" in out
    assert len(open_gif((tmp_path / "formation.gif").read_bytes())) == 3
    with Image.open(tmp_path / "formation.png") as strip:
        assert (strip.format, strip.width) == ("PNG", 3 * 206 + 12)

    places = ["--output", str(tmp_path / "a.gif"), "--strip", str(tmp_path / "b.png")]
    assert main(["pictures", "formation", str(tmp_path), *places, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [len(moment["colours"]) for moment in told["moments"]] == [2, 2, 2]
    assert told["moments"][1]["errors"] == {"minival": 0.5, "train": 0.625}
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "formation.gif").read_bytes()


def test_command_compares_runs(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    """Curves of one run, of two over each other, and the race of two to an error."""
    folders = [tmp_path / "relu", tmp_path / "tanh"]
    for folder, errors in zip(folders, ((0.5, 0.2), (0.8, 0.7, 0.6, 0.3, 0.2)), strict=True):
        open_run(folder, TrainConfig(device="cpu"), tmp_path / "challenge", "images.db")
        records = [{"kind": "step", "step": 10, "loss": 1.0, "lr": 0.1}]
        for epoch, error in enumerate(errors, 1):
            values = {"minival_top1_error": error, "train_top1_error": error}
            records.append({"kind": "epoch", "step": 10 * epoch, "epoch": epoch, **values})
        (folder / "log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    names = [str(folder) for folder in folders]
    assert main(["pictures", "curves", names[0]]) == 0
    assert main(["pictures", "curves", *names]) == 0
    assert main(["pictures", "curves", *names, "--level", "0.25"]) == 0
    out = capsys.readouterr().out
    assert "race.svg: relu reaches 25% training error 2.5 times sooner than tanh" in out
    written = sorted(path.name for path in folders[0].glob("*.svg"))
    assert written == ["comparison.svg", "curves.svg", "race.svg"]
    assert main(["pictures", "curves", names[0], names[0]]) == 1
    assert "a run is named twice" in capsys.readouterr().err
