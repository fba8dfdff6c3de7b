"""The plot of the comparison with other loaders has a dot for every loader that ran, the machine and the date."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec

import pytest
from places import ROOT

pytestmark = pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs the extra viz")
RESULTS = ROOT / "benchmarks/results"


@pytest.fixture(params=["peers.json"])
def found(request):
    return json.loads((RESULTS / request.param).read_text())


@pytest.fixture
def plot(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    from peers import plot

    return plot


def test_each_loader_that_ran_is_a_dot_at_its_median_with_a_line_over_its_runs(found, plot):
    axes = plot.draw(found).axes[0]
    rows = {row["loader"]: row["CPU ms/image"] for row in found["rows"] if row["CPU ms/image"] != ""}
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert set(names) == set(rows) and len(names) == len(rows)
    dots = {names[int(y)]: x for line in axes.lines if len(line.get_xdata()) == 1 for x, y in line.get_xydata()}
    assert dots == rows
    for line in axes.lines:
        if len(line.get_xdata()) == 2:
            runs = [run["CPU ms/image"] for run in found["variants"][names[int(line.get_ydata()[0])]]["runs"]]
            assert line.get_xdata().tolist() == [min(runs), max(runs)]
            assert axes.get_xlim()[0] <= min(runs) and max(runs) <= axes.get_xlim()[1]
    assert not axes.patches, "no bars: a logarithmic axis has no zero to begin them at"
    assert axes.get_xscale() == "log"


def test_machine_and_date_stand_on_it(found, plot):
    title = plot.draw(found).axes[0].get_title(loc="right")
    for part in ("cpu", "date", "commit"):
        assert found["machine"][part] in title


def test_drawing_again_measures_nothing_and_writes_beside_the_results(found, plot, tmp_path):
    path = tmp_path / "peers.json"
    path.write_text(json.dumps(found))
    assert plot.save_plot(path) == tmp_path / "peers.png"
    first = (tmp_path / "peers.png").read_bytes()
    plot.save_plot(path)
    assert (tmp_path / "peers.png").read_bytes() == first and first.startswith(b"\x89PNG")
