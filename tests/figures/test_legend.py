"""The legend: the classes that occur, each with its colour."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from boxes import write_packed

import mhpdata
from mhpdata.labels import MHP_V1
from mhpmodels.figures.legend import draw_legend, legend_entries, present_classes, shared_colors
from mhpmodels.figures.page import Page

needs_matplotlib = pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs the extra viz")


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    """Pack the drawn images at source size."""
    return write_packed(tmp_path_factory.mktemp("legend"))


def test_legend_has_the_classes_present_and_no_others(rec):
    sample = mhpdata.open(rec, "val")[0]
    present = present_classes(sample.labels)
    entries = legend_entries(present, MHP_V1.names, MHP_V1.palette)
    assert entries == [("background", (255, 255, 255)), ("upper clothes", (165, 42, 42)), ("face", (70, 130, 180))]
    assert shared_colors(entries) == []


def test_legend_says_which_classes_share_a_colour_and_what_255_is():
    entries = legend_entries(range(19), MHP_V1.names, MHP_V1.palette)
    assert [name for name, _ in entries] == list(MHP_V1.names)
    assert {"left arm", "right arm"} < {name for name, _ in entries}
    assert shared_colors(entries) == [("hat", "upper clothes")]
    assert legend_entries([255], MHP_V1.names, MHP_V1.palette) == [("not counted", (0, 0, 0))]


@needs_matplotlib
@pytest.mark.parametrize("present", [(), (3,), tuple(range(19)), (*range(19), 255)], ids=len)
def test_a_drawn_legend_has_each_colour_once_and_ends_below_the_last(present):
    page = Page()
    before = page.y
    draw_legend(page, present, MHP_V1.names, MHP_V1.palette, numbered=True)
    assert (page.y > before) == bool(present)
    picture = page.picture(page.y + 40)
    colours = {tuple(MHP_V1.palette[label].tolist()) for label in present}
    for colour in colours:
        same = (picture[: page.y] == colour).all(2)
        assert same.any(), colour
    if colours:
        assert (picture[page.y :] == picture[-1, -1]).all()
