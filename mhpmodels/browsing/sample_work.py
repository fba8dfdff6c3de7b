"""The work on one sample of a site: its facts, scores and thumbnail, and its layers at full size.

Every result depends on the packs, the predictions and the options only, so threads may work in any order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mhpdata.masks.mask_runs import MaskRuns
from mhpdata.storage.record import Record
from mhpdata.storage.split import Split
from mhpmodels.browsing.columns import UNKNOWN, Shown, script, shown_from
from mhpmodels.browsing.facts import facts_from
from mhpmodels.browsing.layers import (
    at_size,
    different_layer,
    image_layer,
    labels_layer,
    merged_maps,
    overlap_layer,
    packed_maps,
    persons_layer,
    wrong_layer,
)
from mhpmodels.browsing.pages import Layer
from mhpmodels.browsing.predicted import Predictions, Score, score_labels
from mhpmodels.browsing.site_folder import SiteFolder, layers_of, thumb_of
from mhpmodels.browsing.thumbnail import thumbnail
from mhpmodels.evaluation.truth import person_runs
from mhpmodels.figures.panels import person_centres

Pixels = NDArray[np.uint8]
LAYERS = "layers.js"


@dataclass(frozen=True)
class Pack:
    """An open split of a pack, and what is needed to draw its samples.

    Attributes:
        split: the split.
        palette: uint8 (256, 3) RGB, colour per label.
        rule: its overlap rule.
        numbers: index of each name.
    """

    split: Split
    palette: Pixels
    rule: str
    numbers: dict[str, int]

    def read(self, index: int) -> tuple[Record, list[MaskRuns]]:
        """Return a record and its masks. Raises PackedError if it is damaged."""
        record = self.split.record(index)
        return record, person_runs(record, self.split.place(index), self.split.file(index))


@dataclass(frozen=True)
class SampleWork:
    """Inputs common to the samples of one split of a site.

    Attributes:
        site: the folder.
        number: number of the split.
        pack: the split.
        other: the same split of the other pack; None for none.
        overlap: second overlap rule; None for none.
        predictions: the predictions.
        table: all layers of the site.
    """

    site: SiteFolder
    number: int
    pack: Pack
    other: Pack | None
    overlap: str | None
    predictions: tuple[Predictions, ...]
    table: tuple[Layer, ...]

    def show(self, index: int) -> Shown:
        """Write the thumbnail of a sample, and return what the grid shows of it."""
        record, masks = self.pack.read(index)
        facts = facts_from(self.pack.split, index, record, masks)
        thumb = thumb_of(self.number, index)
        if not self.site.has(thumb):
            self.site.write(thumb, thumbnail(record, self.pack.palette))
        rules = changed = UNKNOWN
        if facts.labelled and self.overlap is not None:
            rules = 0 if not record.contested else _count(self._merged(record, masks), self._second(record, masks))
        found = self._theirs(record.name) if facts.labelled else None
        if self.other is not None and found is not None and self._comparable(record, found[0]):
            changed = _count(self._merged(record, masks), _at_source(found, self.other.rule))
        return shown_from(self.number, index, facts, (rules, changed), self._scores(record, masks))

    def draw(self, index: int) -> list[str]:
        """Write the layers of a sample, and return the relative paths of their files."""
        record, masks = self.pack.read(index)
        facts_from(self.pack.split, index, record, masks)  # checks the runs
        size, palette = record.size, self.pack.palette
        folder, made = layers_of(self.number, index), list[str]()
        present: dict[str, list[int]] = {}
        centres: list[list[float]] = []

        def put(name: str, make: Callable[[], bytes], renew: bool = False) -> None:
            layer = next(one for one in self.table if one.id == name)
            path = f"{folder}/{layer.file}"
            if renew or not self.site.has(path):
                self.site.write(path, make())
            made.append(path)

        def put_labels(name: str, labels: Pixels, renew: bool = False) -> None:
            put(name, lambda: labels_layer(labels, palette), renew)
            present[name] = np.flatnonzero(np.bincount(labels.reshape(-1), minlength=1)).tolist()

        put("image", lambda: image_layer(record))
        labels = None
        if record.runs is not None:
            labels, persons = packed_maps(record)
            put_labels("labels", labels)
            put("persons", lambda: persons_layer(persons))
            put("overlaps", lambda: overlap_layer(masks, record.source_size, size))
            centres = [
                [number, round(100 * (x + 0.5) / size[1], 1), round(100 * (y + 0.5) / size[0], 1)]
                for number, (y, x) in person_centres(persons).items()
            ]
            if self.overlap is not None:
                seconds, their_persons = merged_maps(masks, self.overlap, record.source_size, size)
                put_labels("labels_rule", seconds)
                put("persons_rule", lambda: persons_layer(their_persons))
                mine = self._merged(record, masks)
                put("rules", lambda: different_layer(mine, self._second(record, masks), size))
        self._draw_other(record, masks, put)
        self._draw_predictions(record, labels, put, put_labels)
        about = {"layers": [one.rpartition("/")[2] for one in made], "persons": centres, "present": present}
        path = f"{folder}/{LAYERS}"
        self.site.write(path, script(f'mhp.layers("{self.number}/{index}", ', {**about, "size": size}, ");"))
        return [*made, path]

    def _draw_other(self, record: Record, masks: list[MaskRuns], put: Callable[..., None]) -> None:
        found = self._theirs(record.name)
        if found is None or self.other is None:
            return
        theirs, palette = found[0], self.other.palette
        put("image_other", lambda: image_layer(theirs))
        if theirs.runs is None:
            return
        labels, persons = packed_maps(theirs)
        put("labels_other", lambda: labels_layer(labels, palette))
        put("persons_other", lambda: persons_layer(persons))
        if record.runs is not None and self._comparable(record, theirs):
            mine, others = self._merged(record, masks), _at_source(found, self.other.rule)
            put("changed", lambda: different_layer(mine, others, record.size))

    def _draw_predictions(
        self,
        record: Record,
        labels: Pixels | None,
        put: Callable[..., None],
        put_labels: Callable[[str, Pixels, bool], None],
    ) -> None:
        drawn: list[Pixels] = []
        for number, one in enumerate(self.predictions, 1):
            if not one.has(self.pack.split.name, record.name):
                continue
            predicted = at_size(one.labels(record.name, record.source_size), record.size)
            put_labels(f"pred_{number}", predicted, True)
            if labels is not None:
                wrong = wrong_layer(predicted, labels)
                put(f"wrong_{number}", lambda wrong=wrong: wrong, True)
            drawn.append(predicted)
        if len(drawn) > 1:
            put("models", lambda: different_layer(drawn[0], drawn[1], record.size), True)

    def _scores(self, record: Record, masks: list[MaskRuns]) -> tuple[Score | None, ...]:
        """Return the scores of the sample's predictions at source size."""
        scores: list[Score | None] = []
        for one in self.predictions:
            score = None
            if one.has(self.pack.split.name, record.name):
                predicted = one.labels(record.name, record.source_size)  # unlabelled samples are checked as well
                if record.runs is not None:
                    score = score_labels(predicted, self._merged(record, masks), len(self.pack.split.classes))
            scores.append(score)
        return tuple(scores)

    def _merged(self, record: Record, masks: list[MaskRuns]) -> Pixels:
        """Return the labels at source size by the pack's overlap rule."""
        return merged_maps(masks, self.pack.rule, record.source_size, record.source_size)[0]

    def _second(self, record: Record, masks: list[MaskRuns]) -> Pixels:
        """Return the labels at source size by the second overlap rule."""
        return merged_maps(masks, str(self.overlap), record.source_size, record.source_size)[0]

    def _comparable(self, record: Record, theirs: Record) -> bool:
        """Return whether both packs label the same pixels with the same classes."""
        same = self.other is not None and self.other.split.classes == self.pack.split.classes
        return same and theirs.runs is not None and theirs.source_size == record.source_size

    def _theirs(self, name: str) -> tuple[Record, list[MaskRuns]] | None:
        """Return the record of this name in the other pack and its masks, checked; None if it lacks the name."""
        if self.other is None or name not in self.other.numbers:
            return None
        index = self.other.numbers[name]
        record, masks = self.other.read(index)
        facts_from(self.other.split, index, record, masks)
        return record, masks


def _at_source(found: tuple[Record, list[MaskRuns]], rule: str) -> Pixels:
    record, masks = found
    return merged_maps(masks, rule, record.source_size, record.source_size)[0]


def _count(labels: Pixels, others: Pixels) -> int:
    return int(np.count_nonzero(labels != others))
