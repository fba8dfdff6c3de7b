"""Batches as torch tensors: the loader's values, memory, order and state, with and without prefetch."""

from __future__ import annotations

import gc
import random
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from interrupts import Places, check_no_thread, interrupt_after
from loading import open_loader

import mhpmodels
from mhpdata.errors import EngineError, MissingError, OptionError
from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import open_engine
from mhpmodels.training.handover import to_torch
from mhpmodels.training.tables import read_steps
from mhpmodels.training.train import train

torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")

from mhpmodels.engines.torch.copies import Ahead, Copies  # noqa: E402


@pytest.fixture
def loader(small):
    """Return a function that opens loaders; close them at the end."""
    loaders = []

    def open_one(**options):
        loaders.append(open_loader(small, **{"batch_size": 2, "base_size": 48, "size": 32, **options}))
        return loaders[-1]

    yield open_one
    for one in loaders:
        one.close()


def copied(batches):
    return [(b.images.clone(), b.labels.clone(), b.indices.numpy().copy()) for b in batches]


def check(found, expected):
    assert len(found) == len(expected) > 1
    for (images, labels, indices), wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(images, wanted[0], rtol=0, atol=1e-6)
        assert torch.equal(labels, wanted[1]) and np.array_equal(indices, wanted[2])


def plain(batches):
    return [(torch.tensor(b.images), torch.tensor(b.labels), b.indices.copy()) for b in batches]


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "uint8", "float16"])
def test_the_batches_are_the_loaders(loader, dtype, ahead):
    expected = plain(loader(dtype="float16" if dtype == "float16" else "float32"))
    found = copied(Copies(loader(dtype=dtype), "cpu", ahead))
    check(found, expected)
    assert found[0][0].dtype == (torch.float16 if dtype == "float16" else torch.float32)


def test_all_arrays_come(loader):
    batch = next(iter(to_torch(loader(persons=True))))
    assert batch.persons.shape == batch.labels.shape and batch.boxes.shape[2] == 4 and batch.counts.shape == (2,)
    assert next(iter(to_torch(loader()))).persons is None


def test_a_batch_is_moved_as_frameworks_move_it(loader):
    from torch.utils._pytree import tree_leaves
    from torch.utils.data._utils.collate import default_convert

    batch = next(iter(to_torch(loader(persons=True))))
    assert set(batch) == {"images", "labels", "indices", "persons", "boxes", "counts"}
    assert batch.indices.dtype == torch.int64 and all(isinstance(value, torch.Tensor) for value in batch.values())
    moved = batch.to(torch.device("meta"), non_blocking=True)
    assert type(moved) is type(batch) and all(value.device.type == "meta" for value in moved.values())
    assert moved.boxes.shape == batch.boxes.shape
    plain = next(iter(to_torch(loader())))
    assert set(plain) == set(plain.to("cpu")) == {"images", "labels", "indices"} and plain.to("cpu").persons is None
    again = default_convert(plain)
    assert type(again) is type(plain) and torch.equal(again.images, plain.images)
    assert tree_leaves({**plain}) == list(plain.values())
    assert len({**plain}) == 3
    with pytest.raises(AttributeError, match="read-only"):
        plain.images = None


def test_pinned_memory_is_asked_of_every_tensor(loader, monkeypatch):
    asked = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: asked.append(tensor.dtype) or tensor)
    batch = next(iter(to_torch(loader())))
    assert set(batch.pin_memory()) == set(batch) and len(asked) == 3


def test_a_split_without_labels_has_none(loader):
    from mhpdata.loading.batch import Batch

    images, indices = np.zeros((1, 3, 4, 4), np.float32), np.zeros(1, np.int64)
    batch = Copies(loader(), "cpu")._move(Batch(images, None, indices))
    assert batch.labels is None and set(batch) == {"images", "indices"}


def test_on_the_cpu_a_tensor_is_the_loaders_memory_and_gives_it_back(loader):
    one = loader()
    for batch in to_torch(one):
        assert batch.images.is_contiguous() and batch.images.data_ptr() % 64 == 0
        del batch
    gc.collect()
    made = one._slots.made
    for _ in range(3):
        for batch in to_torch(one):
            del batch
    assert one._slots.made == made, "slots were not used again"
    kept = [batch.images for batch in to_torch(one)]
    check([(images, torch.zeros(1), np.zeros(1)) for images in kept],
          [(images.clone(), torch.zeros(1), np.zeros(1)) for images in kept])  # fmt: skip
    assert len({images.data_ptr() for images in kept}) == len(kept), "memory that is held was used again"


