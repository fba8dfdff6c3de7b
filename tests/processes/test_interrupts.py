"""Ctrl-C at any moment leaves no thread and causes no hang; the next epoch or pack is complete."""

from __future__ import annotations

import random
from functools import partial

import pytest
from interrupts import Places, check_no_thread, interrupt_after
from loading import FORMATS, digest, epoch, loader, write_packed

import mhpdata
from mhpdata.processes.threads import crew

THEIRS = pytest.mark.filterwarnings("ignore:.*(tqdm.__del__|ScandirIterator|_io.FileIO)")
"""Ignore warnings about an iterator, a bar or a file that Python closes because it was interrupted before its use."""


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    return write_packed(tmp_path_factory.mktemp("loader"), ["yuv420"], ["recordio"])["yuv420", "recordio"]


class Epochs:
    """Return a loader to interrupt, and its expected epochs."""

    def __init__(self, rec, **options):
        self.loader = loader(rec, batch_size=2, limit=8, **options)
        self.whole = [digest(epoch(self.loader)) for _ in range(3)]
        assert self.whole[0] != self.whole[1] != self.whole[2]

    def run(self):
        for _batch in self.loader:
            pass

    def check(self):
        """Assert that all threads have ended by themselves, and that the next epoch is complete."""
        check_no_thread("mhp-loader")
        number = self.loader.epoch
        assert digest(epoch(self.loader)) == self.whole[number]
        check_no_thread("mhp-loader")


def interrupt_by_signals(rec, count):
    epochs, rng = Epochs(rec), random.Random(1)
    for _ in range(count):
        epochs.loader.set_epoch(rng.randrange(2))
        interrupt_after(0.03 * rng.random() ** 2, epochs.run)
        if epochs.loader.epoch > 2:
            epochs.loader.set_epoch(epochs.loader.epoch % 3)
        epochs.check()


def test_signals_in_an_iteration(rec):
    interrupt_by_signals(rec, 100)


@pytest.mark.slow
def test_2000_signals_in_an_iteration(rec):
    interrupt_by_signals(rec, 2000)


def interrupt_at_places(rec, step):
    epochs = Epochs(rec)
    epochs.loader.set_epoch(0)
    places = Places(epochs.run)
    count = places.count()
    assert count > 300
    done = 0
    for place in range(0, count, step):
        epochs.loader.set_epoch(0)
        done += places.interrupt(place)
        epochs.check()
    assert done > count // step // 2, "there are fewer where reads are warm, but not so few"


def test_interrupts_at_places_of_an_iteration(rec):
    interrupt_at_places(rec, 29)


@pytest.mark.slow
def test_interrupts_at_every_place_of_an_iteration(rec):
    interrupt_at_places(rec, 1)


def test_an_interrupt_before_the_first_batch_keeps_where_a_state_said(rec):
    whole = Epochs(rec).whole[1]
    ours = Epochs(rec).loader
    state = {**ours.state_dict(), "epoch": 1, "position": 4}
    iterators = []

    def first():
        iterators[:] = [iter(ours)]
        next(iterators[0])

    places, kept = Places(first), 0
    ours.load_state_dict(state)
    for place in range(0, places.count(), 23):
        ours.load_state_dict(state)
        interrupted = places.interrupt(place)
        iterators.clear()
        check_no_thread("mhp-loader")
        if ours.state_dict() == state:
            assert interrupted
            kept += 1
            assert digest(epoch(ours)) == whole[2:]
    assert kept > 3


def interrupt_packing(source, folder, count, format):
    options = {"size": 64, "workers": 2, "format": format}
    mhpdata.pack(source, folder / "whole", **options)
    names = sorted(path.name for path in (folder / "whole").iterdir())
    rng = random.Random(2)
    for i in range(count):
        out = folder / str(i)
        again = partial(mhpdata.pack, source, out, overwrite=True, **options)
        interrupt_after(0.05 * rng.random() ** 2, again)
        check_no_thread("mhp-crew", "mhp-publish")
        mhpdata.pack(source, out, overwrite=rng.random() < 0.5, **options)
        assert sorted(path.name for path in out.iterdir()) == names
        for name in names:
            if name != "build.json":
                assert (out / name).read_bytes() == (folder / "whole" / name).read_bytes()


@THEIRS
def test_signals_in_a_pack(source, tmp_path):
    interrupt_packing(source, tmp_path, 8, "recordio")


@THEIRS
@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
def test_500_signals_in_a_pack(source, tmp_path, format):
    interrupt_packing(source, tmp_path, 500, format)


@THEIRS
def test_interrupts_at_places_of_a_crew():
    taken = []

    def work():
        taken.clear()
        with crew(12, "pieces", 2, progress=False) as threads:
            taken.extend(threads.each(lambda i: 2 * i, range(12)))

    work()
    places = Places(work)
    for place in range(0, places.count(), 17):
        places.interrupt(place)
        check_no_thread("mhp-crew")
        assert taken == [2 * i for i in range(len(taken))], "what was taken after the interrupt"
    work()
    assert taken == [2 * i for i in range(12)]


def test_a_thread_that_ends_by_itself_gives_its_buffers_back(rec):
    ours = loader(rec, threads=3)
    for _ in range(3):
        for batch in ours:
            del batch
    assert len(ours._desks) == 3
    assert len({id(reading) for reading, _ in ours._desks}) == 3
