"""Score prediction files of any network against the labels of a split; no framework is needed.

::

    packed split ─truth─> labels, each person's own mask ─┐
                                                           ├─ one image, one thread ─> Scored ─in order─> Score
    folder ─submission─> labels, persons and their scores ─┘

Labels give pixAcc, mIoU and IoU per class (``mhpmodels.evaluation.metrics``); persons give AP^p and PCP at .1 ... .9
(``mhpmodels.persons.precision``), and AP^r, AP^h and COCO's AP (``mhpmodels.scoring.instances``). At source size,
predictions are compared with the annotations; at packed size, with the labels as packed and the persons' masks resized
by nearest neighbour.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import OptionError, PredictionError
from mhpdata.label_sets.meanings import Conversion
from mhpdata.options import Folder, ValProtocol, check_choice
from mhpdata.processes.threads import crew
from mhpdata.settings.caching import Reading
from mhpdata.storage.protocol import choose_images
from mhpdata.storage.split import Split, open_split
from mhpmodels.evaluation.metrics import Confusion
from mhpmodels.evaluation.results import NO_IMAGES
from mhpmodels.evaluation.truth import merged_labels, packed_labels, person_runs, true_persons
from mhpmodels.persons.masks import score_masks
from mhpmodels.persons.overlap import overlap
from mhpmodels.persons.precision import Claims, claim, rank, score_persons
from mhpmodels.scoring.boundary import BoundaryFigures, boundary_f
from mhpmodels.scoring.instances import (
    Instances,
    human_figures,
    human_instances,
    part_figures,
    part_instances,
    pool,
)
from mhpmodels.scoring.regions import region_instances
from mhpmodels.scoring.resample import PerImage
from mhpmodels.scoring.submission import Submission
from mhpmodels.scoring.table import SIZES, UNKNOWN, Row, Score

if TYPE_CHECKING:
    from typing_extensions import Unpack


@dataclass(frozen=True)
class Scored:
    """Results of one image."""

    row: Row
    confusion: Confusion | None
    pixels: NDArray[np.int64] | None
    claims: Claims | None
    parts: Instances | None
    humans: Instances | None


def score(
    folder: str | Folder,
    predictions: str | Path,
    split: str = "val",
    *,
    at: str = "source",
    unknown: str = "error",
    protocol: ValProtocol = "official",
    leak_free: bool = False,
    unseen: bool = False,
    to: Conversion | None = None,
    **reading: Unpack[Reading],
) -> Score:
    """Score a folder of predictions (mhp score).

    Args:
        folder: packed folder written by ``mhp pack``.
        predictions: folder in one of the forms of ``mhpmodels.scoring.submission``.
        split: name of the split.
        at: size of the predictions, at which they are compared: "source" or "packed".
        unknown: one of ``mhpmodels.scoring.table.UNKNOWN``: how to treat out-of-range predicted labels.
        protocol: val protocol, as for ``mhpdata.storage.protocol.choose_names``.
        leak_free: drop val images that also appear in test.
        unseen: drop images that also appear in a split used for training.
        to: table from the classes of the predictions to those of the data; None if they are the same.
        reading: threads, progress and cache, as ``Reading`` describes.

    Raises:
        OptionError: an argument is invalid, no image is left, or the split has no labels.
        PredictionError: predictions are missing, damaged, of the wrong size, or have out-of-range labels.
        PackedError: a record is damaged.
    """
    check_choice("at", at, SIZES)
    check_choice("unknown", unknown, UNKNOWN)
    opened = open_split(folder, split, cache=reading.get("cache"))
    try:
        chosen = choose_images(opened.manifest, split, protocol, leak_free, unseen)
        if not chosen.names:
            raise OptionError(f"{folder}, split {split}", "no images", "at least one", NO_IMAGES)
        submission = Submission(predictions, chosen.names, len(opened.classes), unknown, opened, to)
        confusion, images = Confusion(len(opened.classes)), []
        progress = reading.get("progress", False)
        with crew(len(chosen.indices), "images", reading.get("threads"), progress) as workers:
            for found in workers.each(partial(_score_one, opened, submission, at == "source"), chosen.indices):
                if found.confusion is not None:
                    confusion.merge(found.confusion)
                images.append(replace(found, confusion=None))
    finally:
        opened.close()
    per_image = _collect(images)
    return Score(
        form=submission.form,
        classes=opened.classes,
        split=split,
        at=at,
        unknown=unknown,
        protocol=protocol,
        leak_free=leak_free,
        unseen=unseen,
        seen=chosen.seen,
        confusion=confusion if submission.has_labels else None,
        persons=score_persons(per_image.persons) if per_image.persons is not None else None,
        parts=part_figures(per_image.parts) if per_image.parts is not None else None,
        humans=human_figures(per_image.humans) if per_image.humans is not None else None,
        rows=tuple(found.row for found in images),
        per_image=per_image,
        content=opened.manifest.content_id,
        to=to,
        masks=score_masks([image.claims for image in images if image.claims is not None])
        if per_image.persons is not None
        else None,
    )


def score_boundaries(folder: str | Path, predictions: str | Path, found: Score, **reading: Unpack[Reading]) -> Score:
    """Return a score with boundary F-scores (mhp score --boundary).

    Args:
        folder: packed folder.
        predictions: predictions that were scored.
        found: output of ``score``.
        reading: threads, progress and cache, as ``Reading`` describes.

    Raises:
        OptionError: the predictions have no label maps.
        PredictionError, PackedError: as for ``score``.
    """
    if found.confusion is None:
        remedy = "Omit --boundary, or add label maps, such as global_seg/."
        raise OptionError("boundary", f"{predictions} has no label maps", "predictions with label maps", remedy)
    opened = open_split(folder, found.split, cache=reading.get("cache"))
    try:
        names = [row.name for row in found.rows]
        submission = Submission(predictions, names, len(found.classes), found.unknown, opened, found.to)
        index = {name: i for i, name in enumerate(opened.names)}
        with crew(len(names), "images", reading.get("threads"), reading.get("progress", False)) as workers:
            score_image = partial(_score_boundary, opened, submission, found.at == "source")
            rows = list(workers.each(score_image, [index[name] for name in names]))
    finally:
        opened.close()
    figures = BoundaryFigures(np.stack(rows))
    return replace(found, boundary=figures, per_image=replace(found.per_image, boundary=figures.of_image))


def _score_boundary(split: Split, submission: Submission, at_source: bool, index: int) -> NDArray[np.float64]:
    record, place, file = split.record(index), split.place(index), split.file(index)
    if at_source:
        rule = str(split.manifest.options["overlap"])
        truth = merged_labels(person_runs(record, place, file), rule, record.source_size)
    else:
        truth = packed_labels(record, len(split.classes), place, file)
    return boundary_f(submission.labels(split.names[index], truth.shape), truth, len(split.classes))


def _collect(images: list[Scored]) -> PerImage:
    pixels = [image.pixels for image in images if image.pixels is not None]
    claims = [image.claims for image in images if image.claims is not None]
    parts = [image.parts for image in images if image.parts is not None]
    humans = [image.humans for image in images if image.humans is not None]
    return PerImage(
        pixels=np.stack(pixels) if pixels else None,
        persons=rank(claims) if claims else None,
        parts=pool(parts) if parts else None,
        humans=pool(humans) if humans else None,
    )


def _score_one(split: Split, submission: Submission, at_source: bool, index: int) -> Scored:
    """Score one image."""
    record, place, name = split.record(index), split.place(index), split.names[index]
    if record.runs is None:
        remedy = "Pass a --split with labels, such as val."
        raise OptionError(place, "no labels", "a split with labels", remedy)
    size, file = record.source_size if at_source else record.size, split.file(index)
    overlap_rule, classes = str(split.manifest.options["overlap"]), len(split.classes)
    confusion = pixels = claims = parts = humans = labels = None
    row, masks = Row(name, size[0], size[1]), person_runs(record, place, file)
    if submission.has_labels:
        truth = merged_labels(masks, overlap_rule, size) if at_source else packed_labels(record, classes, place, file)
        confusion = Confusion(classes)
        labels = submission.labels(name, size)
        confusion.update(labels, truth, missing=submission.unknown == "official")
        pixels = confusion.pixels
        row = row.with_labels(confusion)
    if submission.has_persons:
        scores, layers = submission.persons(name, size, labels)
        try:
            found = overlap(layers, true_persons(masks, record.source_size, size), classes)
        except PredictionError as error:
            where = submission.file_of_persons(name, [bool((layer.labels >= classes).any()) for layer in layers])
            raise error.at(where) from error
        claims = claim(scores, found)
        if not submission.files:
            parts, humans = part_instances(scores, found), human_instances(scores, found)
        row = row.with_persons(claims)
    draw_truth = partial(true_persons, masks, record.source_size, size)
    if "parts" in submission.files:
        parts = region_instances(submission.files["parts"], name, size, draw_truth, classes)
    if "persons" in submission.files:
        humans = region_instances(submission.files["persons"], name, size, draw_truth, classes)
    return Scored(row, confusion, pixels, claims, parts, humans)
