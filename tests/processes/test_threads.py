"""Threads: results in the order of the arguments, few at a time; the error of the first argument is raised."""

from __future__ import annotations

import sys
import threading

import pytest

import mhpdata
from mhpdata.errors import OptionError
from mhpdata.processes.threads import crew


def in_turn(function, arguments, take, workers=3):
    """Make results in a crew and take each in this thread, as packing does."""
    with crew(len(arguments), "pieces", workers, progress=False) as threads:
        for argument, result in zip(arguments, threads.each(function, arguments), strict=True):
            take(argument, result)


class Gates:
    """Lets each job end only when the test allows it."""

    def __init__(self, count):
        self.begun = [threading.Event() for _ in range(count)]
        self.open = [threading.Event() for _ in range(count)]

    def __call__(self, i):
        self.begun[i].set()
        assert self.open[i].wait(60)
        return 10 * i


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_results_are_taken_in_order_each_once(workers):
    taken = []
    in_turn(lambda i: 10 * i, range(50), lambda i, result: taken.append((i, result)), workers)
    assert taken == [(i, 10 * i) for i in range(50)]


def test_nothing_to_do():
    in_turn(None, [], None)


def test_a_result_made_early_waits_for_the_ones_before_it():
    gates, taken = Gates(3), []

    def direct():
        gates.open[1].set()
        assert gates.begun[2].wait(60)  # the thread of 1 has stored its result and begun the next
        assert not taken
        gates.open[0].set()
        gates.open[2].set()

    director = threading.Thread(target=direct)
    director.start()
    in_turn(gates, range(3), lambda i, result: taken.append((i, result)), workers=2)
    director.join()
    assert taken == [(0, 0), (1, 10), (2, 20)]


def test_only_a_few_results_wait():
    gates, waiting, most = Gates(100), [0], [0]
    lock = threading.Lock()
    for gate in gates.open[1:]:
        gate.set()

    def make(i):
        with lock:
            waiting[0] += 1
            most[0] = max(most[0], waiting[0])
            if waiting[0] == 8:
                gates.open[0].set()  # the first job, on which all wait, ends only when the queue is full
        return gates(i)

    def take(i, result):
        with lock:
            waiting[0] -= 1

    in_turn(make, range(100), take, workers=2)
    assert most[0] in (8, 9), "4 for each thread, and the one that is being taken"


@pytest.mark.parametrize("workers", [1, 3])
def test_four_results_a_thread_wait(workers):
    begun = []
    with crew(100, "pieces", workers, progress=False) as threads:
        results = threads.each(abs, (begun.append(i) or i for i in range(100)))
        assert next(results) == 0
        assert len(begun) == 4 * workers
        results.close()


def test_the_first_error_is_raised_and_what_was_before_it_is_taken():
    gates, taken = Gates(4), []

    def work(i):
        gates(i)
        if i in (1, 2):
            raise ValueError(f"piece {i}")

    def direct():
        gates.open[2].set()  # fails first in time, but not in order
        gates.open[3].set()
        gates.open[0].set()
        gates.open[1].set()

    director = threading.Thread(target=direct)
    director.start()
    with pytest.raises(ValueError, match="piece 1"):
        in_turn(work, range(4), lambda i, result: taken.append(i), workers=4)
    director.join()
    assert taken == [0]


def test_an_error_of_taking_ends_the_work_of_all():
    made = []

    def take(i, result):
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        in_turn(made.append, range(1000), take)
    assert len(made) <= 3 * 4


def test_each_yields_in_order():
    with crew(20, "pieces", 3, progress=False) as threads:
        assert list(threads.each(lambda i: i * i, range(20))) == [i * i for i in range(20)]


def test_refuses_no_threads():
    with pytest.raises(OptionError, match="workers"), crew(1, "piece", 0, progress=False):
        pass


def test_a_process_without_stderr_has_no_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with crew(2, "pieces", 1, progress=True) as threads:
        assert list(threads.each(abs, [-1, -2])) == [1, 2]


def test_threads_that_the_system_does_not_start_are_one_error(small, monkeypatch):
    start, started = threading.Thread.start, []

    def refuse(self):
        started.append(self)
        if len(started) > 2:
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(OptionError, match=r"workers: .*ulimit -v"), crew(9, "pieces", 4, progress=False):
        pass
    assert len(started) == 3 and not any(thread.is_alive() for thread in started)
    started.clear()
    loader = mhpdata.Loader(small, "train", batch_size=2, view=mhpdata.TrainCrop(64, base_size=64), threads=4)
    with pytest.raises(OptionError, match=r"threads: .*ulimit -v"):
        next(iter(loader))
    assert not any(thread.is_alive() for thread in started)
