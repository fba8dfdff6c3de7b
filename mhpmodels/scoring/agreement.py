"""Inter-annotator agreement: score the annotations of images that were annotated twice against each other.

::

    download ─hash─> groups of identical images ─> each annotation as prediction, each other as truth ─> Agreement

LV-MHP v1 contains byte-identical images whose copies were annotated independently. The score of one annotator's masks
against another's, by the definitions of mhp score, is a practical upper bound for predictions.

Each pair of annotations is scored in both directions, so neither counts as the truth. They are compared at source size,
with labels merged by mhp pack's default rule. Annotations have no confidence scores, so all are equal: AP^p takes
persons in the order of the images and files; PCP and IoU do not depend on that order. Pixels that are 255 in either
annotation are not compared and belong to no person; a person without a labelled pixel is not counted.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from mhpdata.errors import FolderError, SourceError
from mhpdata.images.header import read_header
from mhpdata.labels import IGNORE
from mhpdata.masks.mask_runs import draw_mask
from mhpdata.options import Layout, PackOptions, check_path
from mhpdata.processes.threads import crew
from mhpdata.source.annotation import read_persons
from mhpdata.source.entry import Entry
from mhpdata.source.files import read_file
from mhpdata.source.scan import AUTO, scan
from mhpdata.storage.duplicates import identical
from mhpdata.wording import counted, printable
from mhpmodels.evaluation.metrics import Confusion
from mhpmodels.evaluation.truth import merged_labels
from mhpmodels.persons.overlap import Labels, Layer, overlap
from mhpmodels.persons.precision import Claims, PersonFigures, claim, rank, score_persons
from mhpmodels.scoring.report import label_lines
from mhpmodels.scoring.table import Row

LEAST = 10
"""Number of comparisons listed in the text: those with the lowest agreement."""


@dataclass(frozen=True)
class Agreement:
    """Agreement between annotations.

    Attributes:
        folder: folder of the download.
        classes: class names of the dataset.
        groups: compared images, each as the names (split/name) of its copies.
        confusion: confusion matrix of the labels over all comparisons.
        persons: AP^p and PCP over all comparisons.
        rows: one row per comparison, named "prediction / truth", for both directions of each pair.
        alike: number of comparisons in which every pixel has the same label.
        left_out: errors of the annotations that could not be compared.
    """

    folder: str
    classes: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    confusion: Confusion
    persons: PersonFigures
    rows: tuple[Row, ...]
    alike: int
    left_out: tuple[SourceError, ...]

    @property
    def overlap(self) -> float:
        """Mean over persons of the highest mean IoU with a person of the other annotation, 0..1."""
        total = sum(row.overlap * row.persons for row in self.rows if row.overlap is not None and row.persons)
        return total / self.persons.persons

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON types."""
        keys = [f"{i / 10:.1f}" for i in range(1, 10)]
        return {
            "source": str(self.folder),
            "groups": [list(group) for group in self.groups],
            "pixAcc": self.confusion.pix_acc,
            "mIoU": self.confusion.miou,
            "IoU": dict(zip(self.classes, self.confusion.iou.tolist(), strict=True)),
            "AP^p": dict(zip(keys, self.persons.ap.tolist(), strict=True)),
            "PCP": dict(zip(keys, self.persons.pcp.tolist(), strict=True)),
            "overlap": self.overlap,
            "comparisons": [{"name": row.name, "mean_iou": row.merit} for row in self.rows],
            "skipped": [str(error) for error in self.left_out],
        }

    def text(self, shown: int | None = None) -> str:
        """Format the agreement as text.

        Args:
            shown: maximum number of left-out annotations to list; None for all.
        """
        images = sum(map(len, self.groups))
        groups, pairs = counted(len(self.groups), "group"), len(self.rows) // 2
        differ = sum(row.persons != row.predictions for row in self.rows) // 2
        least = sorted(self.rows, key=lambda row: row.merit)[:LEAST]
        return "\n".join(
            printable(line)
            for line in [
                f"{self.folder}: {images} byte-identical images in {groups}; {counted(pairs, 'pair')} of annotations, "
                "in both directions",
                "",
                *label_lines(self.confusion, self.classes),
                "",
                *self.persons.lines(),
                f"mean IoU of a person with its best match in the other annotation: {self.overlap:.4f}",
                "",
                f"{counted(differ, 'pair')} with different numbers of persons, {self.alike // 2} with the same labels "
                "at every pixel",
                "Lowest agreement (prediction / truth):",
                *(f"  {row.name}: mean IoU {row.merit:.4f}" for row in least),
                *(f"left out: {error}" for error in self.left_out[:shown]),
            ]
        )


@dataclass(frozen=True)
class _Compared:
    """Results of one comparison."""

    row: Row
    confusion: Confusion
    claims: Claims
    alike: bool


