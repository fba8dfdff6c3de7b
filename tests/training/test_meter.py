"""Speeds and remaining times."""

import pytest

from mhpmodels.training.meter import Meter, clock
from mhpmodels.training.tables import StepRow


def test_a_meter_counts_one_epoch():
    meter = Meter(steps=4, epochs=3)
    for epoch, seconds in ((0, 2.0), (1, 4.0)):
        meter.begin(epoch, 0)
        for i in range(4):
            meter.step(StepRow(0, epoch, i + 1, 1.0, 1.0, 1.0, 1, 8, seconds, 0.5), 1.0)
        assert meter.text() == f"{8 / seconds:.3g} images/s, {0.5 / seconds:.1%} waiting for the loader"
        assert meter.left(4) == pytest.approx(4 * seconds)
        meter.end()
    meter.validated(10.0)
    assert meter.left(8) == pytest.approx(8 * 4.0 + 2 * 10.0)


def test_the_images_of_all_processes_count():
    meter = Meter(steps=4, epochs=3, world_size=8)
    meter.begin(0, 0)
    meter.step(StepRow(0, 0, 1, 1.0, 1.0, 1.0, 1, meter.images(2), 4.0, 0.0), 1.0)
    assert meter.text().startswith("4 images/s,")
    meter.end()


@pytest.mark.parametrize("seconds, text", [(0, "0:00"), (7.4, "0:07"), (754, "12:34"), (11530, "3:12:10")])
def test_clock(seconds, text):
    assert clock(seconds) == text
