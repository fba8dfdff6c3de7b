"""The printed forms of a score: text for a terminal, Markdown to paste, and JSON.

Each says which images were compared and how, and ends with the content id: figures without them compare with nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mhpdata import __version__
from mhpdata.label_sets.naming import conversion_lines
from mhpdata.wording import counted, has, printable
from mhpmodels.scoring.table import UNKNOWN, Score

if TYPE_CHECKING:
    from mhpmodels.evaluation.metrics import Confusion
    from mhpmodels.scoring.comparison import Comparison
    from mhpmodels.scoring.instances import InstanceFigures


def text(score: Score, compared: Comparison | None = None, data: str = "") -> str:
    """Format a score as text, as mhp score prints it.

    Args:
        score: results of ``mhpmodels.scoring.score.score``.
        compared: its intervals, or its differences to another score.
        data: packed folder that was scored, to name its content id.
    """
    lines = [table(score), *_content(score, data)]
    return "\n".join(lines + (["", compared.text()] if compared is not None else []))


def markdown(score: Score, compared: Comparison, data: str = "") -> str:
    """Format a score as Markdown; arguments as for ``text``."""
    ends = [*map(printable, notes(score)), *_content(score, data)]
    return "\n\n".join([printable(header(score)), compared.markdown(), *ends])


def json_text(score: Score, compared: Comparison | None = None) -> str:
    """Format a score as JSON, with the version of mhp; each row of a matrix is one line."""
    found: dict[str, Any] = {"mhp": __version__, **score.as_dict()}
    lines = json.dumps(found | (compared.as_dict() if compared is not None else {}), indent=1)
    # JSON's strings have no line ends, so this matches lists of numbers only
    return re.sub(r'\[\n([^"\[\]{}]*)\n *\]', lambda found: f"[{' '.join(found[1].split())}]", lines)


def _content(score: Score, data: str) -> list[str]:
    return [printable(f"content of {data}: {score.content}")] if score.content and data else []


def header(score: Score) -> str:
    """Return the line that says which images were compared, and how."""
    choice = f"protocol {score.protocol}" if score.split == "val" else ""
    facts = [f"{counted(len(score.rows), 'image')} of {score.split}", choice, "leak-free" * score.leak_free]
    facts += ["unseen" * score.unseen, f"predictions as {score.form}, at {score.at} size"]
    return ", ".join(fact for fact in facts if fact)


def notes(score: Score) -> list[str]:
    """Return lines about the figures: converted classes, labels counted as official code does, images seen before."""
    lines = conversion_lines(score.to) if score.to is not None else []
    if score.unknown != UNKNOWN[0]:
        lines.append("Out-of-range predicted labels were counted as the official code does, not rejected.")
    if score.seen:
        images = f"{score.seen} of these images {has(score.seen)} a byte-identical copy in a split used for training;"
        lines.append(f"{images} --unseen drops them.")
    return lines


def table(score: Score) -> str:
    """Format the figures of a score as text, between ``header`` and ``notes``.

    Args:
        score: results of ``mhpmodels.scoring.score.score``.
    """
    lines = [header(score), ""]
    if score.confusion is not None:
        absent = int(score.confusion.absent.sum())
        lines += label_lines(score.confusion, score.classes)
        lines += [
            f"mIoU over the {counted(len(score.classes) - absent, 'class', 'classes')} present: "
            f"{score.confusion.miou_present:.4f}",
            "",
        ]
    if score.boundary is not None:
        lines += [*score.boundary.lines(score.classes), ""]
    if score.persons is not None:
        lines += [*score.persons.lines(), ""]
    if score.masks is not None:
        lines += [*score.masks.lines(), ""]
    if score.parts is not None:
        lines += [*part_lines(score.parts, score.classes), ""]
    if score.humans is not None:
        lines += [*human_lines(score.humans), ""]
    return "\n".join(map(printable, [*lines, *notes(score)])).rstrip("\n")


def label_lines(confusion: Confusion, classes: Sequence[str]) -> list[str]:
    """Return IoU per class, pixAcc and mIoU as lines of text."""
    lines, width = [], max(map(len, classes))
    for c, (name, iou) in enumerate(zip(classes, confusion.iou, strict=True)):
        lines.append(f"{c:3} {name:{width}} {iou:8.4f}" + "  absent, counts 0" * bool(confusion.absent[c]))
    return [*lines, "", f"pixAcc: {confusion.pix_acc:.4f}, mIoU: {confusion.miou:.4f}"]


def part_lines(parts: InstanceFigures, classes: Sequence[str]) -> list[str]:
    """Return AP^r at each threshold, its means, and AP^r_vol of each class as lines of text."""
    lines, width = [], max(map(len, classes))
    for c, (name, ap) in enumerate(zip(classes[1:], parts.ap.mean(axis=1), strict=True), 1):
        lines.append(f"{c:3} {name:{width}} AP^r_vol" + (f" {ap:8.4f}" if ap == ap else "   absent, counts 0"))
    present = int(parts.present.sum())
    return [
        *lines,
        "",
        "t     " + "".join(f"{i / 10:8.1f}" for i in range(1, 10)),
        "AP^r  " + "".join(f"{value:8.4f}" for value in parts.mean),
        f"AP^r_vol: {parts.vol:.4f}, over the {counted(present, 'class', 'classes')} present: {parts.vol_present:.4f}, "
        f"{counted(int(parts.truths.sum()), 'part')}, {int(parts.predictions.sum())} predicted",
        f"COCO AP of parts: {parts.coco_ap():.4f}, AP50 {parts.coco_ap(0):.4f}, AP75 {parts.coco_ap(5):.4f}",
    ]


def human_lines(humans: InstanceFigures) -> list[str]:
    """Return AP^h at each threshold and its mean as lines of text."""
    return [
        "t     " + "".join(f"{i / 100:8.2f}" for i in range(50, 100, 5)),
        "AP^h  " + "".join(f"{value:8.4f}" for value in humans.mean),
        f"AP^h_vol: {humans.vol:.4f}",
        f"COCO AP of persons: {humans.coco_ap():.4f}, AP50 {humans.coco_ap(0):.4f}, AP75 {humans.coco_ap(5):.4f}",
    ]
