"""A pool's threads end in each state (closed, finished, dropped, failed); nothing waits for an unfinished job."""

from __future__ import annotations

import gc
import os
import threading
from contextlib import contextmanager

import pytest
from interrupts import check_no_thread

from mhpdata.processes.pool import Pool


def pool(threads=2, **options):
    return Pool(threads, "mhp-test", **options)


def check_threads_end():
    check_no_thread("mhp-test")


def left():
    return [thread for thread in threading.enumerate() if thread.name.startswith("mhp-test")]


class Gate:
    """A job that ends only when the test allows it."""

    def __init__(self):
        self.begun, self.open = threading.Event(), threading.Event()

    def __call__(self):
        self.begun.set()
        return self.open.wait(60)


def test_results_and_errors_come_back():
    with pool() as ours:
        tasks = [ours.submit(divmod, 7, i) for i in (2, 0)]
        assert tasks[0].result() == tasks[0].result() == (3, 1) and tasks[0].exception() is None
        assert isinstance(tasks[1].exception(), ZeroDivisionError)
        with pytest.raises(ZeroDivisionError):
            tasks[1].result()
    assert not left()


def test_closing_drops_what_waits_and_finishing_does_it():
    for end in ("close", "finish"):
        gate, ours = Gate(), pool(1)
        running, waiting = ours.submit(gate), ours.submit(int, "5")
        assert gate.begun.wait(60)
        ending = threading.Thread(target=getattr(ours, end))
        ending.start()
        if end == "close":
            while not ours.closed:
                pass
        gate.open.set()
        ending.join()
        assert running.result() is True and not left()
        if end == "finish":
            assert waiting.result() == 5
        else:
            with pytest.raises(RuntimeError, match="has ended"):
                waiting.result()
        with pytest.raises(RuntimeError, match="has ended"):
            ours.submit(int, "6")


def test_a_pool_that_is_dropped_ends():
    ours, gate = pool(1), Gate()
    running, waiting = ours.submit(gate), ours.submit(int, "5")
    assert gate.begun.wait(60)
    del ours
    gate.open.set()
    check_threads_end()
    assert running.result() is True
    with pytest.raises(RuntimeError, match="has ended"):
        waiting.result()


def test_a_pool_in_a_cycle_may_be_closed_by_the_collector_in_its_own_thread():
    class Owner:
        def __init__(self):
            self.me, self.pool = self, pool(1)

        def __del__(self):
            self.pool.close()

    owner = Owner()
    collected = owner.pool.submit(lambda go: go.wait(60) and gc.collect(), go := threading.Event())
    del owner
    go.set()
    collected.exception()
    check_threads_end()


def test_an_error_of_a_desk_is_that_of_all_jobs():
    @contextmanager
    def desk():
        raise ArithmeticError("no desk")
        yield

    ours = pool(desk=desk)
    with pytest.raises(ArithmeticError, match="no desk"):
        ours.submit(int, "5").result()
    ours.close()
    assert not left()


def test_each_thread_has_its_desk():
    given, back = iter(range(10)), []

    @contextmanager
    def desk():
        mine = next(given)
        yield mine
        back.append(mine)

    class Note:
        def __init__(self):
            self.done = threading.Event()

        def run(self, mine):
            self.mine = mine
            self.done.set()

    with pool(3, desk=desk) as ours:
        notes = [Note() for _ in range(20)]
        for note in notes:
            ours.put(note)
        for note in notes:
            assert note.done.wait(60)
    assert {note.mine for note in notes} <= {0, 1, 2} and sorted(back) == [0, 1, 2]


def test_a_forked_child_does_not_wait_for_threads_that_it_does_not_have():
    ours = pool()
    child = os.fork()
    if not child:
        ours.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    ours.close()


def test_threads_that_cannot_be_started_leave_none(monkeypatch):
    start = threading.Thread.start

    def few(thread):
        if thread.name == "mhp-test-2":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", few)
    with pytest.raises(RuntimeError, match="can't start"):
        pool(3)
    assert not left()
