"""How the filters of the first layer form: an animation, and a film strip of a few moments.

Both are made of the snapshots that a run keeps (`training.snapshots`). Each filter keeps its place
and each moment its own scale: before the first step the weights are small noise.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from imagetree.errors import TrainingError
from imagetree.pictures.filters import colour_shares, tower_members, tower_picture

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from imagetree.training.snapshots import Snapshot

    Records = Sequence[Mapping[str, Any]]

MAX_FRAMES = 60
STRIP_MOMENTS = 6

_DPI = 100
_MARGIN = 40  # pixels around a frame's filters, and around the strip
_FRAME_WIDTH = 1160  # of the filters, as far as whole pixels for each weight allow
_HEAD, _FOOT = 76, 190  # pixels above and below a frame's filters
_STRIP_COLUMNS, _STRIP_SCALE, _STRIP_HEAD, _STRIP_GAP = 8, 2, 56, 12
_LAST_FRAME_SECONDS = 3.0
_INK, _PALE, _BLUE = "#33424d", "#c3ccd3", "#2a6f97"
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}


@dataclass(frozen=True)
class Moment:
    """The filters at one moment of a run, and what the log said last until then.

    Args:
        snapshot: step and filters.
        epoch: epochs done, with the part of the one under way; None before the log tells it.
        loss: of training, None before it was logged.
        errors: top-1 errors after the last whole epoch by name, `minival` or `train`; fractions.
        colours: of each tower's median filter, the share of energy outside grey.
    """

    snapshot: Snapshot
    epoch: float | None
    loss: float | None
    errors: Mapping[str, float]
    colours: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """The moment's figures as plain values, without its filters."""
        return {
            "step": self.snapshot.step,
            "epoch": self.epoch,
            "loss": self.loss,
            "errors": dict(self.errors),
            "colours": self.colours,
        }

    @property
    def when(self) -> str:
        """Step and epoch, as it is shown."""
        step = f"step {self.snapshot.step:,}"
        return step if self._epoch is None else f"{step} · {self._epoch}"

    @property
    def what(self) -> str:
        """Loss and errors, as they are shown."""
        words = [] if self.loss is None else [f"loss {self.loss:.2f}"]
        if self.errors:
            each = ", ".join(f"{error:.1%} {name}" for name, error in self.errors.items())
            words.append(f"top-1 error: {each}")
        return " · ".join(words)

    @property
    def caption(self) -> str:
        """Epoch and error in few words."""
        error = self.errors.get("minival")
        error_words = None if error is None else f"error {error:.1%}"
        return " · ".join(filter(None, [self._epoch, error_words]))

    @property
    def _epoch(self) -> str | None:
        """None at the beginning, where the first decimal would say nothing."""
        is_told = self.epoch is not None and self.epoch >= 0.1
        return f"epoch {round(self.epoch or 0, 1):g}" if is_told else None


def moments_of(
    snapshots: Sequence[Snapshot], records: Records, towers: int = 1
) -> tuple[Moment, ...]:
    """Snapshots with what a run's log says about them.

    Args:
        snapshots: of the run, as `training.snapshots.load_snapshots` gives them.
        records: as `training.log.read_log` gives them.
        towers: parts of the network side by side, `Architecture.towers`.

    Raises:
        TrainingError: there is no snapshot, or its filters cannot be parted evenly.
    """
    if not snapshots:
        raise TrainingError(
            "this run has kept no filters on its way",
            hint="they are kept while a network is trained: imagetree train CHALLENGE RUN",
        )
    return tuple(_moment(snapshot, records, towers) for snapshot in snapshots)


def choose_moments(moments: Sequence[Moment], count: int) -> tuple[Moment, ...]:
    """At most `count` of them, the first and the last and what lies evenly between.

    >>> choose_moments("abcdefghi", 3)
    ('a', 'e', 'i')
    """
    if len(moments) <= count:
        return tuple(moments)
    places = np.linspace(0, len(moments) - 1, count).round().astype(int)
    return tuple(moments[place] for place in places)


def choose_by_change(moments: Sequence[Moment], count: int) -> tuple[Moment, ...]:
    """At most `count` of them, the first and the last and between them such as differ.

    Between two chosen ones the filters change by about the same amount, however many steps that
    takes: by the distances of neighbouring moments summed up, each filter scaled to length 1.
    """
    whole = np.stack([moment.snapshot.filters.astype(np.float64) for moment in moments])
    lengths = np.sqrt(np.square(whole).sum(axis=(2, 3, 4), keepdims=True))
    directions = whole / np.where(lengths > 0, lengths, 1.0)
    turned = np.sqrt(np.square(np.diff(directions, axis=0)).sum(axis=(2, 3, 4))).mean(axis=1)
    way = np.concatenate([[0.0], np.cumsum(turned)])
    wanted = np.linspace(0, way[-1], min(count, len(moments)))
    nearest = np.abs(way[None, :] - wanted[:, None]).argmin(axis=1)
    places = sorted({0, len(moments) - 1, *nearest[1:-1].tolist()})
    return tuple(moments[place] for place in places)


def render_animation(moments: Sequence[Moment], records: Records, *, seconds: float = 0.4) -> bytes:
    """Draw a GIF that plays over and over: step, loss and error above, the loss's curve below.

    Args:
        moments: one at least; of more than `MAX_FRAMES` some are left out.
        records: of the run's log.
        seconds: how long each frame stands; the last one stands for three seconds.

    Raises:
        TrainingError: the filters cannot be drawn, or the frames stand for no time.
    """
    if not 0.02 <= seconds <= 60:
        raise TrainingError(f"frames stand for {seconds:g} seconds (expected 0.02 to 60)")
    chosen = choose_moments(moments, MAX_FRAMES)
    frames = [_in_256_colours(draw_frame(moment, records)) for moment in chosen]
    times = [round(1000 * seconds)] * (len(frames) - 1) + [round(1000 * _LAST_FRAME_SECONDS)]
    buffer = io.BytesIO()
    frames[0].save(
        buffer, "GIF", save_all=True, append_images=frames[1:], duration=times, loop=0, disposal=1
    )
    return buffer.getvalue()


