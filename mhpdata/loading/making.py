"""Make the samples of a batch, each in its own slice of the batch's memory.

::

    record ─ region: the bytes of a crop ─ placement ─ image, label map, person map ─→ arrays of a Draft ──→ Batch
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
from mhpdata.drawing.targets import PLANES, draw_targets
from mhpdata.drawing.vectors.instructions import LEVEL
from mhpdata.errors import MhpError, RemoteError, ShardChangedError
from mhpdata.labels import IGNORE
from mhpdata.loading import sampling
from mhpdata.loading.batch import Batch
from mhpdata.loading.mixture import Handle, Mixture
from mhpdata.loading.plan import Turn
from mhpdata.loading.region import Located, Reading
from mhpdata.loading.slots import Slots
from mhpdata.loading.workers import Draft
from mhpdata.settings.output import MASKS, OFFSET_UNIT, TARGETS, Output
from mhpdata.settings.views import CentreCrop, TrainCrop, View, Whole

KINDS = {"float32": FLOAT32, "float16": FLOAT16, "uint8": UINT8}
_CHANGES = 8
"""Number of times that a sample is retried because its shard changed while being read; a touch counts as a change."""

Result = TypeVar("Result")


class Making:
    """Maker of batches: begins them, makes their samples, and finishes them.

    Args:
        data: Sets to read.
        view: Part of an image to show.
        output: Contents of a batch.
        slots: Pool of batch memory.
        seed: Seed of the generators for ``output.transform``.
    """

    def __init__(self, data: Mixture, view: View, output: Output, slots: Slots, seed: int) -> None:
        self._data, self._view, self._output, self._slots, self._seed = data, view, output, slots, seed
        self._kind, self._norm = KINDS[output.dtype], normalisation()
        self._swap = isinstance(view, TrainCrop) and view.swap_sides
        self._pad = view.pad_label if isinstance(view, TrainCrop) else IGNORE

    def begin(self, turn: Turn) -> Draft:
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
            except MhpError as error:  # a retry could find a size that no memory was lent for: do not make the sample
                errors[0] = error
        images = (count, *size, 3) if self._kind == UINT8 else (count, 3, *size)
        planes: list[tuple[tuple[int, ...], type]] = []
        if self._data.labelled:
            planes += [((count, *size), np.uint8)] * (2 if self._output.persons else 1)
            planes += [((count, PLANES, *size), np.float32)] * (self._output.persons == TARGETS)
        arrays = self._slots.lend((images, self._output.dtype), *planes)
        return Draft(arrays=arrays, turn=turn, left=0 if errors else count, errors=errors)

    def fill(self, draft: Draft, i: int, reading: Reading, scratch: DrawScratch) -> None:
        """Make sample i of a batch."""
        self._current(lambda: self._make(draft, i, reading, scratch))

    def finish(self, draft: Draft, skipped: dict[int, MhpError] | None) -> Batch:
        """Return a batch whose samples are all done.

        Args:
            draft: The batch.
            skipped: Receives the errors of damaged records, by index; None raises them.
        """
        indices = draft.turn.samples.copy()
        for i, error in sorted(draft.errors.items()):
            if skipped is None or not isinstance(error, MhpError) or isinstance(error, RemoteError):
                raise error
            skipped[int(indices[i])] = error.with_traceback(None)  # frames of a traceback would hold the batch's memory
            indices[i] = -1
            draft.arrays[0][i] = 0 if self._kind == UINT8 else self._norm.floats[:, 0, None, None]
            for array, nothing in zip(draft.arrays[1:], (IGNORE, 0, 0), strict=False):
                array[i] = nothing
        if not self._data.labelled:
            return Batch(draft.arrays[0], None, indices)
        if not self._output.persons:
            return Batch(draft.arrays[0], draft.arrays[1], indices)
        boxes, counts = _boxes(draft, len(indices), self._output.boxes == "xyxy")
        masks = _masks(draft, counts) if self._output.persons == MASKS else None
        targets = draft.arrays[3] if self._output.persons == TARGETS else None
        return Batch(draft.arrays[0], draft.arrays[1], indices, draft.arrays[2], boxes, counts, masks, targets)

    def _current(self, read: Callable[[], Result]) -> Result:
        """Return the result of ``read``, retried on the new file if the record's shard was replaced meanwhile."""
        for _ in range(_CHANGES):
            try:
                return read()
            except ShardChangedError:
                self._data.renew()
        return read()

    def _make(self, draft: Draft, i: int, reading: Reading, scratch: DrawScratch) -> None:
        images, one = draft.arrays[0], self._data.handle(int(draft.turn.samples[i]))
        located = one.regions.find(one.inner, reading)
        placement = place_in(self._view, located.size, draft.turn.draws[i])
        room = images.shape[1:3] if self._kind == UINT8 else images.shape[2:]
        if (placement.height, placement.width) != room:  # the kernels do not check the size of the memory
            expected = f"{room[0]} x {room[1]} (height x width), its size when the batch was begun"
            raise one.regions.damaged(one.inner, f"now has {placement.height} x {placement.width} pixels", expected)
        buffer, source = one.regions.picture(one.inner, located, placement, reading)
        image = images[i].reshape(-1).view(np.uint8)
        draw_image(LEVEL, buffer, source, placement, self._kind, self._norm, image, scratch)
        labels = persons = None
        if self._data.labelled:
            labels, persons = self._draw_maps(draft, i, one, located, placement, reading, scratch)
        if self._output.transform is not None:
            rng = sampling.generator(self._seed, draft.turn.epoch, int(draft.turn.keys[i]))
            self._output.transform(images[i], labels, persons, rng)
        if persons is not None and self._output.persons == TARGETS:
            draw_targets(persons, draft.arrays[3][i], OFFSET_UNIT)

    def _draw_maps(
        self,
        draft: Draft,
        i: int,
        one: Handle,
        located: Located,
        placement: Placement,
        reading: Reading,
        scratch: DrawScratch,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Draw the labels of sample i and, if requested, its persons; return both."""
        labels = draft.arrays[1][i]
        persons = draft.arrays[2][i] if self._output.persons else labels[:0]
        if not located.labelled:
            raise one.regions.damaged(one.inner, "has no labels", "labels, as the manifest says")
        runs = one.regions.runs(one.inner, located, reading)
        table = one.swapped if placement.flip and self._swap else one.mapped
        flat = labels.reshape(-1), persons.reshape(-1)
        most = one.classes, located.persons
        if not draw_labels(LEVEL, runs, located.size, placement, table, self._pad, most, *flat, scratch):
            raise one.regions.damaged(one.inner, "is damaged (row runs of a wrong size, or invalid labels)")
        if not self._output.persons:
            return labels, None
        if self._output.persons != MASKS:
            draft.boxes[i] = find_boxes(persons, located.persons)
            return labels, persons
        draft.masks[i] = masks = np.empty((located.persons, *labels.shape), np.uint8)
        boxes, nobody = np.zeros((located.persons, 4), np.int32), flat[1][:0]
        for p, (runs, size) in enumerate(one.regions.person_runs(one.inner, located, reading)):
            mask = masks[p].reshape(-1)
            if not draw_labels(LEVEL, runs, size, placement, table, 0, (one.classes, 1), mask, nobody, scratch):
                raise one.regions.damaged(one.inner, f"is damaged (invalid labels in the mask of person {p + 1})")
            boxes[p] = find_boxes(((masks[p] != 0) & (masks[p] != IGNORE)).view(np.uint8), 1)[0]
        draft.boxes[i] = boxes
        return labels, persons


def place_in(view: View, size: tuple[int, int], u: np.ndarray) -> Placement:
    """Return the placement of a view in an image.

    Args:
        view: Part of the image to show.
        size: (height, width) of the image in the shard.
        u: float64 (DRAWS,), the sample's random draws.
    """
    if isinstance(view, TrainCrop):
        shares = {"flip_prob": view.flip_prob, "blur_prob": view.blur_prob, "gray_prob": view.gray_prob}
        return place_train(size, u, view.base_size, view.size, view.scales, **shares)
    return place_val(size, view.size) if isinstance(view, CentreCrop) else place_whole(size)


def _boxes(draft: Draft, count: int, xyxy: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes and counts of a batch, padded to its largest number of persons."""
    per_sample = [draft.boxes.get(i, np.zeros((0, 4), np.int32)) for i in range(count)]
    counts = np.array([len(b) for b in per_sample], np.int64)
    boxes = np.zeros((count, counts.max(initial=0), 4), np.int32)
    for i, b in enumerate(per_sample):
        boxes[i, : len(b)] = b
    if xyxy:
        shown = boxes[:, :, 2:3] > 0  # the bottom is exclusive
        boxes = np.where(shown, boxes[:, :, [1, 0, 3, 2]], np.int32(-1))
    return boxes, counts


def _masks(draft: Draft, counts: np.ndarray) -> np.ndarray:
    """Return the masks of a batch, padded to its largest number of persons."""
    masks = np.zeros((len(counts), counts.max(initial=0), *draft.arrays[1].shape[1:]), np.uint8)
    for i, of_sample in draft.masks.items():
        masks[i, : counts[i]] = of_sample[: counts[i]]
    return masks
