"""Load batches from packed shards on a pool of threads, at the speed that the memory allows.

::

    plan       samples and random draws       ─┐
    region     pread of the bytes of a crop    ├─ one sample, one thread, no lock ─→ its slice of a slot ─→ Batch
    making     scale, crop, flip, normalise   ─┘

The rule: the contents of a batch depend only on (seed, epoch, position, rank, world size, the options): not on threads,
timing, restarts or earlier reads. A batch's memory is never written again while a view of it exists.

All threads of a process work on the same two or three batches, sample by sample. The first batch is ready after
batch_size / threads samples per thread, and a slow sample does not delay the batches before it.
"""

from __future__ import annotations

import os
import weakref
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from mhpdata.address import Address
from mhpdata.drawing.ahead import prepare
from mhpdata.errors import MhpError, OptionError
from mhpdata.loading.batch import Batch
from mhpdata.loading.making import Making
from mhpdata.loading.mixture import Mixture, Sets
from mhpdata.loading.plan import Ahead, Plan, Sizes
from mhpdata.loading.slots import Slots
from mhpdata.loading.state import Standing, check_state
from mhpdata.loading.workers import Desk, Draft, Makers
from mhpdata.options import CHECKS, ON_ERROR, Check, OnError, check_choice, check_range, in_words, is_collection
from mhpdata.processes.threads import usable_cores
from mhpdata.settings.caching import Cache
from mhpdata.settings.choosing import Choose
from mhpdata.settings.mixing import Mix
from mhpdata.settings.output import Output
from mhpdata.settings.rules import Switch, check_kind
from mhpdata.settings.share import Share
from mhpdata.settings.views import CentreCrop, TrainCrop, View, Whole

AHEAD = 2
"""Number of batches to prefetch. One more takes the memory of another batch and is no faster."""