def measure_agreement(
    src: str | Path,
    *,
    layout: Layout = AUTO,
    labels: str | Path | None = None,
    follow_links: bool = False,
    workers: int | None = None,
    progress: bool = False,
) -> Agreement:
    """Score the annotations of duplicated images against each other (mhp verify --agreement).

    Args:
        src: folder of the extracted download; it is only read.
        layout: "auto", or a name in mhpdata.source.scan.LAYOUTS.
        labels: path of the label file of a dataset of one's own, for the layout "folder".
        follow_links: follow links that point outside ``src``; they are rejected otherwise.
        workers: number of threads; None for one per core that this process may use.
        progress: draw progress bars if standard error is a terminal.

    Raises:
        FolderError: ``src`` is not a dataset of this layout, or has no duplicated images with annotations.
        OptionError: the layout is unknown, or ``workers`` is out of range.
        PredictionError: no annotation contains a person.
    """
    src = check_path("src", src)
    try:
        listing = scan(src, layout, follow_links, labels)
    except SourceError as error:
        raise error.below(src) from error.__cause__
    entries = [entry for of_split in listing.entries.values() for entry in of_split if entry.files[1:]]
    copies = _copies(src, entries, workers, progress)
    groups: list[tuple[str, ...]] = []
    left_out: list[SourceError] = []
    compared: list[_Compared] = []
    with crew(len(copies), "groups", workers, progress) as threads:
        for names, errors, results in threads.each(partial(_compare, src, len(listing.labels)), copies):
            left_out += [error.below(src) for error in errors]
            compared += results
            groups += [names] if results else []
    if not compared:
        found = "no duplicated images with readable masks"
        remedy = "Omit --agreement, or pass a download with annotated duplicates, such as LV-MHP v1."
        if left_out:
            found += f" ({len(left_out)} damaged, such as {left_out[0].place}: {left_out[0].found})"
            remedy = f"Extract the archive again; mhp verify --src {src} lists what is damaged."
        raise FolderError(src, found, "byte-identical images, each with masks", remedy)
    confusion = Confusion(len(listing.labels))
    for one in compared:
        confusion.merge(one.confusion)
    return Agreement(
        folder=str(src),
        classes=tuple(listing.labels.names),
        groups=tuple(groups),
        confusion=confusion,
        persons=score_persons(rank([one.claims for one in compared])),
        rows=tuple(one.row for one in compared),
        alike=sum(one.alike for one in compared),
        left_out=tuple(left_out),
    )


def _copies(src: Path, entries: list[Entry], workers: int | None, progress: bool) -> list[list[Entry]]:
    """Return groups of entries with byte-identical images, reading only files that share a size."""
    sizes = Counter(entry.image.size for entry in entries)
    asked = [entry for entry in entries if sizes[entry.image.size] > 1]
    hashes: list[tuple[str, bytes]] = []
    with crew(len(asked), "images", workers, progress) as threads:
        for entry, digest in zip(asked, threads.each(partial(_digest, src), asked), strict=True):
            hashes += [(_name(entry), digest)] if digest else []
    by_name = {_name(entry): entry for entry in asked}
    return [[by_name[name] for name in group] for group in identical(hashes)]


def _digest(src: Path, entry: Entry) -> bytes:
    """Return the SHA-256 of an image file; empty if it cannot be read, so that it matches no other."""
    try:
        return hashlib.sha256(read_file(src, entry.image)).digest()
    except SourceError:
        return b""


def _name(entry: Entry) -> str:
    return f"{entry.split}/{entry.name}"


def _compare(src: Path, classes: int, group: list[Entry]) -> tuple[tuple[str, ...], list[SourceError], list[_Compared]]:
    """Compare all annotations of one image; runs on several threads."""
    errors: list[SourceError] = []
    read: list[tuple[str, Labels, list[Labels]]] = []
    for entry in group:
        try:
            read.append((_name(entry), *_annotation(src, entry, classes)))
        except SourceError as error:
            errors.append(error)
    compared = []
    for (name, labels, persons), (other, truth, true_persons) in permutations(read, 2):
        confusion = Confusion(classes)
        confusion.update(_without(labels), np.where(labels == IGNORE, labels, truth))
        everybody = np.ones(labels.shape, np.uint8)
        layers = [Layer(_without(mask), everybody, 1) for mask in persons]
        claims = claim([1.0] * len(layers), overlap(layers, true_persons, classes))
        row = Row(f"{name} / {other}", *labels.shape).with_labels(confusion).with_persons(claims)
        compared.append(_Compared(row, confusion, claims, bool((labels == truth).all())))
    return tuple(name for name, _, _ in read), errors, compared


def _annotation(src: Path, entry: Entry, classes: int) -> tuple[Labels, list[Labels]]:
    """Return an annotation's merged labels and the mask of each person with a label, all uint8 (height, width)."""
    header = read_header(read_file(src, entry.image), entry.image.path)
    size = (header.height, header.width)
    runs = [person.runs for person in read_persons(src, entry, size, classes)]
    return merged_labels(runs, PackOptions().overlap, size), [draw_mask(mask, size) for mask in runs if mask.area]


def _without(labels: Labels) -> Labels:
    """Return labels as a prediction, with background for 255."""
    return np.where(labels == IGNORE, np.uint8(0), labels)
