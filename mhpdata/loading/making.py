"""Make the samples of a batch, each in its own part of the batch's memory.

::

    record ─ region: what the crop needs ─ placement ─ image, label map, person map ─→ arrays of a Step ─→ Batch
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from mhpdata.drawing.image import draw_image, normalisation
from mhpdata.drawing.labels import draw_labels, find_boxes
from mhpdata.drawing.placement import Placement, place_train, place_val, place_whole
from mhpdata.drawing.plain import FLOAT16, FLOAT32, UINT8
from mhpdata.drawing.scratch import DrawScratch
from mhpdata.drawing.vectors.instructions import LEVEL
from mhpdata.errors import MhpError, ShardChangedError
from mhpdata.labels import IGNORE
from mhpdata.loading import sampling
from mhpdata.loading.batch import Batch
from mhpdata.loading.mixture import Handle, Mixture
from mhpdata.loading.plan import Turn
from mhpdata.loading.region import Found, Reading
from mhpdata.loading.slots import Slots
from mhpdata.loading.workers import Step
from mhpdata.settings.output import Output
from mhpdata.settings.views import CentreCrop, TrainCrop, View, Whole

KINDS = {"float32": FLOAT32, "float16": FLOAT16, "uint8": UINT8}
_CHANGES = 8
"""So many times may a shard change while one sample is made; each makes another attempt, and a touch is a change."""

Result = TypeVar("Result")


class Making:
    """Begins batches, makes their samples, and hands them out.

    Args:
        data: the sets.
        view: which part of an image.
        output: what a batch holds.
        slots: lend the memory.
        seed: of the generators for ``output.transform``.
    """

    def __init__(self, data: Mixture, view: View, output: Output, slots: Slots, seed: int) -> None:
        self._data, self._view, self._output, self._slots, self._seed = data, view, output, slots, seed
        self._kind, self._norm = KINDS[output.dtype], normalisation()
        self._swap = isinstance(view, TrainCrop) and view.swap_sides
        self._pad = view.pad_label if isinstance(view, TrainCrop) else IGNORE

    def begin(self, turn: Turn) -> Step:
        """Return a batch whose samples are still to be made, with memory for them."""
        count, errors = len(turn.samples), dict[int, BaseException]()
        for index in turn.samples.tolist():
            one = self._data.handle(index)
            one.regions.expect(one.inner)
        size = (1, 1) if isinstance(self._view, Whole) else (self._view.size, self._view.size)
        if isinstance(self._view, Whole) and count:
            one = self._data.handle(int(turn.samples[0]))
            try:
                size = self._current(lambda: one.regions.find(one.inner)).size
            except MhpError as error:  # the sample is not made: it may be readable by then, of a size without memory
                errors[0] = error
        images = (count, *size, 3) if self._kind == UINT8 else (count, 3, *size)
        planes = [((count, *size), np.uint8)] * ((2 if self._output.persons else 1) if self._data.labelled else 0)
        arrays = self._slots.lend((images, self._output.dtype), *planes)
        return Step(arrays=arrays, turn=turn, left=0 if errors else count, errors=errors)

    def fill(self, step: Step, i: int, reading: Reading, scratch: DrawScratch) -> None:
        """Make sample i of a batch."""
        self._current(lambda: self._make(step, i, reading, scratch))

    def finish(self, step: Step, skipped: dict[int, MhpError] | None) -> Batch:
        """Return a batch whose samples are all done.

        Args:
            step: the batch.
            skipped: takes the errors of damaged records, by index; None raises them.
        """
        indices = step.turn.samples.copy()
        for i, error in sorted(step.errors.items()):
            if skipped is None or not isinstance(error, MhpError):
                raise error
            skipped[int(indices[i])] = error.with_traceback(None)  # whose frames hold the batch's memory
            indices[i] = -1
            step.arrays[0][i] = 0 if self._kind == UINT8 else self._norm.floats[:, 0, None, None]
            for array, nothing in zip(step.arrays[1:], (IGNORE, 0), strict=False):
                array[i] = nothing
        if not self._data.labelled:
            return Batch(step.arrays[0], None, indices)
        if not self._output.persons:
            return Batch(step.arrays[0], step.arrays[1], indices)
        return Batch(step.arrays[0], step.arrays[1], indices, step.arrays[2], *_boxes(step, len(indices)))

    def _current(self, read: Callable[[], Result]) -> Result:
        """What ``read`` returns; from the file that has replaced the record's shard, if one has meanwhile."""
        for _ in range(_CHANGES):
            try:
                return read()
            except ShardChangedError:
                self._data.renew()
        return read()

    def _make(self, step: Step, i: int, reading: Reading, scratch: DrawScratch) -> None:
        images, one = step.arrays[0], self._data.handle(int(step.turn.samples[i]))
        found = one.regions.find(one.inner, reading)
        place = place_in(self._view, found.size, step.turn.draws[i])
        room = images.shape[1:3] if self._kind == UINT8 else images.shape[2:]
        if (place.height, place.width) != room:  # the kernels trust the memory that they are given
            expected = f"{room[0]} x {room[1]}, as when its batch was begun"
            raise one.regions.damaged(one.inner, f"is now of {place.height} x {place.width} pixels", expected)
        buffer, source = one.regions.picture(one.inner, found, place, reading)
        image = images[i].reshape(-1).view(np.uint8)
        draw_image(LEVEL, buffer, source, place, self._kind, self._norm, image, scratch)
        labels = persons = None
        if self._data.labelled:
            labels, persons = self._draw_maps(step, i, one, found, place, reading, scratch)
        if self._output.transform is not None:
            rng = sampling.generator(self._seed, step.turn.epoch, int(step.turn.keys[i]))
            self._output.transform(images[i], labels, persons, rng)

    def _draw_maps(
        self,
        step: Step,
        i: int,
        one: Handle,
        found: Found,
        place: Placement,
        reading: Reading,
        scratch: DrawScratch,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Labels and, where asked for, persons of sample i."""
        labels = step.arrays[1][i]
        persons = step.arrays[2][i] if self._output.persons else labels[:0]
        if not found.labelled:
            raise one.regions.damaged(one.inner, "has no labels", "some, by the manifest")
        runs = one.regions.runs(one.inner, found, reading)
        table = one.swapped if place.flip and self._swap else one.plain
        flat = labels.reshape(-1), persons.reshape(-1)
        most = one.classes, found.persons
        if not draw_labels(LEVEL, runs, found.size, place, table, self._pad, most, *flat, scratch):
            what = "is damaged (row runs of another size, or labels that do not exist)"
            raise one.regions.damaged(one.inner, what)
        if not self._output.persons:
            return labels, None
        step.boxes[i] = find_boxes(persons, found.persons)
        return labels, persons


def place_in(view: View, size: tuple[int, int], u: np.ndarray) -> Placement:
    """Return where a view lies in an image.

    Args:
        view: which part.
        size: (height, width) of the image in the shard.
        u: float64 (DRAWS,), the sample's draws.
    """
    if isinstance(view, TrainCrop):
        shares = {"flip_prob": view.flip_prob, "blur_prob": view.blur_prob, "gray_prob": view.gray_prob}
        return place_train(size, u, view.base_size, view.size, view.scales, **shares)
    return place_val(size, view.size) if isinstance(view, CentreCrop) else place_whole(size)


def _boxes(step: Step, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and counts of a batch, padded to its largest number of persons."""
    found = [step.boxes.get(i, np.zeros((0, 4), np.int32)) for i in range(count)]
    counts = np.array([len(b) for b in found], np.int64)
    boxes = np.zeros((len(found), counts.max(initial=0), 4), np.int32)
    for i, b in enumerate(found):
        boxes[i, : len(b)] = b
    return boxes, counts
