"""Learning curves of a run: the loss of each step and the error after each epoch."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from imagetree.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Sequence


def render_curves(records: Sequence[dict[str, Any]]) -> str:
    """Draw a run's log.

    Args:
        records: as `training.log.read_log` gives them.

    Returns:
        SVG text; the same log gives the same text.

    Raises:
        TrainingError: the log has no step yet.
    """
    steps = [record for record in records if record["kind"] == "step"]
    epochs = [record for record in records if record["kind"] == "epoch"]
    if not steps:
        raise TrainingError(
            "the log of this run has no step yet", hint="train first: imagetree train"
        )
    with rc_context({"svg.hashsalt": "imagetree", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(9, 3), layout="constrained")
        loss, error, rate = figure.subplots(1, 3)
        _plot(loss, steps, "loss", "training loss (nats)")
        if epochs:
            _plot(error, epochs, "minival_top1_error", "top-1 error on minival (%)", scale=100)
            error.lines[0].set_marker("o")
            error.lines[0].set_markersize(3)
        error.set_ylim(bottom=0)
        _plot(rate, steps, "lr", "learning rate")
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _plot(
    axes: Any,  # matplotlib's own type is untyped
    records: Sequence[dict[str, Any]],
    key: str,
    title: str,
    scale: float = 1,
) -> None:
    axes.plot(
        [record["step"] for record in records],
        [record[key] * scale for record in records],
        color="#2a6f97",
        linewidth=1.2,
    )
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("step")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
