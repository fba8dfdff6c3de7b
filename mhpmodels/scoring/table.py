"""What scoring found: the figures of a set, a row an image; as text, JSON and CSV.

Imports nothing heavy: mhp-score takes its choices from here.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from mhpdata.wording import printable

if TYPE_CHECKING:
    from mhpmodels.evaluation.metrics import Confusion
    from mhpmodels.scoring.persons import Claims, PersonFigures

SIZES = ("source", "packed")
"""At which size predictions are compared."""

UNKNOWN = ("error", "official")
"""What a predicted label is that does not exist: an error; or what the code that defines a figure makes of it, a miss
in pixAcc and mIoU (GluonCV), another class of another person in AP^p and PCP (``mhpmodels.scoring.overlap``)."""


@dataclass(frozen=True)
class Row:
    """One image; None where the predictions do not say.

    Attributes:
        name: its id.
        height, width: at which it was compared.
        pix_acc: correct of the labelled pixels. mean_iou: over the classes that labels or prediction have.
        persons, predictions: true and predicted persons.
        found: true persons that a prediction claims with a mean IoU above .5.
        overlap: the mean, over the true persons, of the highest mean IoU that a prediction has with each.
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
        """The row, and what labels say."""
        present = confusion.iou[~confusion.absent]
        mean = float(present.mean()) if len(present) else None
        return replace(self, pix_acc=confusion.pix_acc if len(present) else None, mean_iou=mean)

    def with_persons(self, claims: Claims) -> Row:
        """The row, and what persons say."""
        persons = len(claims.covered)
        overlap = float(claims.covered.mean()) if persons else None
        return replace(self, persons=persons, predictions=len(claims.scores), found=claims.found(0.5), overlap=overlap)

    @property
    def merit(self) -> float:
        """What images are sorted by, the worst lowest: the mean IoU of labels or persons; 2 where there is neither."""
        known = [value for value in (self.mean_iou, self.overlap) if value is not None]
        return min(known, default=2.0)


@dataclass(frozen=True)
class Score:
    """The figures of a set.

    Attributes:
        form: of the predictions, of ``mhpmodels.scoring.submission.FORMS``.
        classes: the dataset's class names.
        split, at, unknown, protocol, leak_free, unseen: as asked for.
        seen: images that have a copy in a split that networks are trained on.
        confusion: of the labels; None where the predictions have none.
        persons: None where the predictions have no persons.
        rows: one an image, in the split's order.
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
    rows: tuple[Row, ...]

    def worst(self, count: int) -> tuple[str, ...]:
        """The names of the images with the least merit, the worst first; of equals the first of the split."""
        return tuple(row.name for row in sorted(self.rows, key=lambda row: row.merit)[:count])

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON takes them, without the rows."""
        taken = ("form", "split", "at", "unknown", "protocol", "leak_free", "unseen", "seen")
        found: dict[str, Any] = {"images": len(self.rows), **{name: getattr(self, name) for name in taken}}
        if self.confusion is not None:
            iou = dict(zip(self.classes, self.confusion.iou.tolist(), strict=True))
            found |= {"pixAcc": self.confusion.pix_acc, "mIoU": self.confusion.miou, "IoU": iou}
            found |= {"confusion": self.confusion.matrix.tolist(), "missed": self.confusion.missed.tolist()}
        if self.persons is not None:
            names = [f"{i / 10:.1f}" for i in range(1, 10)]
            found["AP^p"] = dict(zip(names, self.persons.ap.tolist(), strict=True))
            found["AP^p_vol"] = self.persons.ap_vol
            found["PCP"] = dict(zip(names, self.persons.pcp.tolist(), strict=True))
            found |= {"persons": self.persons.persons, "predictions": self.persons.predictions}
        return found

    def to_csv(self) -> str:
        """The rows as CSV, with a head."""
        text = io.StringIO()
        writer = csv.DictWriter(text, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(asdict, self.rows))
        return text.getvalue()


def table(score: Score) -> str:
    """The figures as text."""
    choice = f"protocol {score.protocol}" if score.split == "val" else ""
    facts = [f"{len(score.rows)} images of {score.split}", choice, "leak-free" * score.leak_free]
    facts += ["unseen" * score.unseen, f"predictions as {score.form}, at {score.at} size"]
    lines = [", ".join(fact for fact in facts if fact), ""]
    if score.confusion is not None:
        lines += [*label_lines(score.confusion, score.classes), ""]
    if score.persons is not None:
        lines += [*person_lines(score.persons), ""]
    if score.unknown != UNKNOWN[0]:
        lines.append("Predicted labels that do not exist were counted as the official code does: not as an error.")
    if score.seen:
        lines.append(
            f"{score.seen} of these images have a byte-identical copy in a split that networks are trained on;"
        )
        lines[-1] += " --unseen leaves them out."
    return "\n".join(map(printable, lines)).rstrip("\n")


def label_lines(confusion: Confusion, classes: Sequence[str]) -> list[str]:
    """The IoU of each class, pixAcc and mIoU as text."""
    lines, width = [], max(map(len, classes))
    for c, (name, iou) in enumerate(zip(classes, confusion.iou, strict=True)):
        lines.append(f"{c:3} {name:{width}} {iou:8.4f}" + "  absent, counts 0" * bool(confusion.absent[c]))
    return [*lines, "", f"pixAcc: {confusion.pix_acc:.4f}, mIoU: {confusion.miou:.4f}"]


def person_lines(persons: PersonFigures) -> list[str]:
    """AP^p and PCP at each threshold, and AP^p_vol, as text."""
    return [
        "t     " + "".join(f"{i / 10:8.1f}" for i in range(1, 10)),
        "AP^p  " + "".join(f"{value:8.4f}" for value in persons.ap),
        "PCP   " + "".join(f"{value:8.4f}" for value in persons.pcp),
        "",
        f"AP^p_vol: {persons.ap_vol:.4f}, {persons.persons} persons, {persons.predictions} predicted",
    ]
