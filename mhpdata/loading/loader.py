"""Packed shards to batches, on a pool of threads, at the speed the memory allows.

::

    order      which sample, which draws     ─┐
    region     pread of what a crop needs     ├─ one sample, one thread, no lock ─→ its place in a slot ─→ Batch
    render     scale, crop, flip, normalise  ─┘

The rule: what a batch holds depends on (seed, epoch, position, rank, world size, the options) and on nothing else: not
on threads, timing, restarts or what was read before. A batch's memory is never written again while anybody holds a view
of it.

All threads of a process work on the same two or three batches, sample by sample, so the first batch is ready after
batch_size / threads samples, and batches come in order without anybody waiting for a slow one.
"""

from __future__ import annotations

import os
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from mhpdata.drawing import image as render
from mhpdata.drawing import labels as maps
from mhpdata.drawing import placement
from mhpdata.drawing.ahead import prepare
from mhpdata.drawing.instructions import LEVEL
from mhpdata.drawing.plain import FLOAT16, FLOAT32, UINT8
from mhpdata.drawing.scratch import DrawScratch
from mhpdata.errors import MhpError, OptionError, ShardChangedError
from mhpdata.labels import IGNORE
from mhpdata.loading import sampling
from mhpdata.loading.batch import Batch
from mhpdata.loading.leaks import LEAKS
from mhpdata.loading.mixture import Mixture, Names, Sets, refuse_no_batch
from mhpdata.loading.region import Found, Reading
from mhpdata.loading.slots import Slots
from mhpdata.loading.state import Standing, check_state
from mhpdata.loading.weights import image_weights
from mhpdata.loading.workers import Desk, Makers, Step
from mhpdata.options import CHECKS, OVERLAPS, check_choice, check_range, check_share, is_number
from mhpdata.threads import usable_cores

DTYPES = {"float32": FLOAT32, "float16": FLOAT16, "uint8": UINT8}
SAMPLES = ("all", "rare")
"""Which samples an epoch has: each once, or those with rare classes more often."""
AHEAD = 2
"""Batches that are made beyond the one in use. With one more, memory grows by a batch and nothing gets faster."""
_CHANGES = 8
"""So many times may a shard change while one sample is made; each makes another attempt, and a touch is a change."""

Result = TypeVar("Result")
Transform = Callable[[np.ndarray, "np.ndarray | None", "np.ndarray | None", np.random.Generator], None]


