"""Results of scoring, for the set and per image, as JSON and CSV.

mhp score takes its choices from this module, so it imports nothing heavy.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from mhpdata.label_sets.report import conversion_dict

if TYPE_CHECKING:
    from mhpdata.label_sets.meanings import Conversion
    from mhpmodels.evaluation.metrics import Confusion
    from mhpmodels.persons.masks import MaskFigures
    from mhpmodels.persons.precision import Claims, PersonFigures
    from mhpmodels.scoring.boundary import BoundaryFigures
    from mhpmodels.scoring.instances import InstanceFigures
    from mhpmodels.scoring.resample import PerImage

SIZES = ("source", "packed")
"""Sizes at which predictions are compared."""

UNKNOWN = ("error", "official")
"""How to treat out-of-range predicted labels: reject them, or count them as the official code of each metric does: as
misses in pixAcc and mIoU (GluonCV), as another class in AP^p and PCP (``mhpmodels.persons.overlap``)."""


@dataclass(frozen=True)
class Row:
    """Results of one image; values that the predictions do not provide are None.

    Attributes:
        name: name of the image.
        height: height at which it was compared, in pixels.
        width: width at which it was compared, in pixels.
        pix_acc: fraction of labelled pixels that are correct, 0..1.
        mean_iou: mean IoU over the classes in the labels or the prediction, 0..1.
        persons: number of true persons.
        predictions: number of predicted persons.
        found: number of true persons claimed by a prediction with a mean IoU above .5.
        overlap: mean over the true persons of the highest mean IoU with a prediction, 0..1.
    """

    name: str
    height: int
    width: int
    pix_acc: float | None = None
    mean_iou: float | None = None
    persons: int | None = None
    predictions: int | None = None
    found: int | None = None
    overlap: float | None = None

    def with_labels(self, confusion: Confusion) -> Row:
        """Return the row with the results for labels."""
        present = confusion.iou[~confusion.absent]
        mean = float(present.mean()) if len(present) else None
        return replace(self, pix_acc=confusion.pix_acc if len(present) else None, mean_iou=mean)

    def with_persons(self, claims: Claims) -> Row:
        """Return the row with the results for persons."""
        persons = len(claims.covered)
        overlap = float(claims.covered.mean()) if persons else None
        return replace(self, persons=persons, predictions=len(claims.scores), found=claims.found(0.5), overlap=overlap)

    @property
    def merit(self) -> float:
        """Sort key, lowest for the worst image: the lower mean IoU of labels and persons; 2 if there is neither."""
        known = [value for value in (self.mean_iou, self.overlap) if value is not None]
        return min(known, default=2.0)


@dataclass(frozen=True)
class Score:
    """Results for a set of images.

    Attributes:
        form: form of the predictions, one of ``mhpmodels.scoring.submission.FORMS``.
        classes: class names of the dataset.
        split: name of the split.
        at: one of SIZES.
        unknown: one of UNKNOWN.
        protocol: val protocol, "official" or "gluoncv".
        leak_free: whether val images that also appear in test were dropped.
        unseen: whether images that also appear in a training split were dropped.
        seen: number of images with a byte-identical copy in a split used for training.
        confusion: confusion matrix of the labels; None if the predictions have no labels.
        persons: AP^p and PCP; None if the predictions have no persons with labels.
        parts: AP^r and COCO's AP of parts; None if the predictions have no parts of persons.
        humans: AP^h and COCO's AP of persons; None if the predictions have no persons.
        rows: one row per image, in the order of the split.
        per_image: what the figures were computed from, for resampling.
        masks: AP and PQ of the persons' masks, whatever their classes; None where ``persons`` is.
        boundary: boundary F-scores; None if they were not asked for (``mhpmodels.scoring.boundary``).
        content: content id of the packed folder; None if its manifest has none.
        to: table from the classes of the predictions to those of the data; None if they are the same.
    """

    form: str
    classes: tuple[str, ...]
    split: str
    at: str
    unknown: str
    protocol: str
    leak_free: bool
    unseen: bool
    seen: int
    confusion: Confusion | None
    persons: PersonFigures | None
    parts: InstanceFigures | None
    humans: InstanceFigures | None
    rows: tuple[Row, ...]
    per_image: PerImage
    masks: MaskFigures | None = None
    boundary: BoundaryFigures | None = None
    content: str | None = None
    to: Conversion | None = None

    def worst(self, count: int) -> tuple[str, ...]:
        """Return the names of the ``count`` worst images, worst first; ties keep the order of the split."""
        return tuple(row.name for row in sorted(self.rows, key=lambda row: row.merit)[:count])

    def as_dict(self) -> dict[str, Any]:
        """Return the results as a dictionary for JSON, without the rows."""
        taken = ("form", "split", "at", "unknown", "protocol", "leak_free", "unseen", "seen", "content")
        found: dict[str, Any] = {"images": len(self.rows), **{name: getattr(self, name) for name in taken}}
        if self.confusion is not None:
            iou = dict(zip(self.classes, self.confusion.iou.tolist(), strict=True))
            found |= {"pixAcc": self.confusion.pix_acc, "mIoU": self.confusion.miou, "IoU": iou}
            found |= {"confusion": self.confusion.matrix.tolist(), "missed": self.confusion.missed.tolist()}
            found["mIoU_present"] = self.confusion.miou_present
        if self.to is not None:
            found["converted"] = conversion_dict(self.to)
        if self.boundary is not None:
            found |= self.boundary.as_dict(self.classes)
        if self.persons is not None:
            found |= self.persons.as_dict()
        if self.masks is not None:
            found |= self.masks.as_dict()
        if self.parts is not None:
            found |= _instances("AP^r", [f"{i / 10:.1f}" for i in range(1, 10)], self.parts)
            found |= {"AP^r_vol_present": number(self.parts.vol_present), "AP_coco_parts": _coco(self.parts)}
            by_class = zip(self.classes[1:], self.parts.ap.mean(axis=1).tolist(), strict=True)
            found["AP^r_of_class"] = {name: number(value) for name, value in by_class}
            coco = zip(self.classes[1:], self.parts.coco.mean(axis=(0, 1)).tolist(), strict=True)
            found["AP_coco_of_class"] = {name: number(value) for name, value in coco}
            found |= {"parts": int(self.parts.truths.sum()), "predicted_parts": int(self.parts.predictions.sum())}
        if self.humans is not None:
            found |= _instances("AP^h", [f"{i / 100:.2f}" for i in range(50, 100, 5)], self.humans)
            found["AP_coco_persons"] = _coco(self.humans)
        return found

    def to_csv(self) -> str:
        """Return the rows as CSV with a header."""
        text = io.StringIO()
        writer = csv.DictWriter(text, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(asdict, self.rows))
        return text.getvalue()


def number(value: float) -> float | None:
    """Return a number for JSON, which has no NaN: None for it."""
    return value if value == value else None


def _instances(name: str, keys: Sequence[str], found: InstanceFigures) -> dict[str, Any]:
    return {name: dict(zip(keys, found.mean.tolist(), strict=True)), f"{name}_vol": found.vol}


def _coco(found: InstanceFigures) -> dict[str, float | None]:
    values = {"AP": found.coco_ap(), "AP50": found.coco_ap(0), "AP75": found.coco_ap(5)}
    return {name: number(value) for name, value in values.items()}
