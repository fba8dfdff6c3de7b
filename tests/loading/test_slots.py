"""A block is reused as soon as no reference to it remains, and not before."""

import gc
import sys
import weakref

import numpy as np

from mhpdata.loading.slots import Slots


def lend(slots):
    return slots.lend(((2, 3, 4), np.float32), ((2, 5), np.uint8))


def test_arrays_are_aligned_and_apart():
    images, labels = lend(Slots(2))
    assert (images.shape, images.dtype, labels.shape, labels.dtype) == ((2, 3, 4), np.float32, (2, 5), np.uint8)
    assert not images.ctypes.data % 64
    assert not labels.ctypes.data % 64
    images[:] = 7
    labels[:] = 9
    assert (images == 7).all()
    assert images.flags.writeable


def test_wherever_memory_begins_arrays_are_aligned_and_within_it(monkeypatch):
    base = np.zeros(4096, np.uint8)
    base = base[-base.ctypes.data % 64 :]
    for offset in range(64):
        given = []
        monkeypatch.setattr(np, "empty", lambda size, _, o=offset, g=given: g.append(base[o : o + size]) or g[-1])
        arrays = Slots(1).lend(((5, 13), np.uint8), ((3,), np.float64), ((64,), np.uint8), ((1,), np.uint8))
        monkeypatch.undo()
        places = [array.ctypes.data for array in arrays]
        assert not any(place % 64 for place in places)
        assert np.diff(places).tolist() == [128, 64, 64], "each follows the one before as soon as it may"
        (memory,) = given
        assert places[0] >= memory.ctypes.data and places[-1] + 1 <= memory.ctypes.data + memory.size


def test_a_block_comes_back_when_its_arrays_are_gone():
    slots = Slots(2)
    images, labels = lend(slots)
    address = images.ctypes.data
    del images
    assert lend(slots)[0].ctypes.data != address
    del labels
    again = lend(slots), lend(slots)
    assert address in {arrays[0].ctypes.data for arrays in again}
    assert slots.made == 2


def test_any_view_keeps_the_block():
    slots = Slots(2)
    kinds = {
        "a slice": lambda a: a[1, 1:],
        "a reshaped view": lambda a: a.reshape(-1)[::2],
        "other bytes": lambda a: a.view(np.uint8)[0],
        "a memoryview": memoryview,
        "frombuffer": lambda a: np.frombuffer(a, np.uint8),
        "a subclass": lambda a: a.view(np.recarray),
        "dlpack": np.from_dlpack,
    }
    for kind, make in kinds.items():
        arrays = lend(slots)
        address, view = arrays[0].ctypes.data, make(arrays[0])
        del arrays
        gc.collect()
        assert lend(slots)[0].ctypes.data != address, kind
        del view


def test_no_more_blocks_are_kept_than_asked_for():
    slots = Slots(2)
    held = [lend(slots) for _ in range(6)]
    memory = [weakref.ref(arrays[0].base) for arrays in held]
    held.clear()
    gc.collect()
    assert all(ref() is None for ref in memory)
    assert len(slots._free) == 2


def test_a_smaller_block_is_not_used_for_more():
    slots = Slots(2)
    lend(slots)
    big = slots.lend(((1000,), np.float64))[0]
    big[:] = 1
    assert slots.made == 2


def test_a_small_batch_leaves_a_block_for_a_large_one():
    slots = Slots(2)
    for size in (1000, 10, 1000, 10, 1000):
        slots.lend(((size,), np.float64))
    assert slots.made == 1


def test_a_block_comes_back_without_any_code_of_ours():
    """A finaliser in Python would swallow an interrupt and print it."""
    slots, called = Slots(2), []
    arrays = lend(slots)
    address = arrays[0].ctypes.data
    outer = sys.gettrace()
    sys.settrace(lambda frame, event, argument: called.append(frame.f_code.co_name))
    del arrays
    sys.settrace(outer)
    assert not called
    assert lend(slots)[0].ctypes.data == address


def test_a_lease_that_was_cut_short_in_its_making_is_no_block():
    slots, interrupts = Slots(2), 0

    def trace(frame, event, argument):
        if frame.f_code.co_name == "lend" and frame.f_lineno > line and event == "line":
            raise KeyboardInterrupt
        return trace

    first = Slots.lend.__code__.co_firstlineno
    for line in range(first, first + 30):  # noqa: B007 (the trace uses it)
        outer = sys.gettrace()
        sys.settrace(trace)
        try:
            lend(slots)
        except KeyboardInterrupt:
            interrupts += 1
        finally:
            sys.settrace(outer)
        images, labels = lend(slots)
        images[:], labels[:] = 1, 2
        assert (images == 1).all()
    assert interrupts > 10
