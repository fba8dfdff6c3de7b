"""The end of an iteration and its continuation elsewhere: errors, break, close, interpreter exit, fork, pickle."""

import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
from interrupts import check_no_thread
from loading import epoch, loader, write_packed

import mhpdata
from mhpdata.errors import OptionError


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    return write_packed(tmp_path_factory.mktemp("loader"), ["yuv420"], ["recordio"])["yuv420", "recordio"]


def threads_left():
    return sum(thread.name.startswith("mhp-loader") for thread in threading.enumerate())


def check_threads_end():
    check_no_thread("mhp-loader")


def test_an_error_in_a_transform_comes_at_its_batch(rec):
    def transform(image, labels, persons, rng):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        epoch(loader(rec, transform=transform))
    assert threads_left() == 0


def test_break_and_exceptions_end_the_threads(rec):
    ours = loader(rec)
    for _batch in ours:
        assert threads_left() == 2
        break
    check_threads_end()
    with pytest.raises(KeyError):
        for _batch in ours:
            raise KeyError
    check_threads_end()
    iterator = iter(ours)
    next(iterator)
    ours.close()
    assert threads_left() == 0


def test_whoever_waits_for_a_batch_of_a_loader_that_is_closed_gets_an_error(rec):
    begun, go_on = threading.Event(), threading.Event()

    def transform(image, labels, persons, rng):
        begun.set()
        go_on.wait(60)
        return image, labels

    ours, found = loader(rec, transform=transform, on_error="skip"), []  # closing is not a skipped record

    def wait():
        with pytest.raises(OptionError, match=r"this iterator was ended.*Open a second Loader"):
            next(iter(ours))
        found.append("error")

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert begun.wait(60)
    closing = threading.Thread(target=ours.close)
    closing.start()
    while not ours._makers().closed:
        time.sleep(0.01)
    go_on.set()
    for thread in (closing, waiting):
        thread.join(60)
    assert found == ["error"] and threads_left() == 0


def test_a_new_iteration_begins_at_the_beginning(rec):
    ours = loader(rec)
    first = next(iter(ours)).indices.tolist()
    assert next(iter(ours)).indices.tolist() == first


@pytest.mark.parametrize("end", ["another", "close"])
def test_an_iteration_that_was_ended_says_so_and_does_not_wait(rec, end):
    ours = loader(rec, batch_size=2)
    epoch(ours)  # all records are known
    with pytest.raises(OptionError, match="this iterator was ended"):
        for _batch in ours:
            time.sleep(0.05)  # batches in progress are finished
            if end == "close":
                ours.close()
            else:
                next(iter(ours))
    check_threads_end()


def test_threads_that_cannot_be_started_leave_none(rec, monkeypatch):
    start, started = threading.Thread.start, []

    def few(thread):
        if thread.name.startswith("mhp-loader"):
            if len(started) == 2:
                raise RuntimeError("can't start new thread")
            started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", few)
    with pytest.raises(OptionError, match=r"threads: .*ulimit"):
        next(iter(loader(rec, threads=3)))
    assert len(started) == 2 and threads_left() == 0


def run(code, *arguments):
    """Run a script; it must end by itself."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert not done.stderr
    return done.returncode, done.stdout.split()


OPEN = "import sys, mhpdata; loader = mhpdata.Loader(sys.argv[1], 'train', 4, mhpdata.TrainCrop(48, 64), threads=3)\n"


def test_the_interpreter_ends_with_an_iteration_left_open(rec):
    assert run(OPEN + "it = iter(loader); print(len(next(it).indices))", rec) == (0, ["4"])


def test_an_iteration_begun_while_the_interpreter_ends_is_an_error(rec):
    code = """class Left:
        def __del__(self):
            try:
                list(loader)
            except Exception as error:
                print(type(error).__name__)
    left = Left()
    """
    assert run(OPEN + textwrap.dedent(code.replace("class", "    class", 1)), rec) == (0, ["OptionError"])


def test_a_forked_child_goes_on_where_it_was(rec):
    code = """
    import os, zlib
    it = iter(loader)
    next(it)  # the threads are at work on the next two
    child = os.fork()
    rest = [zlib.crc32(batch.images) for batch in it]
    print(len(rest), *rest, flush=True)
    if child:
        assert os.waitpid(child, 0)[1] == 0
    """
    status, words = run(OPEN + textwrap.dedent(code), rec)
    assert status == 0
    assert words[:5] == words[5:]


def test_open_splits_can_be_pickled_into_workers(rec):
    import pickle

    split = pickle.loads(pickle.dumps(mhpdata.open(rec, "train")))
    np.testing.assert_array_equal(split[3].image, mhpdata.open(rec, "train")[3].image)
