"""The position of an iteration: epochs for loops that stop by length, the effect of break, states of mhp 0.1."""

from __future__ import annotations

from itertools import islice

import pytest
from loading import digest, loader, write_packed

from mhpdata.errors import OptionError


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    return write_packed(tmp_path_factory.mktemp("loader"), ["yuv420"], ["recordio"])["yuv420", "recordio"]


def copies(batches):
    return digest([[None if a is None else a.copy() for a in vars(batch).values()] for batch in batches])


@pytest.fixture(scope="module")
def epochs(rec):
    """Return three epochs of a loader that runs to its end each time."""
    ours = loader(rec)
    found = [copies(ours) for _ in range(3)]
    assert found[0] != found[1] != found[2]
    return found


def by_length(loader):
    """Iterate as Lightning does."""
    iterator = iter(loader)
    return [next(iterator) for _ in range(len(loader))]


WAYS = {
    "islice": lambda loader: islice(loader, len(loader)),
    "zip": lambda loader: (batch for _, batch in zip(range(len(loader)), loader, strict=False)),
    "by length": by_length,
    "to the end": iter,
}


@pytest.mark.parametrize("way", WAYS)
def test_each_epoch_is_another_however_the_loop_stops(rec, epochs, way):
    ours = loader(rec)
    assert [copies(WAYS[way](ours)) for _ in range(3)] == epochs


def test_the_state_after_the_last_batch_is_the_next_epochs_beginning(rec):
    for options in ({}, {"drop_last": True}, {"batch_size": 64}, {"rank": 1, "world_size": 3}):
        ours = loader(rec, **options)
        iterator = iter(ours)
        for done in range(1, len(ours) + 1):
            batch = next(iterator)
            state = ours.state_dict()
            expected = (0, done * 4 * options.get("world_size", 1)) if done < len(ours) else (1, 0)
            assert (state["epoch"], state["position"]) == expected
            del batch
        assert next(iterator, None) is None and ours.state_dict() == state


def test_no_thread_is_left_when_the_last_batch_is_handed_out(rec):
    ours = loader(rec)
    iterator = iter(ours)
    for _ in range(len(ours)):
        next(iterator)
    assert ours._makers().closed


def test_a_break_repeats_the_epoch_and_its_state_continues_it(rec, epochs):
    ours = loader(rec)
    assert copies(islice(ours, 2)) == epochs[0][:2]
    state = ours.state_dict()
    assert copies(islice(ours, 3)) == epochs[0][:3]
    ours.load_state_dict(state)
    assert copies(ours) == epochs[0][2:]


def test_a_state_is_kept_until_a_batch_is_handed_out(rec, epochs):
    ours = loader(rec)
    ours.load_state_dict({**ours.state_dict(), "position": 8})
    for _ in range(2):
        unused = iter(ours)
    del unused
    assert ours.state_dict()["position"] == 8
    assert copies(ours) == epochs[0][2:]


@pytest.mark.parametrize("when", ["before the iterator", "after it, as Lightning does"])
def test_the_epoch_of_a_state_keeps_its_position(rec, epochs, when):
    ours = loader(rec)
    ours.load_state_dict({**ours.state_dict(), "epoch": 1, "position": 8})
    if when == "before the iterator":
        ours.set_epoch(1)
        iterator = iter(ours)
    else:
        iterator = iter(ours)
        ours.set_epoch(1)
    assert copies(iterator) == epochs[1][2:]
    ours.set_epoch(1)
    assert copies(ours) == epochs[1], "from the beginning, once the state has been used"
    ours.load_state_dict({**ours.state_dict(), "epoch": 1, "position": 8})
    ours.set_epoch(2)
    assert copies(ours) == epochs[2]


def test_a_state_of_mhp_0_1_at_an_epochs_end(rec, epochs):
    for options in ({}, {"drop_last": True}):
        ours = loader(rec, **options)
        done = len(ours) * 4 if options else 18
        ours.load_state_dict({**ours.state_dict(), "position": done})
        assert ours.state_dict()["epoch"] == 1
        assert copies(ours)[:4] == epochs[1][:4]


@pytest.mark.parametrize("end", ["set_epoch", "load_state_dict", "iter", "close"])
def test_an_iteration_that_was_ended_changes_nothing(rec, end):
    ours = loader(rec)
    iterator = iter(ours)
    next(iterator)
    state = {**ours.state_dict(), "epoch": 2, "position": 4}
    {
        "set_epoch": lambda: ours.set_epoch(2),
        "load_state_dict": lambda: ours.load_state_dict(state),
        "iter": lambda: iter(ours),
        "close": ours.close,
    }[end]()
    state = ours.state_dict()
    with pytest.raises(OptionError, match="this iterator was ended"):
        list(iterator)
    assert ours.state_dict() == state


def test_an_iteration_at_its_end_is_not_ended_by_another(rec):
    ours = loader(rec)
    iterator = iter(ours)
    for _ in range(len(ours)):
        next(iterator)
    ours.set_epoch(5)
    assert list(iterator) == [] and ours.epoch == 5


def test_an_epoch_without_batches_is_over_at_once(rec):
    ours = loader(rec, limit=0)
    assert len(ours) == 0 and list(ours) == [] and ours.epoch == 1


def test_errors_that_are_kept_hold_no_batch(rec):
    def transform(image, labels, persons, rng):
        from mhpdata.errors import RecordError

        raise RecordError("record", "is damaged", "")

    ours = loader(rec, transform=transform, on_error="skip")
    for _ in range(3):
        for batch in ours:
            assert set(batch.indices.tolist()) == {-1}
            del batch
    assert len(ours.skipped) == 18
    assert ours._slots.made <= 4
