"""The share of the data that a process reads: detected, given, and rejected if both disagree."""

import sys
from types import SimpleNamespace

import pytest

from mhpdata import Share
from mhpdata.errors import OptionError


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(sys.modules, "torch.distributed", raising=False)


def numbers(share):
    return share.rank, share.world_size


def launched(monkeypatch, rank, world_size):
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", world_size)


def group(monkeypatch, rank, world_size, initialised=True):
    """Simulate torch's process group without torch."""
    module = SimpleNamespace(
        is_available=lambda: True,
        is_initialized=lambda: initialised,
        get_rank=lambda: rank,
        get_world_size=lambda: world_size,
    )
    monkeypatch.setitem(sys.modules, "torch.distributed", module)


def test_one_process_reads_everything():
    assert numbers(Share()) == numbers(Share(every=True)) == (0, 1)
    assert numbers(Share(1, 3)) == (1, 3)


def test_the_launcher_s_variables_are_read(monkeypatch):
    launched(monkeypatch, "2", "4")
    assert numbers(Share()) == numbers(Share(2, 4)) == (2, 4)
    assert numbers(Share(every=True)) == (0, 1)
    with pytest.raises(OptionError, match=r"rank 0 of 1; expected rank 2 of 4, as RANK and .* Share\(every=True\)"):
        Share(0, 1)


def test_a_process_group_comes_before_the_variables(monkeypatch):
    launched(monkeypatch, "2", "4")
    group(monkeypatch, 1, 3)
    assert numbers(Share()) == (1, 3)
    with pytest.raises(OptionError, match=r"expected rank 1 of 3, as torch\.distributed says"):
        Share(2, 4)


def test_a_process_group_that_has_not_begun_says_nothing(monkeypatch):
    group(monkeypatch, 1, 3, initialised=False)
    assert numbers(Share()) == (0, 1)
    launched(monkeypatch, "2", "4")
    assert numbers(Share()) == (2, 4)


@pytest.mark.parametrize("variables", [("4", "4"), ("-1", "4"), ("one", "4"), ("0", "0")])
def test_variables_that_make_no_sense_are_an_error(monkeypatch, variables):
    launched(monkeypatch, *variables)
    with pytest.raises(OptionError, match="environment: RANK"):
        Share()


def test_half_of_the_variables_is_another_program_s(monkeypatch):
    monkeypatch.setenv("RANK", "2")
    assert numbers(Share()) == (0, 1)


@pytest.mark.parametrize("options", [{"rank": 1}, {"world_size": 2}, {"rank": 2, "world_size": 2}, {"rank": -1}])
def test_numbers_that_are_no_share(options):
    with pytest.raises(OptionError, match=r"^(rank|world_size): "):
        Share(**options)


def test_every_sample_and_a_share_contradict_each_other():
    with pytest.raises(OptionError, match="every: True with rank 0"):
        Share(0, 2, every=True)


def test_an_engine_that_knows_its_numbers_asks_nobody(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    share = Share.told(2, 3)
    assert (share.rank, share.world_size) == (2, 3)
    with pytest.raises(OptionError, match="rank"):
        Share.told(3, 3)


def test_empty_variables_count_as_not_set(monkeypatch):
    monkeypatch.setenv("RANK", "")
    monkeypatch.setenv("WORLD_SIZE", "")
    assert (Share().rank, Share().world_size) == (0, 1)
