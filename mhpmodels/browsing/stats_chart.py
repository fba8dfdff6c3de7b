"""Draw what ``mhp stats`` counts: classes, persons, sizes, overlaps and duplicates, one colour per split.

Out: uint8 (height, width, 3) RGB, or that as a PNG.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mhpdata.options import check_path
from mhpdata.terms import licence_line
from mhpdata.wording import printable
from mhpmodels.browsing.stats import SplitStats, Stats
from mhpmodels.figures.charts import draw_chart, quiet
from mhpmodels.figures.page import INK, MUTED
from mhpmodels.files.output import check_out, write_file
from mhpmodels.files.png import encode_picture

SPLIT_COLORS = ("#1f5fa8", "#d9822b", "#1a7f4b", "#6b4ea0", "#8a8f98")
WIDTH = 16.0
"""Width of the figure in inches of 100 pixels."""
BINS = 40


def save_stats(stats: Stats, out: str | Path, overwrite: bool = False) -> Path:
    """Write the chart of some counts.

    Args:
        stats: the counts.
        out: file to write, ``.png``; its folder must exist.
        overwrite: replace ``out`` if it exists.

    Raises:
        MissingError: Matplotlib is not installed.
        OutputError, OptionError: ``out`` exists, cannot be written, or does not end with ``.png``.
    """
    path = check_stats_out(out, overwrite)
    write_file(path, encode_picture(draw_chart(lambda: stats_figure(stats))), overwrite)
    return path


def check_stats_out(out: str | Path, overwrite: bool) -> Path:
    """Check before the records are read that the chart may be written. Raises OutputError and OptionError."""
    path = check_path("out", out)
    check_out(path, overwrite, ".png")
    return path


def stats_figure(stats: Stats) -> Any:
    """Return the Matplotlib figure: classes on the left, six small charts on the right."""
    from matplotlib.figure import Figure

    classes = stats.manifest.classes
    height = max(9.0, 2.2 + 0.27 * len(classes))
    figure: Any = Figure(figsize=(WIDTH, height), dpi=100, facecolor="white", layout="constrained")
    title = f"{stats.place}   \N{MIDDLE DOT}   {stats.manifest.layout}   \N{MIDDLE DOT}   "
    title += ", ".join(f"{name} {split.images:,}" for name, split in stats.splits.items())
    figure.suptitle(printable(title), x=0.01, ha="left", fontsize=13, color=INK, parse_math=False)
    figure.supxlabel(
        printable(licence_line(stats.manifest.licence)), x=0.01, ha="left", fontsize=9, color=MUTED, parse_math=False
    )
    grid = figure.add_gridspec(3, 4)
    pixels, images = (figure.add_subplot(grid[:, column]) for column in (0, 1))
    _classes(pixels, stats, lambda split: split.class_pixels[: len(classes)] / max(split.class_pixels[:255].sum(), 1))
    _classes(images, stats, lambda split: split.class_images[: len(classes)] / max(split.labelled, 1))
    pixels.set_title("pixels of each class, %", fontsize=10, color=INK)
    if any(split.class_pixels[: len(classes)].any() for split in stats.splits.values()):
        pixels.set_xscale("log")  # which Matplotlib warns of if all values are zero
    pixels.set_yticks(range(len(classes)), [printable(name) for name in classes], fontsize=9, parse_math=False)
    images.set_title("images with the class, %", fontsize=10, color=INK)
    images.set_yticks(range(len(classes)), [""] * len(classes))
    pixels.legend(frameon=False, fontsize=9, loc="lower right")
    right = [figure.add_subplot(grid[row, column]) for row in range(3) for column in (2, 3)]
    _per_image(right[0], stats)
    _histogram(right[1], stats, "height of a person, px", lambda split: split.person_heights)
    _histogram(right[2], stats, "height of an image, px", lambda split: split.heights)
    _histogram(right[3], stats, "width of an image, px", lambda split: split.widths)
    _histogram(right[4], stats, "a person's share of the image, %", lambda split: split.person_shares, 1e-4)
    _overlaps(right[5], stats)
    for axes in (pixels, images, *right):
        quiet(axes)
    return figure


def _classes(axes: Any, stats: Stats, share: Callable[[SplitStats], Any]) -> None:
    count, splits = len(stats.manifest.classes), list(stats.splits.items())
    thick = 0.8 / max(len(splits), 1)
    for k, (name, split) in enumerate(splits):
        at = np.arange(count) + (k - (len(splits) - 1) / 2) * thick
        axes.barh(at, 100 * share(split), thick, color=_color(k), label=name)
    axes.set_ylim(count - 0.4, -0.6)


def _per_image(axes: Any, stats: Stats) -> None:
    most = max((max(split.per_image, default=0) for split in stats.splits.values()), default=0)
    _bars(axes, stats, [str(n) for n in range(most + 1)], lambda s: [s.per_image[n] for n in range(most + 1)])
    axes.set_title("persons per image, % of images", fontsize=10, color=INK)
    step = most // 12 + 1
    axes.set_xticks(range(0, most + 1, step), [str(n) for n in range(0, most + 1, step)])


def _overlaps(axes: Any, stats: Stats) -> None:
    def counts(split: SplitStats) -> list[int]:
        return [split.overlapping_images, split.images - split.overlapping_images]

    _bars(axes, stats, ["overlapping", "none"], counts)
    copies = stats.duplicates
    shared = [f"{pair}: {count}" for pair, count in copies["between"].items() if count]
    text = f"groups of identical images: {copies['groups']}" + "".join(f"\n{line}" for line in shared)
    axes.set_title("overlapping persons, % of images", fontsize=10, color=INK)
    axes.set_xlabel(text, fontsize=9, color=MUTED, parse_math=False)


def _bars(axes: Any, stats: Stats, ticks: Sequence[str], counts: Callable[[SplitStats], Sequence[int]]) -> None:
    thick = 0.8 / max(len(stats.splits), 1)
    for k, split in enumerate(stats.splits.values()):
        values = np.array(counts(split), float)
        at = np.arange(len(ticks)) + (k - (len(stats.splits) - 1) / 2) * thick
        axes.bar(at, 100 * values / max(values.sum(), 1), thick, color=_color(k))
    axes.set_xticks(range(len(ticks)), ticks)


def _histogram(
    axes: Any, stats: Stats, title: str, values: Callable[[SplitStats], array[int]], scale: float = 1.0
) -> None:
    """Draw the shares of values per bin; bins end at the 99 % quantile, so that single outliers do not squeeze them."""
    axes.set_title(title, fontsize=10, color=INK)
    found = [scale * np.array(values(split), float) for split in stats.splits.values()]
    everything = np.concatenate(found) if found else np.zeros(0)
    if not everything.size:
        return
    edges = np.linspace(everything.min(), max(np.quantile(everything, 0.99), everything.min() + scale), BINS + 1)
    for k, one in enumerate(found):
        if one.size:
            axes.stairs(100 * np.histogram(np.minimum(one, edges[-1]), edges)[0] / one.size, edges, color=_color(k))
    axes.set_ylim(bottom=0)


def _color(split: int) -> str:
    return SPLIT_COLORS[split % len(SPLIT_COLORS)]