@pytest.mark.parametrize("ahead", [False, True])
def test_an_epoch_without_batches_is_over(loader, ahead):
    one = Copies(loader(limit=0), "cpu", ahead)
    for epoch in (1, 2):
        assert list(one) == [] and one.state_dict()["epoch"] == epoch


@pytest.mark.parametrize("ahead", [False, True])
def test_between_epochs_the_loader_itself_may_be_told_the_next(loader, ahead):
    one = loader()
    batches = Copies(one, "cpu", ahead)
    first = copied(batches)
    one.set_epoch(0)
    check(copied(batches), first)


@pytest.mark.parametrize("ahead", [False, True])
def test_the_loader_itself_stands_where_the_loop_does(loader, ahead):
    expected, one = plain(loader()), loader()
    batches, states = Copies(one, "cpu", ahead), []
    for batch in batches:
        del batch
        states.append(one.state_dict())
        assert states[-1] == batches.state_dict() and one.epoch == batches.epoch
    assert [(state["epoch"], state["position"]) for state in states] == [(0, 2), (0, 4), (1, 0)]
    one.load_state_dict(states[0])
    check(copied(batches), expected[1:])


@pytest.mark.parametrize("ahead", [False, True])
def test_after_a_break_the_loader_itself_may_be_told_where_to_begin(loader, ahead):
    expected, one = loader(), loader()
    batches, state = Copies(one, "cpu", ahead), {**one.state_dict(), "position": 2}
    next(iter(batches))
    one.set_epoch(3)
    expected.set_epoch(3)
    check(copied(batches), plain(expected))
    next(iter(batches))
    one.load_state_dict(state)
    expected.set_epoch(0)
    check(copied(batches), plain(expected)[1:])


@pytest.mark.parametrize("ahead", [False, True])
def test_the_state_counts_what_was_given_out(loader, ahead):
    expected = plain(loader())
    one = Copies(loader(), "cpu", ahead)
    for batch in one:
        state = one.state_dict()
        del batch
        break
    other = Copies(loader(), "cpu", ahead)
    other.load_state_dict(state)
    check(copied(other), expected[1:])
    assert other.state_dict() == {**state, "epoch": 1, "position": 0}


@pytest.mark.parametrize("ahead", [False, True])
def test_epochs_and_length(loader, ahead):
    one, plain_one = Copies(loader(), "cpu", ahead), loader()
    assert len(one) == len(plain_one) == 3
    for epoch in (3, 1):
        one.set_epoch(epoch)
        plain_one.set_epoch(epoch)
        check(copied(one), plain(plain_one))


@pytest.mark.parametrize("ahead", [False, True])
def test_each_epoch_is_another_when_the_loop_stops_by_length(loader, ahead):
    expected, one = loader(), Copies(loader(), "cpu", ahead)
    for epoch in range(3):
        iterator = iter(one)
        check(copied(next(iterator) for _ in range(len(one))), plain(expected))
        assert (one.state_dict()["epoch"], one.state_dict()["position"]) == (epoch + 1, 0)
        assert next(iterator, None) is None


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("done", [1, 2])
def test_a_break_repeats_the_epoch_though_the_last_batch_was_copied_ahead(loader, ahead, done):
    expected, one = plain(loader()), Copies(loader(), "cpu", ahead)
    for _ in range(2):
        iterator = iter(one)
        check(copied(next(iterator) for _ in range(done)) + expected[done:], expected)
        state = one.state_dict()
        assert (state["epoch"], state["position"]) == (0, 2 * done)
    one.close()
    assert one.state_dict() == state, "closing forgets nothing"
    other = Copies(loader(), "cpu", ahead)
    other.load_state_dict(state)
    other.sampler.set_epoch(0)  # as Lightning does
    check(expected[:done] + copied(other), expected)


def test_an_iteration_that_was_ended_says_so(loader):
    one = Copies(loader(), "cpu", ahead=True)
    iterator = iter(one)
    next(iterator)
    one.set_epoch(3)
    with pytest.raises(OptionError, match="this iterator was ended"):
        next(iterator)
    assert one.state_dict()["epoch"] == 3


def test_interrupts_at_places_of_a_copy_ahead(loader):
    one = Copies(loader(), "cpu", ahead=True)
    state = {**one.state_dict(), "position": 2}
    expected = plain(loader())[1:]
    one.load_state_dict(state)
    places = Places(lambda: [batch.images for batch in one])
    for place in range(0, places.count(), 37):
        one.load_state_dict(state)
        places.interrupt(place)
        check_no_thread("mhp-copies", "mhp-loader")
        if one.state_dict() == state:
            check(copied(one), expected)
        else:
            one.set_epoch(0)
            check(copied(one)[1:], expected)


