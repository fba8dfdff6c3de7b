"""The reports that ``make pythons`` and ``make coverage`` write to benchmarks/results (tests/support/results.py)."""

from __future__ import annotations

import json
import platform

import pytest
import results


@pytest.fixture(autouse=True)
def out(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "OUT", tmp_path)
    return tmp_path


def write_run(path, failures):
    counts = f'tests="10" failures="{failures}" errors="1" skipped="2"'
    path.write_text(f'<testsuites><testsuite {counts}/><testsuite tests="5"/></testsuites>')
    return path


def test_a_later_run_replaces_the_row_of_its_python(out):
    other = {"Python": "3.10.1", "numpy": "2.2.6", "passed": 3}
    (out / "pythons.json").write_text(json.dumps([{**other, "Python": "3.9.20"}]))
    for failures in (4, 0):
        results.add_python(write_run(out / "run.xml", failures))
    first, row = json.loads((out / "pythons.json").read_text())
    assert first["Python"] == "3.9.20"
    assert [row[key] for key in ("Python", "passed", "failed", "skipped")] == [platform.python_version(), 12, 1, 2]
    assert f"| {platform.python_version()} |" in (out / "pythons.md").read_text()


def test_coverage_lists_modules_with_few_covered_lines(out):
    def summary(percent):
        return {"summary": {"num_statements": 50, "percent_covered": percent}}

    report = {"totals": {"percent_covered": 97.25, "num_statements": 1500}}
    report["files"] = {"mhpdata/a.py": summary(99.0), "mhpdata/b.py": summary(34.4)}
    (out / "report.json").write_text(json.dumps(report))
    results.write_coverage(out / "report.json")
    text = (out / "coverage.md").read_text()
    assert "**97.25 %** of 1,500 statements" in text
    assert "| `mhpdata/b.py` | 50 | 34 |" in text and "a.py" not in text
