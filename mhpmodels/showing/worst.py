"""Draw the worst predictions of a split, one row per image: image, labels, prediction, and the wrong pixels.

In: a ``mhpdata.Split`` and a ``Submission``. Out: uint8 (height, 1840, 3) RGB.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import PredictionError
from mhpdata.labels import IGNORE
from mhpdata.storage.split import Split, open_split
from mhpdata.terms import licence_line
from mhpdata.wording import counted
from mhpmodels.evaluation.truth import labels_of_size
from mhpmodels.figures.colours import picture_palette
from mhpmodels.figures.legend import draw_legend, present_classes
from mhpmodels.figures.page import LINE, MARGIN, MUTED, WIDTH, Page
from mhpmodels.figures.panels import CONFLICTING, column_left, panel_size, photo_panel, pick
from mhpmodels.files.png import encode_picture
from mhpmodels.scoring.regions import label_map
from mhpmodels.scoring.submission import Submission
from mhpmodels.scoring.table import Score

Pixels = NDArray[np.uint8]

HEADINGS = ("Image", "Labels", "Prediction", "Wrong")


def picture_of_the_worst(folder: str | Path, predictions: str | Path, result: Score, count: int) -> bytes:
    """Return a PNG of the images with the lowest scores.

    Args:
        folder: packed folder that was scored.
        predictions: folder of predictions that were scored.
        result: output of ``score``.
        count: number of images, 1..64.

    Raises:
        MissingError: Matplotlib is not installed.
        PackedError, PredictionError: as for ``score``.
    """
    opened = open_split(folder, result.split)
    try:
        names = [row.name for row in result.rows]
        submission = Submission(predictions, names, len(result.classes), result.unknown, opened, result.to)
        picture = draw_worst(opened, submission, result, count)
    finally:
        opened.close()
    return encode_picture(picture)


def draw_worst(split: Split, submission: Submission, score: Score, count: int) -> Pixels:
    """Draw the worst images of a score, one row each, the worst first.

    Args:
        split: the split that was scored, open.
        submission: the predictions that were scored.
        score: output of ``score``.
        count: number of images; more than 64 count as 64, because the height of a figure is limited.

    Returns:
        uint8 (height, 1840, 3) RGB.

    Raises:
        MissingError: Matplotlib is not installed.
        PredictionError, PackedError: as for ``score``.
    """
    page = Page()
    palette = picture_palette(split.manifest.labels)
    rows = {row.name: row for row in score.rows}
    worst = score.worst(min(count, 64))
    which = "worst" if len(worst) == 1 else f"{len(worst)} worst"
    page.text(MARGIN, f"The {which} of {counted(len(rows), 'image')} of {split.name}", 30, bold=True)
    page.down(46)
    page.text(MARGIN, f"By mean IoU. {licence_line(split.manifest.licence)}", 15, MUTED)
    page.down(34)
    for column, heading in enumerate(HEADINGS):
        page.text(column_left(column), heading, 19, bold=True)
    page.down(34)
    for name in worst:
        index = split.names.index(name)
        row = rows[name]
        figures = {"mean IoU": row.mean_iou, "pixAcc": row.pix_acc, "IoU of persons": row.overlap}
        text = [f"{what} {value:.3f}" for what, value in figures.items() if value is not None]
        text += [f"{row.found} of {counted(row.persons or 0, 'person')} found, {row.predictions} predicted"] * (
            row.found is not None
        )
        page.image(MARGIN, np.full((1, WIDTH - 2 * MARGIN, 3), LINE, np.uint8), frame=0)
        page.down(14)
        page.text(MARGIN, name, 17, bold=True)
        page.text(MARGIN + page.width(name, 17, bold=True) + 26, ", ".join(text), 17, MUTED)
        page.down(32)
        present, panels = _panels(split, submission, index, (row.height, row.width), palette)
        for column, panel in enumerate(panels):
            page.image(column_left(column), panel)
        page.down(panels[0].shape[0] + 8)
        draw_legend(page, present, split.classes, palette)
        page.down(4)
    return page.picture(page.y + MARGIN)


def _panels(
    split: Split, submission: Submission, index: int, size: tuple[int, int], palette: Pixels
) -> tuple[tuple[int, ...], list[Pixels]]:
    """Return the labels that occur, and the four panels of a row, each uint8 (h, w, 3) RGB."""
    sample = split[index]
    overlap, place = str(split.manifest.options["overlap"]), split.place(index)
    truth = labels_of_size(sample, size, overlap, place, split.file(index))
    assert truth is not None
    predicted = _predicted(submission, sample.name, size)
    small = panel_size(*size)
    image = photo_panel(sample.image, small)
    shown, labels = pick(predicted, small), pick(truth, small)
    wrong = image // 3 + 150
    wrong[(shown != labels) & (labels != IGNORE)] = CONFLICTING
    shown[shown >= len(split.classes)] = IGNORE  # an out-of-range label has no colour and no name
    return present_classes(np.concatenate([shown, labels])), [image, palette[labels], palette[shown], wrong]


def _predicted(submission: Submission, name: str, size: tuple[int, int]) -> Pixels:
    """Return the predicted labels, uint8 (height, width); of predictions by person, the first person is in front."""
    if submission.has_labels:
        return submission.labels(name, size)
    if not submission.has_persons:
        if "parts" not in submission.files:
            found, remedy = "no labels of pixels", "Omit --worst, or add parts.json."
            raise PredictionError(submission.folder, found, "label maps, persons with labels, or parts", remedy)
        return label_map(submission.files["parts"], name, size)
    labels = np.zeros(size, np.uint8)
    for layer in submission.persons(name, size)[1]:
        labels = np.where(labels == 0, layer.labels, labels)
    return labels