class Loader:
    """Iterable over the batches of a split of a packed folder; each iteration is one epoch.

    ::

        Loader("rec", "train", batch_size=16, view=TrainCrop(768))
        Loader("rec", "val", view=CentreCrop(480), output=Output(dtype="uint8"))
        sets = [("rec_v1", "train"), ("rec_v2", "train")]
        Loader(sets, mix=Mix(weights=(1, 2), remap="common"), choose=Choose(leaks="skip"))

    The epoch advances when its last batch is handed out, whether or not the loop asks for more. If a loop ends earlier
    (break, an error), ``state_dict`` returns the position that it reached, and the next iteration begins the same epoch
    again, with the same batches, unless ``set_epoch`` or ``load_state_dict`` is called before.

    Args:
        folder: Packed folder, or its address; or several sets as ``[(folder, split), ...]``, whose samples all belong
            to an epoch.
        split: Name of the split of ``folder``; ignored for several sets.
        batch_size: Samples per batch on this rank, 1 to 65536.
        view: ``TrainCrop(...)`` shuffles and augments; ``CentreCrop(size)`` and ``Whole()`` keep the split's order.
        choose: Selection of samples.
        mix: Weights and labels of several sets, and oversampling of rare classes; in training only, except ``remap``.
        share: This process's share of the samples; None for that of the running process group, or all samples.
        output: Contents of a batch.
        seed: Seed of the order and of every random draw.
        threads: Number of threads that make batches; None for one per core that this process may use.
        drop_last: Drop the last batch unless it is full on every rank. Otherwise it is smaller, and may be empty if
            fewer samples than ranks are left.
        on_error: "fail" raises at the batch of a damaged record; "skip" leaves the record out, see ``skipped``.
        check: "first" compares a record's CRC-32 when this process first reads it, and again if its shard's file has
            changed before an epoch; "always" at every read (docs/loader.md has the cost).
        cache: Cache on a local disk for folders that have an address; None to read each record at each use.

    Attributes:
        epoch: Epoch of the next iteration.
        skipped: {index: error} of the damaged records that were left out.
        classes: Class names, indexed by label: those of the split, or of ``mix.remap``.
        flip_pairs: (left, right) labels that are swapped in mirrored crops.

    Raises:
        OptionError: An argument is invalid; a split is empty, or the options leave no sample of it or no batch.
        LeakError: See ``Choose.leaks``.
        ManifestError, ShardError, RemoteError: ``folder`` cannot be opened.
    """

    skipped: dict[int, MhpError]
    classes: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...]

    def __init__(
        self,
        folder: str | Path | Address | Sets,
        split: str = "train",
        batch_size: int = 16,
        view: View = TrainCrop(),
        *,
        choose: Choose = Choose(),
        mix: Mix = Mix(),
        share: Share | None = None,
        output: Output = Output(),
        seed: int = 0,
        threads: int | None = None,
        drop_last: bool = False,
        on_error: OnError = "fail",
        check: Check = "first",
        cache: Cache | None = None,
    ) -> None:
        share = Share() if share is None else share
        check_kind("view", view, TrainCrop, CentreCrop, Whole)
        if cache is not None:
            check_kind("cache", cache, Cache)
        for name, value, kind in (("choose", choose, Choose), ("mix", mix, Mix), ("output", output, Output)):
            check_kind(name, value, kind)
        check_kind("share", share, Share)
        check_range("batch_size", batch_size, 1, 65536)
        check_range("threads", 1 if threads is None else threads, 1, 4096)
        check_range("seed", seed, 0, (1 << 63) - 1)
        Switch().take("drop_last", drop_last, False)
        check_choice("on_error", on_error, ON_ERROR)
        check_choice("check", check, CHECKS)
        training = isinstance(view, TrainCrop)
        _check_together(view, batch_size, mix)
        self.batch_size, self.rank, self.world_size = batch_size, share.rank, share.world_size
        self.drop_last, self.seed, self.skipped = drop_last, seed, {}
        self._skip = on_error == "skip"
        self._data = data = Mixture(_sets(folder, split), output.overlap, mix.remap, check == "always", cache)
        self.classes, self.flip_pairs = data.labels.names, data.labels.flip_pairs
        self._plan = Plan(data, choose, mix, training, Sizes(batch_size, share, drop_last), seed)
        self._slots = Slots(AHEAD + 2)
        self._making = Making(data, view, output, self._slots, seed)
        self._threads = usable_cores() if threads is None else threads
        self._desks: deque[Desk] = deque(maxlen=self._threads)
        self._makers: weakref.ref[Makers] | None = None
        self._standing = Standing(0, 0, False)

    def __len__(self) -> int:
        """Return the number of batches of this rank in a whole epoch."""
        return self._plan.left(0)

    @property
    def epoch(self) -> int:
        """Return the epoch of the next iteration."""
        return self._standing.at[0]

    def name(self, index: int) -> str:
        """Return the name of the image with this index in ``Batch.indices``; with several sets, folder/split/name."""
        return self._data.name(index)

    def set_epoch(self, epoch: int) -> None:
        """Begin the next iteration with the first batch of this epoch, and end an iteration in progress.

        Directly after ``load_state_dict``, a call with the same epoch keeps the loaded position.
        """
        check_range("epoch", epoch, 0, 1 << 62)
        self._stop()
        here, _, there = self._standing.at
        if epoch != here or not there:
            self._standing = Standing(epoch, 0, False)

    def state_dict(self) -> dict[str, int]:
        """Return the position after the last batch that was handed out, as integers that are equal on every rank.

        After an epoch's last batch, the position is the beginning of the next epoch.
        """
        epoch, position, _ = self._standing.at
        return {"seed": self.seed, "epoch": epoch, "position": position, "length": len(self._plan.samples)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue from a state: the next iteration begins with the batch after it.

        The batches are identical if seed, options and (batch size x world size) are; otherwise each remaining sample
        still appears once.

        Raises:
            OptionError: The state is invalid, or belongs to another seed or another set of samples.
        """
        check_state(state, self.seed, len(self._plan.samples), len(self._data))
        epoch, position = state["epoch"], state["position"]
        if position and not self._plan.left(position):  # mhp 0.1 saved the end of an epoch as a position in it
            epoch, position = epoch + 1, 0
        self._stop()
        self._standing = Standing(epoch, position, True)

    def __iter__(self) -> Iterator[Batch]:
        """Iterate over the epoch's batches, from the position of ``load_state_dict`` or from the beginning."""
        self._begin()
        return self._batches()

    def read_ahead(self) -> tuple[Iterator[Batch], Standing, Standing]:
        """Iterate for a reader that prefetches batches: the loader's position follows what the reader delivers.

        Returns:
            The epoch's batches; the position after the last one that was read; and the loader's position, which the
            reader sets at each delivery. After ``set_epoch``, ``load_state_dict`` or the start of another iteration,
            setting it has no effect.
        """
        self._begin()
        read = Standing(*self._standing.at)
        return self._batches(read), read, self._standing

    def _begin(self) -> None:
        """End the iteration in progress, and begin another at the loader's position."""
        self._stop()
        self._data.refresh()
        epoch, position, there = self._standing.at
        self._standing = Standing(epoch, position if there else 0, True)

    def _batches(self, standing: Standing | None = None) -> Iterator[Batch]:
        """Yield batches and update a position, by default the loader's."""
        standing = self._standing if standing is None else standing
        epoch, position, there = standing.at
        position = position if there else 0
        order = self._plan.order(epoch)
        makers: Makers | None = None
        if not self._plan.left(position):  # an epoch without batches
            standing.at = (epoch + 1, 0, False)
        try:
            while self._plan.left(position):
                if makers is None or makers.process != os.getpid():  # the first batch, or the first in a forked child
                    self._stop()
                    prepare("jpeg" in (split.manifest.options["image"] for split in self._data.splits), usable_cores())
                    makers = Makers(self._threads, self._desks, self._making.fill)
                    self._makers = weakref.ref(makers)
                    planned, waiting = position, deque[Draft]()
                    ahead = Ahead(self._data, self._plan, order, position)
                while len(waiting) < AHEAD and self._plan.left(planned):
                    ahead.advance()
                    draft = self._making.begin(self._plan.turn(order, planned))
                    waiting.append(draft)
                    planned = draft.turn.consumed
                    makers.begin(draft)
                draft = waiting.popleft()
                makers.wait(draft)
                batch = self._making.finish(draft, self.skipped if self._skip else None)
                position = draft.turn.consumed
                del draft  # now only the caller holds the batch, so its slot is free once the caller releases it
                last = not self._plan.left(position)
                if last:
                    makers.close()
                standing.at = (epoch + 1, 0, False) if last else (epoch, position, False)
                yield batch
                del batch
        except GeneratorExit:
            makers = None  # the threads end by themselves; waiting here, in a finaliser, would lose an interrupt
            raise
        finally:
            if makers is not None:
                self._end(makers)

    def close(self) -> None:
        """End the threads of an unfinished iteration, and close the files."""
        self._stop()
        self._data.close()

    def _stop(self) -> None:
        """End the threads of the iteration in progress."""
        makers = None if self._makers is None else self._makers()
        if makers is not None:
            self._end(makers)

    def _end(self, makers: Makers) -> None:
        """End threads; they do not try requests again that fail meanwhile."""
        self._data.halt(True)
        try:
            makers.close()
        finally:
            self._data.halt(False)


def _sets(folder: str | Path | Address | Sets, split: str) -> Sets:
    """Return the sets that the first two arguments name; raise OptionError if they are not paths or pairs."""
    if isinstance(folder, str | Path | Address):
        return [(folder, split)]
    example = 'a folder and a split, or several sets: [("rec_v1", "train"), ("rec_v2", "train")]'
    if not is_collection(folder):
        raise OptionError("folder", in_words(folder), "a path, or a list of (folder, split)", f"Pass {example}.")
    sets = list(folder)
    for one in sets:
        pair = isinstance(one, tuple | list) and len(one) == 2
        if not pair or not isinstance(one[0], str | Path | Address) or not isinstance(one[1], str):
            raise OptionError("folder", f"a list with {in_words(one)}", "pairs of (folder, split)", f"Pass {example}.")
    return sets


def _check_together(view: View, batch_size: int, mix: Mix) -> None:
    """Raise OptionError if the view does not support the other options."""
    if isinstance(view, Whole) and batch_size != 1:
        remedy = "Pass batch_size=1, or view=CentreCrop(size): whole images differ in size."
        raise OptionError("batch_size", f"{batch_size} with view=Whole()", "1", remedy)
    if not isinstance(view, TrainCrop) and (mix.weights is not None or mix.sample != "all"):
        name = "sample" if mix.weights is None else "weights"
        remedy = f"To train, pass view=TrainCrop(...); otherwise leave {name} out."
        raise OptionError(name, f"with view={type(view).__name__}(...)", "in training only", remedy)
