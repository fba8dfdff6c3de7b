"""A run as a picture: loss, scores and learning rate over the epochs, and the steps that were skipped.

In: the tables of a run's folder (``mhpmodels.training.tables``), of a run that is over or goes on. Out: uint8 (height,
width, 3) RGB, or that as a PNG. The same tables give the same bytes with the same library versions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mhpdata.errors import CheckpointError, MissingError
from mhpmodels.figures.page import INK, MUTED, Pixels
from mhpmodels.files.checkpoint import listing
from mhpmodels.files.output import check_out, write_file
from mhpmodels.files.png import encode_picture
from mhpmodels.training.tables import STEPS, EpochRow, StepRow, read_epochs, read_steps

SIZE = (1080, 1600)
"""Of the picture: (height, width)."""
LOSS, MEAN, MIOU, PIX_ACC, RATE, SKIPPED = "#a9c4e0", "#1f5fa8", "#1a7f4b", "#b07a16", "#6b4ea0", "#c8102e"
WINDOW = 51
"""Steps that the smooth curve of the loss takes the median of."""


def save_curves(folder: str | Path, out: str | Path, overwrite: bool = False) -> tuple[int, int]:
    """Write the picture of a run: what ``mhp-show --run`` calls.

    Args:
        folder: of the run.
        out: the picture, ``.png``; its folder must be there.
        overwrite: replace ``out``.

    Returns:
        Epochs and steps that it shows.

    Raises:
        CheckpointError: no run is in the folder.
        MissingError: Matplotlib is not installed.
        OutputError, OptionError: ``out`` is there already, or cannot be written.
    """
    folder, out = Path(folder), Path(out)
    check_out(out, overwrite, ".png")
    steps, epochs = read_steps(folder), read_epochs(folder)
    if not steps:
        remedy = "Run the same command again when mhp-train has done its first step, or name the folder of another run."
        raise CheckpointError(folder / STEPS, "has no step yet", "a row for each step of training", remedy)
    write_file(out, encode_picture(draw_curves(steps, epochs, _title(folder))), overwrite)
    return len(epochs), len(steps)


def draw_curves(steps: Sequence[StepRow], epochs: Sequence[EpochRow], title: str = "") -> Pixels:
    """The picture of a run: uint8 (1080, 1600, 3) RGB.

    Args:
        steps: at least one. epochs: those that are done.
        title: above it.
    """
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        remedy = "Run: pip install matplotlib."
        raise MissingError("matplotlib", f"cannot be imported ({error})", "", remedy) from error
    own = {key: value for key, value in matplotlib.rcParamsDefault.items() if not key.startswith("backend")}
    with matplotlib.rc_context(own):  # a user's own style changes nothing
        figure: Any = Figure(figsize=(SIZE[1] / 100, SIZE[0] / 100), dpi=100, facecolor="white", layout="constrained")
        canvas: Any = FigureCanvasAgg(figure)
        loss, score, rate = figure.subplots(3, 1, sharex=True, height_ratios=[5, 4, 2])
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK, parse_math=False)
        length = max(row.iteration for row in steps)
        at = np.array([row.epoch + row.iteration / length for row in steps])
        _draw_loss(loss, at, steps, epochs)
        _draw_scores(score, epochs)
        rate.plot(at, [row.rate for row in steps], color=RATE, linewidth=1.6)
        rate.set_ylabel("learning rate")
        rate.set_xlabel("epoch")
        rate.set_xlim(at[0] - 1 / length, max(at[-1], at[0] + 1 / length))
        for axes in (loss, score, rate):
            axes.grid(color="#e6e8eb", linewidth=0.8)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(colors=MUTED)
        figure.align_ylabels()
        canvas.draw()
        return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[:, :, :3])


def smooth(values: npt.NDArray[np.float64], window: int = WINDOW) -> npt.NDArray[np.float64]:
    """The median of each value's neighbours, ``window`` of them at most; NaN are passed over, and stay where all are.

    Args:
        values: float64 (n,). window: odd.
    """
    half = min(window, len(values)) // 2
    padded = np.concatenate([np.full(half, np.nan), values, np.full(half, np.nan)])
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    known = np.isfinite(around).any(1)
    found = np.full(len(values), np.nan)
    found[known] = np.nanmedian(np.where(np.isfinite(around[known]), around[known], np.nan), axis=1)
    return found


def _title(folder: Path) -> str:
    words = [folder.resolve().name]
    there = listing(folder)
    if there:
        config = there[-1].config
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
    finite = values[np.isfinite(values)]
    axes.plot(at, values, color=LOSS, linewidth=0.7, label="each step")
    axes.plot(at, smooth(values), color=MEAN, linewidth=1.6, label=f"median of {WINDOW} steps")
    means = [(row.epoch + 0.5, row.loss) for row in epochs if math.isfinite(row.loss)]
    if means:
        axes.plot(*zip(*means, strict=True), "o", color=MEAN, markersize=3.5, label="mean of an epoch")
    if len(skipped):
        bottom = axes.get_xaxis_transform()  # x in epochs, y as a share of the axes' height
        label = f"skipped: {len(skipped)}"
        axes.plot(skipped, np.full(len(skipped), 0.03), "x", color=SKIPPED, transform=bottom, label=label)
    if len(finite):
        top = float(np.quantile(finite, 0.995))
        low = float(finite.min())
        axes.set_ylim(low - 0.08 * (top - low) - 1e-6, top + 0.08 * (top - low) + 1e-6)
    axes.set_ylabel("training loss")
    axes.legend(loc="upper right", frameon=False, fontsize=9)


def _draw_scores(axes: Any, epochs: Sequence[EpochRow]) -> None:
    scored = [row for row in epochs if math.isfinite(row.miou)]
    axes.set_ylabel("validation, %")
    if not scored:
        axes.text(0.5, 0.5, "not validated yet", transform=axes.transAxes, ha="center", va="center", color=MUTED)
        return
    at = [row.epoch + 1 for row in scored]
    axes.plot(at, [100 * row.pix_acc for row in scored], "o-", color=PIX_ACC, markersize=3, label="pixAcc")
    axes.plot(at, [100 * row.miou for row in scored], "o-", color=MIOU, markersize=3, label="mIoU")
    best = max(scored, key=lambda row: row.miou)
    align = "left" if best.epoch + 1 < sum(axes.get_xlim()) / 2 else "right"
    text = f"best {100 * best.miou:.2f}, epoch {best.epoch}"
    axes.annotate(text, (best.epoch + 1, 100 * best.miou), (0, 8), textcoords="offset points", ha=align, color=MIOU)
    axes.set_ylim(0, 100)
    axes.legend(loc="upper left", frameon=False, fontsize=9)
