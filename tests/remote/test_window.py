"""Ranges in memory: each is fetched once, and kept as long as it will be used."""

import threading

import pytest

from mhpdata.remote import merging
from mhpdata.remote.window import Window

DATA = bytes(range(256)) * 10


class Source:
    """Fetches ranges of DATA and notes them; ``gate`` holds the answers back."""

    def __init__(self):
        self.asked, self.gate = [], threading.Event()
        self.gate.set()

    def __call__(self, start, end):
        self.asked.append((start, end))
        assert self.gate.wait(30)
        return memoryview(DATA)[start:end]


@pytest.fixture
def window(monkeypatch):
    monkeypatch.setattr(merging, "GAP", 10)
    return Window()


def test_ranges_are_merged_and_cut_out_again(window):
    source = Source()
    window.ask("a", [(100, 120), (0, 50), (55, 90)], source)
    assert bytes(window.take("a", 55, 90)) == DATA[55:90]
    assert bytes(window.take("a", 0, 50)) == DATA[:50]
    assert bytes(window.take("a", 100, 120)) == DATA[100:120]
    assert source.asked == [(0, 120)]
    assert window.take("a", 0, 49) is None
    assert window.take("b", 0, 50) is None


def test_a_range_stays_until_its_last_use(window):
    source = Source()
    window.ask("a", [(0, 5), (0, 5)], source)
    window.ask("a", [(0, 5)], source)
    for _ in range(3):
        assert bytes(window.take("a", 0, 5)) == DATA[:5]
        window.drop("a", 0, 5)
    assert window.take("a", 0, 5) is None
    assert source.asked == [(0, 5)]


def test_wrong_bytes_are_dropped_entirely(window):
    source = Source()
    window.ask("a", [(0, 5), (0, 5)], source)
    window.drop("a", 0, 5, entirely=True)
    assert window.take("a", 0, 5) is None
    window.drop("a", 0, 5)


def test_many_requests_are_under_way_and_their_errors_arrive(window):
    source = Source()
    source.gate.clear()
    window.ask("a", [(100 * i, 100 * i + 1) for i in range(16)], source)
    window.ask("a", [(7, 8)], lambda *_: 1 // 0)
    source.gate.set()
    with pytest.raises(ZeroDivisionError):
        window.take("a", 7, 8)
    assert bytes(window.take("a", 1500, 1501)) == DATA[1500:1501]
    window.clear()
    assert window.take("a", 0, 1) is None
