"""How the scores of submissions are printed: errors in percent, costs in levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagetree.cli.output import print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagetree.challenge.bootstrap import Interval
    from imagetree.challenge.calibration import Calibration
    from imagetree.challenge.comparison import Difference
    from imagetree.challenge.leakage import Leakage
    from imagetree.challenge.real_labels import RealScore
    from imagetree.challenge.score import Score

_NUM_HARDEST = 10


def print_score(score: Score) -> None:
    """Print errors with intervals, figures of the hierarchy, levels, and the hardest classes."""
    print_table(
        (
            *("guesses", "error", "99.9 % interval", "misses"),
            *("hierarchical error (levels)", "99.9 % interval"),
        ),
        [
            (
                f"top {t.k}",
                f"{t.error:.2%}",
                _percent(t.interval),
                t.num_misses,
                f"{t.hierarchical_error:.3f}",
                _levels(t.hierarchical_interval),
            )
            for t in score.top
        ],
        title=f"{score.split}: {score.num_images:,} images of {score.num_classes:,} classes",
    )
    _print_hierarchy(score)
    if score.calibration:
        _print_calibration(score.calibration)
    _print_hardest(score)


def print_real(real: RealScore) -> None:
    """Print the error by reassessed labels."""
    print_table(
        ("ReaL labels", "error", "99.9 % interval", "images scored", "with several", "left out"),
        [
            (
                "first guess",
                f"{real.error:.2%}",
                _percent(real.interval),
                real.num_scored,
                real.num_several,
                f"{real.num_unlabelled:,} without a label, {real.num_elsewhere:,} of other classes",
            )
        ],
    )


def print_leakage(leakage: Leakage) -> None:
    """Print the error with and without images that were learnt from."""
    without = leakage.error_without, leakage.interval_without
    rows = [
        ("all", leakage.num_images, f"{leakage.error:.2%}", ""),
        ("learnt from", leakage.num_leaked, _or_dash(leakage.error_on_leaked), ""),
        (
            "the others",
            leakage.num_images - leakage.num_leaked,
            _or_dash(without[0]),
            _percent(without[1]) if without[1] else "",
        ),
    ]
    print_table(
        ("images", "number", "top-1 error", "99.9 % interval"),
        rows,
        title="images with a copy, or nearly one, in train or minival",
    )


def print_differences(names: tuple[str, str], num_images: int, found: Sequence[Difference]) -> None:
    """Print two entries side by side, and whether they differ by more than chance."""
    print_table(
        (
            *("guesses", "A", "B", "A - B", "99.9 % interval", "A alone right", "B alone right"),
            *("p (McNemar)", "A - B (levels)", "99.9 % interval"),
        ),
        [
            (
                f"top {each.k}",
                f"{each.first_error:.2%}",
                f"{each.second_error:.2%}",
                f"{each.difference:+.2%}",
                _percent(each.interval),
                each.only_first,
                each.only_second,
                f"{each.p_value:.3g}",
                f"{each.hierarchical_difference:+.3f}",
                _levels(each.hierarchical_interval),
            )
            for each in found
        ],
        title=f"A = {names[0]}, B = {names[1]}: {num_images:,} images",
    )
    for each in found:
        better = "A is better" if each.difference < 0 else "B is better"
        chance = "the difference may well be chance"
        print(f"top {each.k}: {better if each.is_significant else chance} (99.9 % confidence)")


def _print_hierarchy(score: Score) -> None:
    sets, severity = score.sets, score.severity
    rows = [
        ("hierarchical precision", f"{sets.precision:.2%}"),
        ("hierarchical recall", f"{sets.recall:.2%}"),
        ("hierarchical F1", f"{sets.f1:.2%}"),
    ]
    if severity.mean_height is not None:
        rows.append(("severity of mistakes (levels)", f"{severity.mean_height:.3f}"))
    for k, distance in severity.distance.items():
        rows.append((f"hierarchical distance at {k} (levels)", f"{distance:.3f}"))
    if score.synsets:
        rows += [
            ("answers that are true, at any height", f"{score.synsets.accuracy:.2%}"),
            ("information of naming the class", f"{score.synsets.information:.2%}"),
        ]
    print_table(("first guess in the hierarchy", "value"), rows)
    heights = {level.num_misses: level for level in reversed(score.levels)}  # where it falls
    print_table(
        ("synsets are one from height", "top-1 error", "misses"),
        [
            (str(level.height), f"{level.error:.2%}", level.num_misses)
            for level in reversed(heights.values())
        ],
    )


def _print_calibration(calibration: Calibration) -> None:
    loss = calibration.log_loss
    infinite = f"infinite: {calibration.num_impossible:,} classes given 0"
    print_table(
        ("probabilities", "value"),
        [
            ("expected calibration error", f"{calibration.error:.2%}"),
            ("Brier score", f"{calibration.brier:.4f}"),
            ("log loss (nats)", infinite if loss is None else f"{loss:.4f}"),
        ],
    )
    print_table(
        ("images", "confidence", "mean", "accuracy"),
        [
            (
                each.num_images,
                f"{each.low:.1%} to {each.high:.1%}",
                f"{each.confidence:.1%}",
                f"{each.accuracy:.1%}",
            )
            for each in calibration.bins
        ],
        title="reliability",
    )


def _print_hardest(score: Score) -> None:
    from imagetree.wordnet import load_nouns

    nouns = load_nouns()
    worst = sorted(score.classes, key=lambda each: -each.num_misses / each.num_images)
    print_table(
        ("class", "top-1 error", "misses", "most often taken for"),
        [
            (
                nouns.synset(each.wnid).lemma,
                f"{each.num_misses / each.num_images:.1%}",
                f"{each.num_misses} of {each.num_images}",
                nouns.synset(each.mistaken_for).lemma if each.mistaken_for else "",
            )
            for each in worst[:_NUM_HARDEST]
        ],
        title="hardest classes (all of them: --json)",
    )


def _percent(interval: Interval) -> str:
    return f"{interval.low:.2%} to {interval.high:.2%}"


def _levels(interval: Interval) -> str:
    return f"{interval.low:.3f} to {interval.high:.3f}"


def _or_dash(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"
