"""Results of an evaluation, with the settings they depend on, as text and as a dictionary for JSON.

mhp eval takes its choices from this module, so it imports nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mhpdata.label_sets.naming import conversion_lines
from mhpdata.label_sets.report import conversion_dict
from mhpdata.storage.protocol import EARLIER
from mhpdata.wording import counted, has, printable

if TYPE_CHECKING:
    from mhpdata.label_sets.meanings import Conversion
    from mhpmodels.evaluation.metrics import Confusion
    from mhpmodels.persons.masks import MaskFigures
    from mhpmodels.persons.precision import PersonFigures

MODES = ("crop", "whole", "source")
"""Evaluation modes, described in ``mhpmodels.evaluation.evaluate``."""

RELEASE = (999, 998)
"""Number of images in protocol gluoncv: the full release, and without 3492.jpg, which cannot be decoded."""

NO_IMAGES = "Pass another --split, or omit --val-protocol, --leak-free and --unseen, which exclude images."
"""Remedy for a split without images after filtering."""


@dataclass(frozen=True)
class Evaluation:
    """Results of an evaluation, with the settings they depend on.

    Attributes:
        confusion: confusion matrix over all images.
        persons: AP^p and PCP; None for a network without heads of persons.
        masks: AP and PQ of the persons' masks; None likewise.
        classes: class names of the dataset.
        outputs: number of the network's output channels; classes beyond it are never predicted.
        split: name of the split.
        mode: one of MODES.
        protocol: val protocol, "official" or "gluoncv".
        leak_free: whether val images that also appear in test were dropped.
        unseen: whether images that also appear in a training split were dropped.
        multi_scale: whether predictions were averaged over several scales.
        size: side of the crop, or short side of the image, in pixels; 0 if images keep their size.
        images: number of images scored.
        in_pieces: number of images that were too large for the network in one piece.
        seen: number of images with a byte-identical copy in a split used for training.
        milliseconds: median time per image from pixels to labels, without decoding and without the first batch.
        to: table from the network's classes to those of the data; None if they are the same.
    """

    confusion: Confusion
    persons: PersonFigures | None
    masks: MaskFigures | None
    classes: tuple[str, ...]
    outputs: int
    split: str
    mode: str
    protocol: str
    leak_free: bool
    unseen: bool
    multi_scale: bool
    size: int
    images: int
    in_pieces: int
    seen: int
    milliseconds: float
    to: Conversion | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the results as a dictionary for JSON."""
        apart = ("confusion", "persons", "masks", "to")
        found = {name: value for name, value in vars(self).items() if name not in apart}
        iou = dict(zip(self.classes, self.confusion.iou.tolist(), strict=True))
        absent = [name for name, absent in zip(self.classes, self.confusion.absent, strict=True) if absent]
        return {
            "pixAcc": self.confusion.pix_acc,
            "mIoU": self.confusion.miou,
            "IoU": iou,
            "absent": absent,
            "confusion": self.confusion.matrix.tolist(),
            **found,
            **({} if self.persons is None else self.persons.as_dict()),
            **({} if self.masks is None else self.masks.as_dict()),
            **({} if self.to is None else {"converted": self._converted()}),
        }

    def _converted(self) -> dict[str, Any]:
        assert self.to is not None
        return {**conversion_dict(self.to), "mIoU_predicted": self.miou_predicted}

    @property
    def miou_predicted(self) -> float:
        """mIoU over the classes that the network can predict."""
        empty = set() if self.to is None else set(self.to.empty)
        kept = [iou for name, iou in zip(self.classes, self.confusion.iou.tolist(), strict=True) if name not in empty]
        return float(sum(kept) / len(kept))


def table(evaluation: Evaluation) -> str:
    """Format an evaluation as text: what was scored, IoU per class, pixAcc and mIoU."""
    found = evaluation
    what = {"crop": f"centre crops of {found.size} x {found.size}", "whole": f"whole images, short side {found.size}"}
    how = what.get(found.mode, f"at source size, logits from short side {found.size}")
    if not found.size:
        how = "at source size, logits from the network's own input size"
    choice = f"protocol {found.protocol}" if found.split == "val" else ""
    facts = [
        f"{counted(found.images, 'image')} of {found.split}",
        choice,
        "leak-free" * found.leak_free,
        "unseen" * found.unseen,
        how,
    ]
    lines = [", ".join(fact for fact in [*facts, "multi-scale" * found.multi_scale] if fact), ""]
    width = max(map(len, found.classes))
    absent, empty = found.confusion.absent, () if found.to is None else found.to.empty
    for c, (name, iou) in enumerate(zip(found.classes, found.confusion.iou, strict=True)):
        none = name in empty if found.to is not None else c >= found.outputs
        note = "  absent, counts 0" if absent[c] else "  no network output" if none else ""
        lines.append(f"{c:3} {name:{width}} {iou:8.4f}{note}")
    lines += ["", f"pixAcc: {found.confusion.pix_acc:.4f}, mIoU: {found.confusion.miou:.4f}"]
    if found.to is not None:
        count = len(found.classes) - len(empty)
        lines += [f"mIoU of the {count} classes that the network predicts: {found.miou_predicted:.4f}", ""]
        lines += conversion_lines(found.to)
    if found.persons is not None and found.masks is not None:
        lines += ["", *found.persons.lines(), *found.masks.lines(), ""]
    lines.append(f"{found.milliseconds:.2f} ms per image (median, from pixels to labels)")
    if found.protocol == "gluoncv" and found.split == "val" and found.images not in RELEASE:
        lines.append("Not the full val split of the release: not comparable with GluonCV's published results.")
    if found.in_pieces:
        were = counted(found.in_pieces, "image was", "images were")
        lines.append(f"{were} too large for the network in one piece, and scored in windows.")
    if found.seen:
        earlier = " or ".join(EARLIER[found.split])
        lines.append(
            f"{found.seen} of these images {has(found.seen)} a byte-identical copy in {earlier}. If the network was"
        )
        lines[-1] += " trained on them, train with mhp train --leak-free or evaluate with --unseen."
    return "\n".join(map(printable, lines))
