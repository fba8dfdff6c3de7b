"""Draw the curves of a training run: loss, mIoU, pixAcc and learning rate by epoch, and the skipped steps.

A step is drawn at its end: step 1 of 10 of the first epoch at x = 0.1. A validation is drawn at the end of its epoch;
since the log counts epochs from 0, the validation of "Epoch 15" is at x = 16.

In: the tables of a run's folder (``mhpmodels.training.tables``), finished or in progress. Out: uint8 (height, width, 3)
RGB, or that as a PNG. The same tables give the same bytes with the same library versions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mhpdata.errors import CheckpointError
from mhpdata.options import check_path
from mhpmodels.figures.charts import draw_chart, quiet
from mhpmodels.figures.page import INK, MUTED, Pixels
from mhpmodels.files.checkpoint import listing
from mhpmodels.files.output import check_out, write_file
from mhpmodels.files.png import encode_picture
from mhpmodels.training.tables import STEPS, EpochRow, StepRow, read_epochs, read_steps

SIZE = (1080, 1600)
"""Size of the figure in pixels, (height, width)."""
LOSS, MEAN, MIOU, PIX_ACC, RATE, SKIPPED = "#a9c4e0", "#1f5fa8", "#1a7f4b", "#b07a16", "#6b4ea0", "#c8102e"
WINDOW = 51
"""Largest number of steps in the running median of the loss."""


def save_curves(folder: str | Path, out: str | Path, overwrite: bool = False) -> tuple[int, int]:
    """Write the curves of a run (``mhp show --run``).

    Args:
        folder: folder of the run.
        out: file to write, ``.png``; its folder must exist.
        overwrite: replace ``out`` if it exists.

    Returns:
        Numbers of epochs and steps shown.

    Raises:
        CheckpointError: the folder has no run.
        MissingError: Matplotlib is not installed.
        OutputError, OptionError: ``out`` exists, cannot be written, or does not end with ``.png``.
    """
    folder, out = check_path("run", folder), check_path("out", out)
    check_out(out, overwrite, ".png")
    steps, epochs = read_steps(folder), read_epochs(folder)
    if not steps:
        remedy = "Run the same command again after mhp train's first step, or pass the folder of another run."
        raise CheckpointError(folder / STEPS, "has no step yet", "one row per training step", remedy)
    write_file(out, encode_picture(draw_curves(steps, epochs, _title(folder))), overwrite)
    return len(epochs), len(steps)


def draw_curves(steps: Sequence[StepRow], epochs: Sequence[EpochRow], title: str = "") -> Pixels:
    """Return the curves of a run: uint8 (1080, 1600, 3) RGB.

    Args:
        steps: rows of the steps, at least one.
        epochs: rows of the finished epochs.
        title: line above the curves.

    Raises:
        MissingError: Matplotlib is not installed.
    """
    return draw_chart(lambda: curves_figure(steps, epochs, title))


def curves_figure(steps: Sequence[StepRow], epochs: Sequence[EpochRow], title: str = "") -> Any:
    """Return the Matplotlib figure of ``draw_curves``: axes for loss, mIoU, pixAcc and learning rate, from the top."""
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(SIZE[1] / 100, SIZE[0] / 100), dpi=100, facecolor="white", layout="constrained")
    loss, miou, pix_acc, rate = figure.subplots(4, 1, sharex=True, height_ratios=[5, 4, 3, 2])
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK, parse_math=False)
    length = max(row.iteration for row in steps)
    at = np.array([row.epoch + row.iteration / length for row in steps])
    _draw_loss(loss, at, steps, epochs)
    _draw_score(miou, [(row.epoch, row.miou) for row in epochs], "mIoU", MIOU)
    _draw_score(pix_acc, [(row.epoch, row.pix_acc) for row in epochs], "pixAcc", PIX_ACC)
    rate.plot(at, [row.rate for row in steps], color=RATE, linewidth=1.6)
    rate.set_ylabel("learning rate")
    rate.set_xlabel("epochs done")
    begin, end = math.floor(at[0] - 0.5 / length), max(at[-1], at[0] + 1 / length)
    rate.set_xlim(begin, end + 0.02 * (end - begin))
    for axes in (loss, miou, pix_acc, rate):
        quiet(axes)
    figure.align_ylabels()
    return figure


def window_of(count: int) -> int:
    """Return the window of the running median in a run of ``count`` steps: an eighth of them, odd, 3 to WINDOW."""
    return min(WINDOW, max(3, count // 8 | 1))


def smooth(values: npt.NDArray[np.float64], window: int) -> npt.NDArray[np.float64]:
    """Return the running median, float64 (n,), ignoring NaN; NaN where a window has no other values.

    Args:
        values: float64 (n,).
        window: number of values per window, odd; fewer at both ends.
    """
    half = min(window, len(values)) // 2
    padded = np.concatenate([np.full(half, np.nan), values, np.full(half, np.nan)])
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    known = np.isfinite(around).any(1)
    medians = np.full(len(values), np.nan)
    medians[known] = np.nanmedian(np.where(np.isfinite(around[known]), around[known], np.nan), axis=1)
    return medians


def _title(folder: Path) -> str:
    words = [folder.resolve().name]
    checkpoints = listing(folder)
    if checkpoints:
        config = checkpoints[-1].config
        words += [
            f"{config.network.model} {config.network.backbone}",
            f"{config.optim.optimizer}, rate {config.optim.lr:g}, {config.schedule.decay}",
        ]
        words += [
            f"batch {config.optim.batch_size}, crop {config.view.size}",
            f"engine {config.machine.engine}, seed {config.run.seed}",
        ]
    return "   \N{MIDDLE DOT}   ".join(words)


def _draw_loss(axes: Any, at: npt.NDArray[Any], steps: Sequence[StepRow], epochs: Sequence[EpochRow]) -> None:
    values = np.array([row.loss if row.applied else math.nan for row in steps])
    skipped = at[[not row.applied for row in steps]]
    window = window_of(len(values))
    few = "." if len(values) < 200 else ""
    axes.plot(at, values, few + "-", color=LOSS, linewidth=0.7, markersize=5, label="each step")
    axes.plot(at, smooth(values, window), color=MEAN, linewidth=1.6, label=f"median of {window} steps")
    means = [(row.epoch + 0.5, row.loss) for row in epochs if math.isfinite(row.loss)]
    if means:
        axes.plot(*zip(*means, strict=True), "o", color=MEAN, markersize=3.5, label="mean of an epoch")
    bottom = axes.get_xaxis_transform()  # x in epochs, y as a share of the axes' height
    if len(skipped):
        label = f"skipped: {len(skipped)}"
        axes.plot(skipped, np.full(len(skipped), 0.03), "x", color=SKIPPED, transform=bottom, label=label)
    finite = values[np.isfinite(values)]
    if len(finite):
        low, top = float(finite.min()), _top(finite)
        axes.set_ylim(low - 0.08 * (top - low) - 1e-6, top + 0.08 * (top - low) + 1e-6)
        beyond = at[np.nan_to_num(values, nan=low) > top]
        if len(beyond):
            label = f"beyond the axis: {len(beyond)}"
            axes.plot(beyond, np.full(len(beyond), 0.98), "^", color=LOSS, transform=bottom, label=label)
    axes.set_ylabel("training loss")
    axes.legend(loc="upper right", frameon=False, fontsize=9)


def _top(finite: npt.NDArray[np.float64]) -> float:
    """Return the upper end of the loss axis.

    This is the largest loss, or the 99 % quantile if outliers would squeeze the other losses into the lower quarter.
    """
    low, most, largest = float(finite.min()), float(np.quantile(finite, 0.99, method="higher")), float(finite.max())
    return largest if largest - low <= 4 * (most - low) else most


def _draw_score(axes: Any, scores: Sequence[tuple[int, float]], name: str, color: str) -> None:
    """Draw the scores of the validations, as (epoch from 0, score 0..1), on an axis scaled to their range."""
    scored = [(epoch + 1, 100 * score) for epoch, score in scores if math.isfinite(score)]
    axes.set_ylabel(f"validation {name}, %")
    if not scored:
        axes.text(0.5, 0.5, "not validated yet", transform=axes.transAxes, ha="center", va="center", color=MUTED)
        return
    axes.plot(*zip(*scored, strict=True), "o-", color=color, markersize=3)
    low, top = min(score for _, score in scored), max(score for _, score in scored)
    low = low if low > top / 2 else 0.0
    margin = 0.1 * (top - low) or 1.0
    axes.set_ylim(max(low - margin, 0), top + 2.5 * margin)
    done, best = max(scored, key=lambda one: one[1])
    text = f"best {best:.2f} %, after {done} epoch{'s' * (done != 1)} (epoch {done - 1} of the log)"
    align = "left" if done < sum(axes.get_xlim()) / 2 else "right"
    axes.annotate(text, (done, best), (0, 8), textcoords="offset points", ha=align, color=color)
