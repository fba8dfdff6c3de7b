"""Score prediction files of any network against the labels of a split; no framework is needed.

::

    packed split ─truth─> labels, each person's own mask ─┐
                                                           ├─ one image, one thread ─> Scored ─in order─> Score
    folder ─submission─> labels, persons and their scores ─┘

Labels give pixAcc, mIoU and IoU per class (``mhpmodels.evaluation.metrics``); persons give AP^p and PCP at .1 ... .9
(``mhpmodels.scoring.persons``), and AP^r, AP^h and COCO's AP (``mhpmodels.scoring.instances``). At source size,
predictions are compared with the annotations; at packed size, with the labels as packed and the persons' masks resized
by nearest neighbour.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mhpdata.errors import OptionError, PredictionError
from mhpdata.options import Folder, ValProtocol, check_choice
from mhpdata.settings.caching import Reading
from mhpdata.storage.protocol import choose_images
from mhpdata.storage.split import Split, open_split
from mhpdata.threads import crew
from mhpmodels.evaluation.metrics import Confusion
from mhpmodels.evaluation.results import NO_IMAGES
from mhpmodels.evaluation.truth import merged_labels, packed_labels, person_runs, true_persons
from mhpmodels.scoring.instances import (
    InstanceFigures,
    Instances,
    human_figures,
    human_instances,
    part_figures,
    part_instances,
    pool,
)
from mhpmodels.scoring.overlap import overlap
from mhpmodels.scoring.persons import Claims, PersonFigures, claim, score_persons
from mhpmodels.scoring.submission import Submission
from mhpmodels.scoring.table import SIZES, UNKNOWN, Row, Score

if TYPE_CHECKING:
    from typing_extensions import Unpack


@dataclass(frozen=True)
class Scored:
    """Results of one image."""

    row: Row
    confusion: Confusion | None
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
        submission = Submission(predictions, chosen.names, len(opened.classes), unknown)
        confusion, images = Confusion(len(opened.classes)), []
        progress = reading.get("progress", False)
        with crew(len(chosen.indices), "images", reading.get("threads"), progress) as workers:
            for found in workers.each(partial(_score_one, opened, submission, at == "source"), chosen.indices):
                if found.confusion is not None:
                    confusion.merge(found.confusion)
                images.append(found)
    finally:
        opened.close()
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
        persons=_figures(images) if submission.has_persons else None,
        parts=_part_figures(images),
        humans=_human_figures(images),
        rows=tuple(found.row for found in images),
    )


def _figures(images: list[Scored]) -> PersonFigures:
    return score_persons([found.claims for found in images if found.claims is not None])


def _part_figures(images: list[Scored]) -> InstanceFigures | None:
    found = [image.parts for image in images if image.parts is not None]
    return part_figures(pool(found)) if found else None


def _human_figures(images: list[Scored]) -> InstanceFigures | None:
    found = [image.humans for image in images if image.humans is not None]
    return human_figures(pool(found)) if found else None


def _score_one(split: Split, submission: Submission, at_source: bool, index: int) -> Scored:
    """Score one image."""
    record, place, name = split.record(index), split.place(index), split.names[index]
    if record.runs is None:
        remedy = "Pass a --split with labels, such as val."
        raise OptionError(place, "no labels", "a split with labels", remedy)
    size, file = record.source_size if at_source else record.size, split.file(index)
    overlap_rule, classes = str(split.manifest.options["overlap"]), len(split.classes)
    confusion = claims = parts = humans = labels = None
    row, masks = Row(name, size[0], size[1]), person_runs(record, place, file)
    if submission.has_labels:
        truth = merged_labels(masks, overlap_rule, size) if at_source else packed_labels(record, classes, place, file)
        confusion = Confusion(classes)
        labels = submission.labels(name, size)
        confusion.update(labels, truth, missing=submission.unknown == "official")
        row = row.with_labels(confusion)
    if submission.has_persons:
        scores, layers = submission.persons(name, size, labels)
        try:
            found = overlap(layers, true_persons(masks, record.source_size, size), classes)
        except PredictionError as error:
            where = submission.file_of_persons(name, [bool((layer.labels >= classes).any()) for layer in layers])
            raise error.at(where) from error
        claims, parts, humans = claim(scores, found), part_instances(scores, found), human_instances(scores, found)
        row = row.with_persons(claims)
    return Scored(row, confusion, claims, parts, humans)
