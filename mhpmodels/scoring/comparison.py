"""Bootstrap intervals of a score, and differences between the scores of two predictions of the same images.

An interval holds the middle 95 % of the values of a figure on samples of the images (``mhpmodels.scoring.resample``):
it says how far the figure depends on which images were scored, not how far it depends on the training run. For two
predictions, the interval is that of the difference on the same samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import PredictionError
from mhpdata.options import check_range
from mhpdata.wording import counted, printable
from mhpmodels.scoring.resample import Key, draw, replicate
from mhpmodels.scoring.table import Score, number

SAMPLES = 1000
"""Default number of samples of a comparison."""
FEWEST_SAMPLES, MOST_SAMPLES = 100, 1_000_000
"""Limits of the number of samples. Of fewer, 2.5 % are at most two samples, so the ends of an interval are chance."""
MOST_SEED = 2**64 - 1
PERCENTILES = (2.5, 97.5)

Interval = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """A figure of one or two predictions; NaN for a figure that is undefined.

    Attributes:
        figure: its name in the JSON output, such as "mIoU".
        of: its class or threshold; "" if it has neither.
        value: its value.
        interval: 95 % interval of the value; None without samples.
        other: its value for the other prediction; None without one.
        change: 95 % interval of ``value - other``; None without samples or another prediction.
    """

    figure: str
    of: str
    value: float
    interval: Interval | None
    other: float | None = None
    change: Interval | None = None

    @property
    def difference(self) -> float:
        """``value - other``."""
        assert self.other is not None
        return self.value - self.other


@dataclass(frozen=True)
class Comparison:
    """The figures of a prediction, with intervals, beside those of another one if there is one.

    Attributes:
        pred: the prediction.
        against: the other prediction; None without one.
        images: number of images.
        samples: number of bootstrap samples, from 0.
        seed: seed of the samples.
        lines: one line per figure.
    """

    pred: str
    against: str | None
    images: int
    samples: int
    seed: int
    lines: tuple[Line, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the intervals, and the differences if there is another prediction, as JSON types."""
        found: dict[str, Any] = {}
        if self.samples:
            found["intervals"] = {"samples": self.samples, "seed": self.seed, "level": 0.95}
            found["intervals"]["figures"] = _nested((line, _ends(line.interval)) for line in self.lines)
        if self.against is not None:
            of_line = ((line, {**_numbers(line), "interval": _ends(line.change)}) for line in self.lines)
            found["against"] = {"pred": self.against, "figures": _nested(of_line)}
        return found

    def text(self) -> str:
        """Format the figures as an aligned table."""
        header, rows = self._cells()
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
            for row in (header, *rows)
        ]
        return "\n".join(map(printable, [*self._title(), "", *lines]))

    def markdown(self) -> str:
        """Format the figures as Markdown: a table of the whole set, and one for each figure that classes have."""
        lines = [*self._title(), ""]
        header, rows = self._cells()
        of_class = [line.figure if line.figure in OF_CLASSES else "" for line in self.lines]
        for group in dict.fromkeys(of_class):
            lines += [
                _row([SHOWN.get(group, group) or "figure", *header[1:]]),
                _row(["---", *["---:"] * (len(header) - 1)]),
            ]
            for line, row, its_group in zip(self.lines, rows, of_class, strict=True):
                if its_group == group:
                    lines.append(_row([line.of if group else row[0], *row[1:]]))
            lines.append("")
        return "\n".join(map(printable, lines)).rstrip("\n")

    def _title(self) -> list[str]:
        title = [f"{counted(self.images, 'image')} of {self.pred}"]
        if self.against is not None:
            title = [f"{counted(self.images, 'image')}; A: {self.pred}, B: {self.against}"]
        if self.samples:
            title[0] += f"; 95 % intervals from {self.samples} bootstrap samples of the images, seed {self.seed}"
        return title

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        header = ["figure", *(["value"] if self.against is None else ["A", "B", "A - B"])]
        header += ["95 % interval"] * bool(self.samples)
        rows = []
        for line in self.lines:
            row = [f"{SHOWN.get(line.figure, line.figure)} {line.of}".rstrip(), _shown(line.value)]
            if line.other is not None:
                row += [_shown(line.other), _shown(line.difference, "+")]
            ends = line.interval if self.against is None else line.change
            if ends is not None:
                sign = "" if self.against is None else "+"
                row.append(f"{_shown(ends[0], sign)} to {_shown(ends[1], sign)}" if ends[0] == ends[0] else "-")
            rows.append(row)
        return header, rows


