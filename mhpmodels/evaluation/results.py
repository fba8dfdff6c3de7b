"""What an evaluation found, and what it is a figure of: as text for people and as a dictionary for JSON.

Imports nothing heavy: mhp-eval takes its choices from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mhpdata.storage.protocol import EARLIER
from mhpdata.wording import printable

if TYPE_CHECKING:
    from mhpmodels.evaluation.metrics import Confusion

MODES = ("crop", "whole", "source")
"""The ways to look at an image; ``mhpmodels.evaluation.evaluate`` says what each is."""

RELEASE = (999, 998)
"""Images of protocol gluoncv in the full release, and without 3492.jpg, which does not decode."""

NO_IMAGES = "Pass another --split, or leave out --val-protocol, --leak-free and --unseen, which leave images out."
"""What to do about a split of which no image counts."""


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found, and what it is a figure of.

    Attributes:
        confusion: over all images.
        classes: the dataset's class names.
        outputs: channels of the network; a class beyond them is never predicted.
        split, mode, protocol, leak_free, unseen, multi_scale: as asked for.
        size: pixels of the crop, or of the short side.
        images: how many were scored.
        in_pieces: how many of them were too large for the network in one piece.
        seen: how many have a byte-identical copy in a split that a network is trained on.
        milliseconds: median time an image, from pixels to labels, decoding left out, the first batch left out.
    """

    confusion: Confusion
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

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON takes it."""
        found = {name: value for name, value in vars(self).items() if name != "confusion"}
        iou = dict(zip(self.classes, self.confusion.iou.tolist(), strict=True))
        absent = [name for name, absent in zip(self.classes, self.confusion.absent, strict=True) if absent]
        return {
            "pixAcc": self.confusion.pix_acc,
            "mIoU": self.confusion.miou,
            "IoU": iou,
            "absent": absent,
            "confusion": self.confusion.matrix.tolist(),
            **found,
        }


def table(evaluation: Evaluation) -> str:
    """An evaluation as text: what was scored, pixAcc and mIoU, and the IoU of each class."""
    found = evaluation
    what = {"crop": f"centre crops of {found.size} x {found.size}", "whole": f"whole images, short side {found.size}"}
    how = what.get(found.mode, f"at source size, logits from short side {found.size}")
    choice = f"protocol {found.protocol}" if found.split == "val" else ""
    facts = [
        f"{found.images} images of {found.split}",
        choice,
        "leak-free" * found.leak_free,
        "unseen" * found.unseen,
        how,
    ]
    lines = [", ".join(fact for fact in [*facts, "multi-scale" * found.multi_scale] if fact), ""]
    width = max(map(len, found.classes))
    absent = found.confusion.absent
    for c, (name, iou) in enumerate(zip(found.classes, found.confusion.iou, strict=True)):
        note = "  absent, counts 0" if absent[c] else "  the network has no output for it" if c >= found.outputs else ""
        lines.append(f"{c:3} {name:{width}} {iou:8.4f}{note}")
    lines += ["", f"pixAcc: {found.confusion.pix_acc:.4f}, mIoU: {found.confusion.miou:.4f}"]
    lines.append(f"{found.milliseconds:.2f} ms an image (median, from pixels to labels)")
    if found.protocol == "gluoncv" and found.split == "val" and found.images not in RELEASE:
        lines.append("This is not the whole val split of the release: GluonCV's published figures do not compare.")
    if found.in_pieces:
        lines.append(f"{found.in_pieces} images were too large for the network in one piece and scored in windows.")
    if found.seen:
        earlier = " or ".join(EARLIER[found.split])
        lines.append(f"{found.seen} of these images have a byte-identical copy in {earlier}: was the network trained")
        lines[-1] += " on them? mhp-train --leak-free leaves such copies out, --unseen these images."
    return "\n".join(map(printable, lines))