def test_signals_while_a_batch_is_copied_ahead(loader):
    one, rng = Copies(loader(), "cpu", ahead=True), random.Random(3)
    expected = plain(loader())
    for _ in range(10):
        interrupt_after(0.02 * rng.random() ** 2, lambda: [batch.images for batch in one])
        check_no_thread("mhp-copies", "mhp-loader")
        one.set_epoch(0)
        check(copied(one), expected)


def test_an_error_of_the_loader_comes_through(loader):
    def fail(*_):
        raise ArithmeticError("mine")

    with pytest.raises(ArithmeticError, match="mine"):
        list(Copies(loader(transform=fail), "cpu", ahead=True))


def test_the_engine_knows_its_batches_again(loader):
    ahead = Ahead(loader(dtype="uint8"), "cpu", ahead=True)
    for batch in ahead:
        taken = ahead.take(batch.images)
        images, labels = taken.images, taken.labels
        assert images.dtype == torch.float32 and torch.equal(labels, torch.from_numpy(batch.labels))
        assert ahead.take(batch.images.copy()) is None
    assert ahead.take(batch.images) is None


def test_a_run_whose_batches_are_made_ahead_is_the_same_run(small, tmp_path):
    options = {"classes": 19, "base_size": 48, "crop_size": 32, "batch_size": 2, "epochs": 2, "workers": 1}
    config = TrainConfig.of(data=str(small), engine="torch", model="torch_tiny:Small", **options)

    def with_a_thread(config):
        engine = open_engine(config)

        def prefetch(loader):
            engine.trainer.ahead = Ahead(loader, "cpu", ahead=True)
            return engine.trainer.ahead

        engine.prefetch = prefetch
        return engine

    curves = []
    for name, opener in (("plain", open_engine), ("thread", with_a_thread)):
        train(config, tmp_path / name, open_engine=opener)
        curves.append([replace(row, seconds=0, waited=0) for row in read_steps(tmp_path / name)])
    assert curves[0] == curves[1] and len(curves[0]) > 2


LEFT = """
import contextlib, sys, time
import mhpdata
from mhpmodels.engines.torch.copies import Copies
def slow(image, labels, persons, rng):
    time.sleep(0.2)
    return image, labels
view, output = mhpdata.TrainCrop(32, base_size=48), mhpdata.Output(transform=slow)
loader = mhpdata.Loader(sys.argv[1], batch_size=2, view=view, output=output, threads=1)
with contextlib.closing(Copies(loader, "cpu", ahead=True)) as copies:
    batches = iter(copies)
    next(batches)
    raise ArithmeticError("mine")
"""


def test_an_error_in_a_step_ends_the_program_although_a_batch_is_on_its_way(small):
    done = subprocess.run([sys.executable, "-c", LEFT, small], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 1 and "ArithmeticError: mine" in done.stderr


def test_an_error_of_a_copy_is_raised_where_the_engine_watches(loader, monkeypatch):
    @contextmanager
    def watched():
        try:
            yield
        except torch.OutOfMemoryError as error:
            raise EngineError("cuda:0", "out of memory") from error

    def fail(*_):
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(Copies, "_move", fail)
    with pytest.raises(EngineError, match="out of memory"):
        list(Ahead(loader(), "cpu", ahead=True, watched=watched))


def test_mhpmodels_has_it_without_importing_torch():
    assert mhpmodels.to_torch is to_torch
    with pytest.raises(AttributeError, match="no attribute 'to_mars'"):
        _ = mhpmodels.to_mars
    code = "import sys, mhpmodels; mhpmodels.to_torch; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize("what", ["rec", None, [1]])
def test_only_a_loader_is_wrapped(what):
    with pytest.raises(OptionError, match=r"loader: .*; expected a mhpdata\.Loader"):
        to_torch(what)


def test_a_device_that_torch_does_not_know_or_see(loader):
    one = loader()
    for device in ("gpu", "cuda:x", 2.5):
        with pytest.raises(OptionError, match=r"device: .*; expected a device of torch\."):
            to_torch(one, device)
    with pytest.raises(EngineError, match=r"device: cuda:99, but torch .* sees \d+ GPU"):
        to_torch(one, "cuda:99")
    if not torch.cuda.is_available():
        with pytest.raises(EngineError, match=r"device: cuda, but torch .* sees 0 GPUs"):
            to_torch(one, "cuda")


def test_without_torch(loader, monkeypatch):
    monkeypatch.setitem(sys.modules, "mhpmodels.engines.torch.copies", None)
    with pytest.raises(MissingError, match=r'pip install "\.\[torch\]"'):
        to_torch(loader())