def draw_frame(moment: Moment, records: Records) -> NDArray[np.uint8]:
    """One frame of the animation, uint8 (H, W, 3); about 1,240 pixels wide.

    Raises:
        TrainingError: the filters cannot be drawn.
    """
    filters, towers = moment.snapshot.filters, len(moment.colours)
    plain = tower_picture(filters, towers, scale=1)
    scale = max(1, _FRAME_WIDTH // plain.shape[1])
    picture = tower_picture(filters, towers, scale=scale)
    height, width = picture.shape[0] + _HEAD + _FOOT, picture.shape[1] + 2 * _MARGIN
    with rc_context(_STYLE):
        figure = _empty_figure(width, height)
        figure.figimage(picture, _MARGIN, _FOOT, origin="upper")
        top = 1 - 34 / height
        figure.text(_MARGIN / width, top, moment.when, fontsize=17, va="center")
        figure.text(1 - _MARGIN / width, top, moment.what, fontsize=12, va="center", ha="right")
        box = (_MARGIN + 14, 46, width - 2 * _MARGIN - 14, _FOOT - 76)
        axes = figure.add_axes(tuple(np.divide(box, (width, height, width, height))))
        _draw_loss(axes, moment, records)
        return _pixels(figure)


def render_strip(moments: Sequence[Moment]) -> bytes:
    """Draw some moments side by side, as a PNG.

    Args:
        moments: one at least; `STRIP_MOMENTS` of them are shown, by `choose_by_change`.

    Raises:
        TrainingError: the filters cannot be drawn.
    """
    chosen = choose_by_change(moments, STRIP_MOMENTS)
    pictures = [
        tower_picture(
            moment.snapshot.filters,
            len(moment.colours),
            columns=_STRIP_COLUMNS,
            scale=_STRIP_SCALE,
        )
        for moment in chosen
    ]
    tall, wide = pictures[0].shape[:2]
    width = len(chosen) * (wide + _STRIP_GAP) - _STRIP_GAP + 2 * _STRIP_GAP
    height = tall + _STRIP_HEAD + _STRIP_GAP
    with rc_context(_STYLE):
        figure = _empty_figure(width, height)
        for number, (moment, picture) in enumerate(zip(chosen, pictures, strict=True)):
            left = _STRIP_GAP + number * (wide + _STRIP_GAP)
            figure.figimage(picture, left, _STRIP_GAP, origin="upper")
            x = (left + _STRIP_SCALE) / width
            step = f"step {moment.snapshot.step:,}"
            figure.text(x, 1 - 18 / height, step, fontsize=11, va="center", weight="bold")
            figure.text(x, 1 - 40 / height, moment.caption, fontsize=9, va="center")
        buffer = io.BytesIO()
        Image.fromarray(_pixels(figure)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _moment(snapshot: Snapshot, records: Records, towers: int) -> Moment:
    ended = [record for record in records if record["kind"] == "epoch"]
    past = [record for record in records if record["step"] <= snapshot.step]
    losses = [record["loss"] for record in past if record["kind"] == "step"]
    last = next((record for record in reversed(past) if record["kind"] == "epoch"), {})
    errors = {
        name: last[f"{name}_top1_error"]
        for name in ("minival", "train")
        if f"{name}_top1_error" in last
    }
    epoch = snapshot.step * ended[0]["epoch"] / ended[0]["step"] if ended else None
    shares = colour_shares(snapshot.filters)
    colours = tuple(float(np.median(shares[part])) for part in tower_members(len(shares), towers))
    return Moment(snapshot, epoch, losses[-1] if losses else None, errors, colours)


def _draw_loss(axes: Any, moment: Moment, records: Records) -> None:
    """The curve of the loss, dark up to the moment, and a dot at the moment."""
    steps = np.array([record["step"] for record in records if record["kind"] == "step"])
    losses = np.array([record["loss"] for record in records if record["kind"] == "step"])
    now = moment.snapshot.step
    axes.plot(steps, losses, color=_PALE, linewidth=1.2)
    axes.plot(steps[steps <= now], losses[steps <= now], color=_BLUE, linewidth=1.6)
    axes.axvline(now, color=_BLUE, linewidth=1, alpha=0.5)
    if len(steps):
        axes.plot([now], np.interp([now], steps, losses), "o", color=_BLUE, markersize=7)
        axes.set_ylim(0, 1.08 * losses.max())
        axes.set_xlim(-0.005 * steps[-1], 1.005 * steps[-1])
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title("training loss", loc="left", fontsize=10, pad=4)
    axes.set_xlabel("step", labelpad=2)


def _empty_figure(width: int, height: int) -> Figure:
    """A white figure of so many pixels."""
    return Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="white")


def _in_256_colours(frame: NDArray[np.uint8]) -> Image.Image:
    """A frame in the 256 colours that suit it best, as GIF has no more.

    They are found in each third pixel: a weight is drawn larger than that. Median cut, Pillow's
    default, would leave rare colours out, such as those of one red filter among blue ones.
    """
    few = Image.fromarray(frame[::3, ::3].copy())
    palette = few.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=1)
    return Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)


def _pixels(figure: Figure) -> NDArray[np.uint8]:
    """What the figure shows, uint8 (H, W, 3)."""
    canvas: Any = FigureCanvasAgg(figure)  # untyped in matplotlib
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
