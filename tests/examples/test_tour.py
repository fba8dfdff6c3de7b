"""examples/tour.ipynb is made by tests/support/tour.py, is small, and runs from top to bottom (make slow)."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
import tour
from places import ROOT, SUPPORT

MOST_BYTES = 200_000
"""Return the text of an output as stored in the file."""


def cells(content):
    return [(cell["cell_type"], "".join(cell["source"])) for cell in content["cells"]]


def outputs(content):
    return [output for cell in content["cells"] for output in cell.get("outputs", ())]


def pictures(content):
    text = json.dumps(outputs(content))
    return text.count("data:image/jpeg;base64,"), text.count('"image/jpeg"')


@pytest.fixture(scope="module")
def kept():
    return json.loads(tour.PATH.read_text(encoding="utf-8"))


def test_the_notebook_is_that_of_the_script(kept):
    assert cells(kept) == cells(tour.notebook())
    assert (kept["nbformat"], kept["nbformat_minor"]) == (4, 5)


def test_the_notebook_is_plain_json(kept):
    assert tour.PATH.read_text(encoding="utf-8") == tour.text_of(kept)


def test_its_outputs_are_whole_and_small(kept):
    numbers = [cell["execution_count"] for cell in kept["cells"] if cell["cell_type"] == "code"]
    assert numbers == list(range(1, len(numbers) + 1)), "run from top to bottom: tests/support/tour.py --run"
    assert pictures(kept) == (6 + 6, 1 + 2)
    assert max(len(json.dumps(output)) for output in outputs(kept)) < MOST_BYTES
    assert not {output["output_type"] for output in outputs(kept)} - {"execute_result", "display_data", "stream"}


def test_it_names_no_folder_of_the_machine_that_ran_it(kept):
    text = json.dumps([output for output in outputs(kept) if "image/jpeg" not in output.get("data", {})])
    assert not re.search(rf"/(home|root|tmp)/|{re.escape(str(ROOT))}", text.replace("base64,/", ""))


@pytest.mark.slow
def test_it_runs(tmp_path):
    python = ROOT / ".venv" / "notebook" / "bin" / "python"
    assert python.exists(), f"{python}: missing; make slow makes it"
    command = [python, SUPPORT / "tour.py", "--run", tmp_path / "tour.ipynb"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    content = json.loads((tmp_path / "tour.ipynb").read_text(encoding="utf-8"))
    assert cells(content) == cells(tour.notebook()) and pictures(content) == (6 + 6, 1 + 2)
    text = "".join(line for output in outputs(content) for line in output.get("text", ()))
    assert "Epoch 15 validation pixAcc: 0." in text and "9 images of test" in text
    assert float(text.rsplit("pixAcc: ", 1)[1].split(",")[0]) > 0.5, "it has learnt where no person is, at least"