OF_CLASSES = ("IoU", "boundary_F_of_class", "AP^r_of_class")
"""Figures that each class has."""

SHOWN = {
    "mIoU_present": "mIoU of present classes",
    "boundary_F": "boundary F",
    "boundary_F_of_class": "boundary F",
    "AP^r_vol_present": "AP^r_vol of present classes",
    "AP^r_of_class": "AP^r_vol",
}
"""Printed names of figures whose key in the JSON output is another one, as in the table of a score."""


def compare_scores(
    found: Score,
    other: Score | None = None,
    *,
    names: tuple[str, str] = ("pred", "against"),
    samples: int = SAMPLES,
    seed: int = 0,
    threads: int | None = None,
) -> Comparison:
    """Compute bootstrap intervals of a score, and of its difference to another score of the same images.

    Args:
        found: the score.
        other: score of another prediction, with the same images and options; figures that only one of the two has are
            left out.
        names: names of the predictions.
        samples: number of bootstrap samples, 100..1000000; 0 for no intervals.
        seed: seed of the samples, 0..2^64 - 1.
        threads: number of threads; None for one per core.

    Raises:
        OptionError: ``samples`` or ``seed`` is out of range.
        PredictionError: the two scores have no figure in common.
    """
    check_samples(samples, seed)
    scores = [found] if other is None else [found, other]
    assert len({tuple(row.name for row in score.rows) for score in scores}) == 1, "other images"
    weights = draw(len(found.rows), max(samples, 1), seed)
    sampled = [replicate(score.per_image, score.classes, weights, threads) for score in scores]
    keys = [key for key in sampled[0] if key in sampled[-1]]
    if not keys:
        remedy = "Compare label maps with label maps, or persons with persons."
        raise PredictionError(names[1], "no figure in common", f"predictions of the kind of {names[0]}", remedy)
    values = [_values(score, keys) for score in scores]
    lines = []
    for key in sorted(keys, key=lambda key: key[0] in OF_CLASSES):
        interval = _interval(sampled[0][key]) if samples else None
        line = Line(*key, values[0][key], interval)
        if other is not None:
            change = _interval(sampled[0][key] - sampled[1][key]) if samples else None
            line = Line(*key, values[0][key], interval, values[1][key], change)
        lines.append(line)
    against = None if other is None else names[1]
    return Comparison(names[0], against, len(found.rows), samples, seed, tuple(lines))


def check_samples(samples: int, seed: int) -> None:
    """Raise OptionError unless the number of bootstrap samples and their seed are valid."""
    if samples != 0:
        check_range("bootstrap", samples, FEWEST_SAMPLES, MOST_SAMPLES, also="0 for no intervals, or ")
    check_range("seed", seed, 0, MOST_SEED)


def _values(score: Score, keys: Sequence[Key]) -> dict[Key, float]:
    """Return the figures of a score as in its JSON output; NaN for None."""
    content = score.as_dict()
    found = {(name, of): content[name][of] if of else content[name] for name, of in keys}
    return {key: float("nan") if value is None else value for key, value in found.items()}


def _interval(values: NDArray[np.float64]) -> Interval:
    """Return the percentiles of the samples in which a figure is defined; NaN if there are none."""
    known = values[~np.isnan(values)]
    low, high = np.percentile(known, PERCENTILES) if known.size else (np.nan, np.nan)
    return float(low), float(high)


def _nested(lines: Iterator[tuple[Line, Any]]) -> dict[str, Any]:
    """Return {figure: content}, or {figure: {class or threshold: content}}."""
    found: dict[str, Any] = {}
    for line, content in lines:
        if line.of:
            found.setdefault(line.figure, {})[line.of] = content
        else:
            found[line.figure] = content
    return found


def _ends(interval: Interval | None) -> list[float | None] | None:
    return None if interval is None else [number(end) for end in interval]


def _numbers(line: Line) -> dict[str, float | None]:
    assert line.other is not None
    values = {"value": line.value, "other": line.other, "difference": line.difference}
    return {name: number(value) for name, value in values.items()}


def _shown(value: float, sign: str = "") -> str:
    return f"{value:{sign}.4f}" if value == value else "-"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("\\", "\\\\").replace("|", "\\|") for cell in cells) + " |"