class Loader:
    """Batches of a split of a packed folder; iterate over it once an epoch.

    Each iteration shows the epoch after the one before. An epoch is over when its last batch is handed out, whether or
    not the loop asks for more: loops that stop by length go on as others do. A loop that is left earlier (break, an
    error) has not finished its epoch: ``state_dict`` says how far it came, and the next iteration begins the same epoch
    again, with the same batches, unless ``set_epoch`` or ``load_state_dict`` says otherwise.

    Args:
        folder, split: as for ``mhpdata.open``; or several sets as ``[(folder, split), ...]``, of which an epoch has all
            samples.
        batch_size: samples a batch on this rank.
        base_size, crop_size: training draws the long side from ``scales`` x base_size and crops crop_size x crop_size;
            without ``augment`` the short side becomes crop_size and the middle is cropped.
        augment: the random scale, crop, flip, blur and gray of training, and a shuffled order.
        whole: pictures as they are in the shard, uncropped, in order; only with batch_size=1 and without ``augment``.
        seed: of the order and of every draw.
        threads: that make batches; None for one a core that this process may use.
        rank, world_size: this process's share. All ranks together see each sample once an epoch, whatever their number.
        dtype: of the images: "float32", "float16" (half the memory and stores) or "uint8" (a quarter; normalise
            yourself).
        drop_last: leave the last batch out unless every rank's is full. Otherwise it is smaller, and may be empty where
            fewer samples than ranks are left.
        scales, flip_prob, blur_prob, gray_prob: of training. What each option costs: docs/loader.md.
        swap_sides: a flip makes a left arm a right arm.
        pad_label: the label of the padding: 255, which no loss counts; 0 as in the old recipe.
        persons: give the person map, boxes and counts, too.
        overlap: whose a pixel is that several persons claim: "first", "last", "smallest", "nearest", "ignore"; None as
            packed. Another rule merges the persons' own masks anew at every reading (docs/loader.md has the cost).
        weights: with several sets: their shares of an epoch, in proportion. An epoch has as many samples as before; of
            a small set they come several times, each time with draws of its own.
        remap: what labels become: "common", a JSON file, or JSON (mhpdata.remap). Needed for sets of different classes.
        sample: "rare" draws images with rare classes more often (mhpdata.loading.weights); an epoch keeps its length.
        leaks: "fail" refuses to train on images that val or test of another of the sets has, and lists them; "skip"
            leaves them out. What ``names``, ``where`` or ``limit`` keeps out of training is no leak.
        names, limit, where: only these names; at most so many; only where ``where(name)`` is true. In the split's
            order. Of several sets: ``names`` is one collection, or None, for each. What leaves no sample of a set is an
            error; limit=0 asks for none.
        transform: ``f(image, labels, persons, rng)`` changes one sample in place, in the batch's own memory, with the
            sample's own random generator. It holds the GIL: threads take turns in it.
        on_error: "fail" raises at the batch of a damaged record; "skip" leaves the record out, see ``skipped``.
        check: "first" compares a record's CRC-32 when this process first reads it, and again where its shard's file has
            changed before an epoch; "always" at every reading (docs/loader.md has the cost).

    Attributes:
        epoch: of the next iteration.
        skipped: {index: the error} of damaged records left out.
        classes, flip_pairs: as of the split, or after ``remap``.

    Raises:
        OptionError: an argument is outside what is taken; a split is empty, or the options leave no sample of it or no
            batch.
        LeakError: see ``leaks``.
        ManifestError, ShardError: ``folder`` cannot be opened.
    """

    def __init__(
        self,
        folder: str | Path | Sets,
        split: str = "train",
        batch_size: int = 16,
        base_size: int = 768,
        crop_size: int = 768,
        augment: bool = True,
        seed: int = 0,
        threads: int | None = None,
        rank: int = 0,
        world_size: int = 1,
        dtype: str = "float32",
        *,
        whole: bool = False,
        drop_last: bool = False,
        scales: tuple[float, float] = (0.5, 2.0),
        flip_prob: float = 0.5,
        blur_prob: float = 0.5,
        gray_prob: float = 0.0,
        swap_sides: bool = True,
        pad_label: int = IGNORE,
        persons: bool = False,
        overlap: str | None = None,
        weights: Sequence[float] | None = None,
        remap: str | Path | None = None,
        sample: str = "all",
        leaks: str = "fail",
        names: Names = None,
        limit: int | None = None,
        where: Callable[[str], bool] | None = None,
        transform: Transform | None = None,
        on_error: str = "fail",
        check: str = "first",
    ) -> None:
        check_range("batch_size", batch_size, 1, 65536)
        check_range("base_size", base_size, 1, 32767)
        check_range("crop_size", crop_size, 1, 32767)
        check_range("threads", 1 if threads is None else threads, 1, 4096)
        check_range("world_size", world_size, 1, 1 << 20)
        check_range("rank", rank, 0, world_size - 1)
        check_range("pad_label", pad_label, 0, 255)
        check_choice("dtype", dtype, tuple(DTYPES))
        check_choice("on_error", on_error, ("fail", "skip"))
        check_choice("check", check, CHECKS)
        check_choice("sample", sample, SAMPLES)
        check_choice("leaks", leaks, LEAKS)
        if overlap is not None:
            check_choice("overlap", overlap, OVERLAPS)
        if whole and (augment or batch_size != 1):
            found = f"with augment={augment}, batch_size={batch_size}"
            remedy = "Pass these two, or leave whole out: whole pictures differ in size and make no batch."
            raise OptionError("whole", found, "augment=False, batch_size=1", remedy)
        for name, value in (("flip_prob", flip_prob), ("blur_prob", blur_prob), ("gray_prob", gray_prob)):
            check_share(name, value)
        check_range("limit", 0 if limit is None else limit, 0, 1 << 62)
        if np.shape(scales) != (2,) or not all(map(is_number, scales)) or not 0 < scales[0] <= scales[1]:
            remedy = "Pass two numbers above 0, the smaller one first, such as (0.5, 2.0)."
            raise OptionError("scales", f"{scales}", "0 < low <= high", remedy)
        self.batch_size, self.rank, self.world_size, self.drop_last = batch_size, rank, world_size, drop_last
        self.seed, self.skipped = seed, dict[int, MhpError]()
        if not augment and (weights is not None or sample != "all"):
            name = "sample" if weights is None else "weights"
            remedy = f"To train, pass augment=True; otherwise leave {name} out."
            raise OptionError(name, "without augment", "in training only", remedy)
        sets = [(folder, split)] if isinstance(folder, str | Path) else list(folder)
        self._data = data = Mixture(sets, overlap, remap, check == "always")
        self.classes, self.flip_pairs = data.labels.names, data.labels.flip_pairs
        chosen = data.choose(names, where)
        mixed = augment and len(data.splits) > 1
        self._samples = data.without_leaks(chosen, leaks, limit) if mixed else chosen[:limit]
        if drop_last and len(self._samples):
            refuse_no_batch(len(self._samples), batch_size, world_size)
        weighted = len(self._samples) and (weights is not None or sample != "all")
        self._weights = image_weights(data, self._samples, sample == "rare", weights) if weighted else None
        self._augment, self._whole, self._persons, self._transform = augment, whole, persons, transform
        self._base, self._crop, self._scales = base_size, crop_size, scales
        self._probabilities = {"flip_prob": flip_prob, "blur_prob": blur_prob, "gray_prob": gray_prob}
        self._dtype, self._kind, self._pad, self._skip = dtype, DTYPES[dtype], pad_label, on_error == "skip"
        self._norm = render.normalisation()
        self._swap = swap_sides
        self._slots = Slots(AHEAD + 2)
        self._threads = usable_cores() if threads is None else threads
        self._desks: deque[Desk] = deque(maxlen=self._threads)
        self._makers: weakref.ref[Makers] | None = None
        self._standing = Standing(0, 0, False)

    def __len__(self) -> int:
        """Batches of this rank in a whole epoch."""
        return self._left(0)

    @property
    def epoch(self) -> int:
        """The epoch of the next iteration."""
        return self._standing.at[0]

    def name(self, index: int) -> str:
        """The name of the image that a batch's ``indices`` number; of several sets folder/split/name."""
        return self._data.name(index)

    def set_epoch(self, epoch: int) -> None:
        """Begin the next iteration with the first batch of this epoch, and end an iteration in progress.

        Directly after ``load_state_dict``, the state's own epoch leaves its position as it is.
        """
        check_range("epoch", epoch, 0, 1 << 62)
        self._stop()
        here, _, there = self._standing.at
        if epoch != here or not there:
            self._standing = Standing(epoch, 0, False)

    def state_dict(self) -> dict[str, int]:
        """Return the position after the last batch that was handed out: plain numbers, the same on every rank.

        After an epoch's last batch it is the beginning of the next epoch.
        """
        epoch, position, _ = self._standing.at
        return {"seed": self.seed, "epoch": epoch, "position": position, "length": len(self._samples)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue from a state: the next iteration begins with the batch that would have come next.

        The batches are the same if seed, options and (batch size x world size) are; with others the samples that are
        left still come once each.

        Raises:
            OptionError: the state is of another seed or another set of samples.
        """
        check_state(state, self.seed, len(self._samples), len(self._data))
        epoch, position = state["epoch"], state["position"]
        if position and not self._left(position):  # mhp 0.1 stood at an epoch's end, not at the beginning of the next
            epoch, position = epoch + 1, 0
        self._stop()
        self._standing = Standing(epoch, position, True)

    def __iter__(self) -> Iterator[Batch]:
        """Iterate over the epoch's batches, from where ``load_state_dict`` said or from the beginning."""
        self._stop()
        self._data.refresh()
        epoch, position, there = self._standing.at
        self._standing = Standing(epoch, position if there else 0, True)
        return self._batches()

    def _batches(self) -> Iterator[Batch]:
        standing = self._standing
        epoch, position, there = standing.at
        position = position if there else 0
        samples, keys = self._order(epoch)
        makers: Makers | None = None
        if not self._left(position):  # an epoch without batches
            standing.at = (epoch + 1, 0, False)
        try:
            while self._left(position):
                if makers is None or makers.process != os.getpid():  # the first turn, or the first in a forked child
                    self._stop()
                    prepare("jpeg" in (split.manifest.options["image"] for split in self._data.splits), usable_cores())
                    makers = Makers(self._threads, self._desks, self._fill)
                    self._makers = weakref.ref(makers)
                    planned, waiting = position, deque[Step]()
                while len(waiting) < AHEAD and self._left(planned):
                    step = self._plan(epoch, samples, keys, planned)
                    waiting.append(step)
                    planned = step.consumed
                    makers.begin(step)
                step = waiting.popleft()
                makers.wait(step)
                batch, position = self._finished(step), step.consumed
                del step  # from here on only the caller holds the batch: its slot comes back as soon as he lets go
                last = not self._left(position)
                if last:
                    makers.close()
                standing.at = (epoch + 1, 0, False) if last else (epoch, position, False)
                yield batch
                del batch
        except GeneratorExit:
            makers = None  # the threads end by themselves; who waited here, in a finaliser, would lose an interrupt
            raise
        finally:
            if makers is not None:
                makers.close()

    def close(self) -> None:
        """End the threads of an iteration that was left, and let go of the files."""
        self._stop()
        self._data.close()

    def _left(self, position: int) -> int:
        """Batches of this rank from a position to the epoch's end."""
        return sampling.steps(len(self._samples), position, self.batch_size, self.world_size, self.drop_last)

    def _stop(self) -> None:
        """End the threads of the iteration in progress."""
        makers = None if self._makers is None else self._makers()
        if makers is not None:
            makers.close()

    def _order(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The samples of an epoch in order, and the keys of their draws."""
        samples = self._samples
        if not self._augment:
            return samples, samples
        if self._weights is None:
            samples = samples[sampling.permutation(self.seed, epoch, len(samples))]
            return samples, samples
        places, turns = sampling.weighted(self.seed, epoch, self._weights, self._data.groups(samples))
        return samples[places], sampling.keys_of(samples[places], turns)

    def _plan(self, epoch: int, samples: np.ndarray, keys: np.ndarray, position: int) -> Step:
        """The batch at a position, with memory for it."""
        share = sampling.share(len(samples), position, self.batch_size, self.rank, self.world_size)
        mine = samples[share]
        for index in mine.tolist():
            self._data.expect(index)
        count, errors = len(mine), dict[int, BaseException]()
        size = (self._crop, self._crop)
        if self._whole and count:
            try:
                size = self._current(lambda: self._data.find(int(mine[0]))).size
            except MhpError as error:  # the sample is not made: it may be readable by then, of a size without memory
                size, errors[0] = (1, 1), error
        images = (count, *size, 3) if self._kind == UINT8 else (count, 3, *size)
        planes = [((count, *size), np.uint8)] * ((2 if self._persons else 1) if self._data.labelled else 0)
        return Step(
            arrays=self._slots.lend((images, self._dtype), *planes),
            samples=mine,
            keys=keys[share],
            draws=sampling.draws(self.seed, epoch, keys[share]),
            epoch=epoch,
            consumed=min(len(samples), position + self.batch_size * self.world_size),
            left=0 if errors else count,
            errors=errors,
        )

    def _finished(self, step: Step) -> Batch:
        """A batch whose samples are all done; raises, or counts, what went wrong."""
        indices = step.samples.copy()
        for i, error in sorted(step.errors.items()):
            if not (self._skip and isinstance(error, MhpError)):
                raise error
            self.skipped[int(indices[i])] = error.with_traceback(None)  # whose frames hold the batch's memory
            indices[i] = -1
            step.arrays[0][i] = 0 if self._kind == UINT8 else self._norm.floats[:, 0, None, None]
            for array, nothing in zip(step.arrays[1:], (IGNORE, 0), strict=False):
                array[i] = nothing
        if not self._data.labelled:
            return Batch(step.arrays[0], None, indices)
        if not self._persons:
            return Batch(step.arrays[0], step.arrays[1], indices)
        found = [step.boxes.get(i, np.zeros((0, 4), np.int32)) for i in range(len(indices))]
        counts = np.array([len(b) for b in found], np.int64)
        boxes = np.zeros((len(found), counts.max(initial=0), 4), np.int32)
        for i, b in enumerate(found):
            boxes[i, : len(b)] = b
        return Batch(step.arrays[0], step.arrays[1], indices, step.arrays[2], boxes, counts)

    def _place(self, size: tuple[int, int], u: np.ndarray) -> placement.Placement:
        if self._augment:
            return placement.place_train(size, u, self._base, self._crop, self._scales, **self._probabilities)
        return placement.place_whole(size) if self._whole else placement.place_val(size, self._crop)

    def _fill(self, step: Step, i: int, reading: Reading, scratch: DrawScratch) -> None:
        """Make sample i of a batch."""
        self._current(lambda: self._make(step, i, reading, scratch))

    def _current(self, read: Callable[[], Result]) -> Result:
        """What ``read`` returns; from the file that has replaced the record's shard, if one has meanwhile."""
        for _ in range(_CHANGES):
            try:
                return read()
            except ShardChangedError:
                self._data.renew()
        return read()

    def _make(self, step: Step, i: int, reading: Reading, scratch: DrawScratch) -> None:
        index = int(step.samples[i])
        images = step.arrays[0]
        found = self._data.find(index, reading)
        place = self._place(found.size, step.draws[i])
        room = images.shape[1:3] if self._kind == UINT8 else images.shape[2:]
        if (place.height, place.width) != room:  # the kernels trust the memory that they are given
            expected = f"{room[0]} x {room[1]}, as when its batch was begun"
            raise self._data.damaged(index, f"is now of {place.height} x {place.width} pixels", expected)
        buffer, source = self._data.picture(index, found, place, reading)
        image = images[i].reshape(-1).view(np.uint8)
        render.draw_image(LEVEL, buffer, source, place, self._kind, self._norm, image, scratch)
        labels, persons = (
            self._draw_maps(step, i, found, place, reading, scratch) if self._data.labelled else (None, None)
        )
        if self._transform is not None:
            rng = sampling.generator(self.seed, step.epoch, int(step.keys[i]))
            self._transform(images[i], labels, persons, rng)

    def _draw_maps(
        self,
        step: Step,
        i: int,
        found: Found,
        place: placement.Placement,
        reading: Reading,
        scratch: DrawScratch,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Labels and, where asked for, persons of sample i."""
        index = int(step.samples[i])
        labels = step.arrays[1][i]
        persons = step.arrays[2][i] if self._persons else labels[:0]
        if not found.labelled:
            raise self._data.damaged(index, "has no labels", "some, by the manifest")
        runs = self._data.runs(index, found, reading)
        number, _ = self._data.locate(index)
        swap = self._data.swapped[number] if place.flip and self._swap else self._data.plain[number]
        flat = labels.reshape(-1), persons.reshape(-1)
        most = self._data.most(index, found)
        if not maps.draw_labels(LEVEL, runs, found.size, place, swap, self._pad, most, *flat, scratch):
            raise self._data.damaged(index, "is damaged (row runs of another size, or labels that do not exist)")
        if not self._persons:
            return labels, None
        step.boxes[i] = maps.find_boxes(persons, found.persons)
        return labels, persons
