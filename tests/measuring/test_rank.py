"""Counts of a rank, with a clock of its own, and its end with its parent."""

import os
import subprocess
import sys
import textwrap
import time
from threading import BrokenBarrierError
from types import SimpleNamespace

import pytest

from mhpdata.measuring import rank
from mhpdata.settings.views import TrainCrop

OPTIONS = {"view": TrainCrop(64, base_size=64), "batch_size": 2}


@pytest.fixture
def clock(monkeypatch):
    """Replace the time by a number of seconds that only batches, meetings and sleeps advance."""

    class Clock:
        now = 0.0

        def advance(self, seconds):
            self.now += seconds

    clock = Clock()
    fake = SimpleNamespace(monotonic=lambda: clock.now, process_time=lambda: clock.now / 2, sleep=clock.advance)
    monkeypatch.setattr(rank, "time", fake)
    monkeypatch.setattr(rank, "received_bytes", lambda: int(clock.now * 1000))
    return clock


def batches(clock, seconds, images=4):
    while True:
        clock.advance(seconds)
        yield SimpleNamespace(indices=range(images))


class Meeting:
    """A barrier at which the other ranks arrive later, and which breaks after a number of steps."""

    def __init__(self, clock, seconds, steps):
        self._clock, self._seconds, self._steps = clock, seconds, steps

    def wait(self, timeout):
        if not self._steps:
            raise BrokenBarrierError
        self._steps -= 1
        self._clock.advance(self._seconds)


def test_batches_are_counted_from_one_to_another(clock):
    found = rank._drain(batches(clock, 0.5), 1.2, 3.1)
    # they arrive at 0.5, 1, 1.5 (here the count begins), 2, 2.5, 3 and 3.5
    assert (found.images, found.seconds) == (16, 2.0)
    assert (found.cpu_s, found.received, found.waited_s, found.held_s) == (1.0, 2000, 0, 0)


def test_a_replay_divides_its_time_into_waits_and_steps(clock):
    found = rank._replay(batches(clock, 0.25), (0.5, 1.0), None, 0.8, 6.0)
    # a step begins at 0.75, before the interval; counted are those from 2 on: 0.75, 1.25, 0.75, 1.25 seconds
    assert found.images == 16 and found.seconds == pytest.approx(4.0)
    assert found.waited_s == pytest.approx(1.0) and found.held_s == found.waited_s


def test_a_replay_waits_for_the_slowest_rank(clock):
    found = rank._replay(batches(clock, 0.25), (0.5,), Meeting(clock, 0.25, 100), 0.0, 9.9)
    assert found.images == 40 and found.seconds == 10
    assert found.waited_s == 2.5 and found.held_s == 5


def test_a_replay_that_another_rank_ends_keeps_its_whole_steps(clock):
    found = rank._replay(batches(clock, 0.25), (0.5,), Meeting(clock, 0.25, 3), 0.0, 9.9)
    assert found.images == 12 and found.seconds == 3
    assert rank._replay(batches(clock, 0.25), (0.5,), Meeting(clock, 0.25, 0), clock.now, 99.0).images == 0


def test_the_warm_up_takes_an_epoch_or_a_second(clock):
    for seconds, epoch, expected in ((0.125, 2, 3), (0.125, 5, 5), (0.125, 100, 8), (2.0, 100, 3)):
        begun = clock.now
        assert rank._warm(batches(clock, seconds), epoch) == seconds
        assert (clock.now - begun) / seconds == expected


def test_the_memory_is_that_of_the_whole_process_where_shares_are_unknown(monkeypatch, tmp_path):
    memory, kind = rank._memory()
    assert kind == ("PSS" if rank.ROLLUP.exists() else "peak RSS")
    monkeypatch.setattr(rank, "ROLLUP", tmp_path / "none")
    whole, kind = rank._memory()
    assert kind == "peak RSS" and whole > memory / 4 > 1e6


def test_a_rank_ends_with_its_parent(small):
    code = f"""
    import multiprocessing, os, sys
    from mhpdata.measuring.rank import Work, run_rank
    from mhpdata.settings.views import TrainCrop
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    options = {{"view": TrainCrop(64, base_size=64), "batch_size": 2}}
    work = Work({str(small)!r}, "train", options, 0, 1, 1, ())
    process = spawn.Process(target=run_rank, args=(work, theirs, None))
    process.start()
    ours.recv()
    ours.send((0.0, 1e9))
    print(process.pid, flush=True)
    os.kill(os.getpid(), 9)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, check=False)
    assert done.returncode == -9  # and the pipe of stdout, which the rank had too, is closed
    with pytest.raises(ProcessLookupError):
        for _ in range(600):
            os.kill(int(done.stdout), 0)
            time.sleep(0.1)
