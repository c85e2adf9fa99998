"""Recognition: in batches, as a stream and from threads, calibrated and hedged, bad ones listed."""

from __future__ import annotations

import dataclasses
import io
import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from imagetree.errors import TrainingError
from imagetree.recognition.calibration import Calibration
from imagetree.recognition.inputs import ImageFiles, Input, iter_inputs
from imagetree.recognition.temperature import soften
from imagetree.training.batches import iter_centre_batches
from imagetree.training.device import normalise
from imagetree.training.feeder import Feeder

CALIBRATION = Calibration("0" * 64, 0.01, 10, 1.0, 1.0, {0.9: 3.0, 1.0: float("inf")})


def inputs_of(paths):
    return iter_inputs(map(str, paths))


def png(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((80, 70)).save(buffer, "PNG")
    return buffer.getvalue()


def test_stream_gives_what_the_network_gives(recognizer, photographs) -> None:
    """Each probability is that of the softmax over the image's own centre square."""
    images = ImageFiles(photographs)
    with Feeder(images.reader, 0, 128 * 67 * 67 * 3) as feeder:
        [batch] = iter_centre_batches(feeder, images, 67)
        view = recognizer.view
        with torch.no_grad():
            x = normalise(batch.pixels, torch.device("cpu"), view.mean, view.std)
            expected = recognizer.network(x).softmax(1).numpy()
    found = list(recognizer.stream(inputs_of(photographs), 3))
    assert [each.name for each in found] == [str(path) for path in photographs]
    for each, row in zip(found, expected, strict=True):
        assert {g.wnid: pytest.approx(g.probability, abs=1e-5) for g in each.guesses} == dict(
            zip(recognizer.wnids, row.tolist(), strict=True)
        )
        chances = [guess.probability for guess in each.guesses]
        assert chances == sorted(chances, reverse=True)
        assert each.guesses[0].path[0] == "entity"


def test_batch_and_stream_agree(recognizer, photographs) -> None:
    batch = recognizer.recognize(ImageFiles(photographs), 3)
    stream = list(recognizer.stream(inputs_of(photographs), 3))
    for one, other in zip(batch, stream, strict=True):
        assert [guess.wnid for guess in one.guesses] == [guess.wnid for guess in other.guesses]
        assert one.guesses[0].probability == pytest.approx(other.guesses[0].probability, abs=1e-5)


def test_bad_images_are_listed_in_their_place(recognizer, photographs, tmp_path) -> None:
    (tmp_path / "cut.jpg").write_bytes(photographs[0].read_bytes()[:4000])
    paths = [photographs[0], tmp_path / "cut.jpg", tmp_path / "gone.jpg", photographs[1]]
    found = list(recognizer.stream(inputs_of(paths), 1, pictures=True))
    assert [each.reason is None for each in found] == [True, False, False, True]
    assert found[1].reason.startswith("damaged")
    assert found[2].reason == "cannot be read: No such file or directory"
    assert [len(each.guesses) for each in found] == [1, 0, 0, 1]
    assert [each.picture is None for each in found] == [False, True, True, False]
    assert Image.open(io.BytesIO(found[0].picture)).size == (67, 67)


def test_every_kind_of_image(recognizer, tmp_path) -> None:
    """CMYK, 16 bits, an animation, transparency, one pixel."""
    noise = Image.open(io.BytesIO(png(1)))
    noise.convert("CMYK").save(tmp_path / "cmyk.jpg")
    Image.fromarray(np.arange(6400, dtype=np.uint16).reshape(80, 80) * 9).save(tmp_path / "16.png")
    noise.save(tmp_path / "moving.gif", save_all=True, append_images=[noise.rotate(90)])
    noise.convert("RGBA").save(tmp_path / "clear.webp")
    Image.new("L", (1, 1)).save(tmp_path / "dot.bmp")
    found = list(recognizer.stream(inputs_of([tmp_path]), 1))
    assert [each.reason for each in found] == [None] * 5


def test_stream_is_lazy(recognizer) -> None:
    """Of endless inputs only what is answered, and a few batches ahead, is drawn."""
    drawn = itertools.count()
    endless = (Input(str(number), png(1)) for number in drawn)
    inline = dataclasses.replace(recognizer, view=dataclasses.replace(recognizer.view, workers=0))
    first = list(itertools.islice(inline.stream(endless, 1), 100))
    assert [each.name for each in first] == [str(number) for number in range(100)]
    assert next(drawn) <= 256


def test_workers_change_nothing(recognizer) -> None:
    """With processes that decode ahead, in order, each image's own answer."""
    inputs = [Input(str(number), png(number % 5)) for number in range(90)]
    inputs[40] = Input("40", fault="for a reason")
    found = list(recognizer.stream(inputs, 1))
    inline = dataclasses.replace(recognizer, view=dataclasses.replace(recognizer.view, workers=0))
    assert [(e.name, e.reason) for e in found] == [
        (str(number), "for a reason" if number == 40 else None) for number in range(90)
    ]
    for one, other in zip(found, inline.stream(inputs, 1), strict=True):
        assert one == other


def test_nothing_to_look_at(recognizer) -> None:
    assert list(recognizer.stream([], 1)) == []


def test_threads_get_their_own_answers(recognizer, photographs) -> None:
    alone = {path: list(recognizer.stream(inputs_of([path]), 3)) for path in photographs}
    with ThreadPoolExecutor(4) as pool:
        jobs = [
            (path, pool.submit(lambda path: list(recognizer.stream(inputs_of([path]), 3)), path))
            for path in photographs * 4
        ]
        assert all(job.result() == alone[path] for path, job in jobs)


def test_calibration_softens(recognizer, photographs) -> None:
    calibrated = dataclasses.replace(recognizer, calibration=CALIBRATION)
    inputs = list(inputs_of(photographs[:2]))
    plain = np.stack([row for _, row, _ in recognizer.stream_probabilities(inputs)])
    found = np.stack([row for _, row, _ in calibrated.stream_probabilities(inputs)])
    np.testing.assert_allclose(found, soften(plain, 0.01), atol=1e-4)
    assert found.max() > plain.max() + 0.01
    [one] = calibrated.recognize(ImageFiles(photographs[:1]), 1)
    assert one.guesses[0].probability == pytest.approx(found[0].max(), abs=1e-4)


def test_hedged_answers(recognizer, photographs) -> None:
    """The untaught network is sure of nothing: the root; infinity is always the root."""
    calibration = dataclasses.replace(CALIBRATION, temperature=1.0)
    calibrated = dataclasses.replace(recognizer, calibration=calibration)
    for accuracy in (0.9, 1.0):
        [found] = calibrated.stream(inputs_of(photographs[:1]), 1, accuracy=accuracy)
        assert found.hedged.answer.information == 0
        assert found.hedged.answer.probability == pytest.approx(1.0)
        assert found.hedged.majority.probability > 0.5
        assert found.hedged.pareto[-1] == found.hedged.answer
        information = [each.information for each in found.hedged.pareto]
        assert information == sorted(information, reverse=True)
    [plain] = calibrated.stream(inputs_of(photographs[:1]), 1)
    assert plain.hedged is None


def test_promise_that_was_not_prepared(recognizer, photographs) -> None:
    calibrated = dataclasses.replace(recognizer, calibration=CALIBRATION)
    with pytest.raises(TrainingError, match=r"accuracy of 0.5 \(there are 0.9, 1.0\)") as caught:
        calibrated.recognize(ImageFiles(photographs[:1]), 1, accuracy=0.5)
    assert caught.value.hint.endswith("imagetree hedge RUN --accuracy 0.5")
    with pytest.raises(TrainingError, match="there is none"):
        next(recognizer.stream(inputs_of(photographs), 1, accuracy=0.9))


def test_ten_crops_are_averaged(recognizer, photographs) -> None:
    """As `predict` has them."""
    ten = dataclasses.replace(recognizer, view=dataclasses.replace(recognizer.view, crops=10))
    expected, _ = ten.probabilities(ImageFiles(photographs[:3]))
    found = [row for _, row, _ in ten.stream_probabilities(inputs_of(photographs[:3]))]
    np.testing.assert_allclose(np.stack(found), expected, atol=1e-5)
    one = [row for _, row, _ in recognizer.stream_probabilities(inputs_of(photographs[:3]))]
    assert not np.allclose(found, one, atol=1e-6)
