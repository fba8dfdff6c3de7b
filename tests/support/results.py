"""Write what a test run found to benchmarks/results; ``make pythons`` and ``make coverage`` run this.

python tests/support/results.py python XML      in the environment of a run: add its row to pythons.json and pythons.md
python tests/support/results.py coverage JSON   write coverage.md from the report of ``coverage json``
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from importlib.metadata import version
from pathlib import Path
from typing import Any

from places import ROOT

OUT = ROOT / "benchmarks/results"
LOW = 80
"""Percentage of covered lines below which a module is listed."""


def commit() -> str:
    """Return the commit that was tested."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Return rows as lines of a Markdown table."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *([str(cell) for cell in row.values()] for row in rows)]
    return ["| " + " | ".join(line) + " |" for line in lines]


def add_python(results: Path) -> None:
    """Add the row of a run to pythons.json, in place of that of an earlier run, and write pythons.md."""
    suites = ElementTree.parse(results).getroot().findall("testsuite")
    count = {name: sum(int(one.get(name, 0)) for one in suites) for name in ("tests", "failures", "errors", "skipped")}
    failed = count["failures"] + count["errors"]
    row = {"Python": platform.python_version()}
    row |= {name: version(name) for name in ("numpy", "numba", "h5py", "opencv-python")}
    row |= {"passed": count["tests"] - failed - count["skipped"], "failed": failed, "skipped": count["skipped"]}
    row |= {"commit": commit(), "date": time.strftime("%Y-%m-%d")}
    path = OUT / "pythons.json"
    rows = json.loads(path.read_text()) if path.exists() else []
    rows = [one for one in rows if one["Python"] != row["Python"]] + [row]
    rows.sort(key=lambda one: [int(part) for part in one["Python"].split(".")])
    path.write_text(json.dumps(rows, indent=1) + "\n")
    text = ["# The core's tests on other Pythons", "", f"{platform.system()} {platform.machine()}, `make pythons`.", ""]
    (OUT / "pythons.md").write_text("\n".join([*text, *table(rows), ""]))


def write_coverage(report: Path) -> None:
    """Write coverage.md: the covered lines of all modules together, and of each that has few."""
    content = json.loads(report.read_text())
    totals = content["totals"]
    rows = [
        {"module": f"`{name}`", "statements": one["num_statements"], "covered, %": f"{one['percent_covered']:.0f}"}
        for name, one in ((name, file["summary"]) for name, file in sorted(content["files"].items()))
        if one["percent_covered"] < LOW
    ]
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "coverage", "pytest"))
    text = [
        "# Line coverage",
        "",
        f"{time.strftime('%Y-%m-%d')}, commit {commit()}: Python {platform.python_version()}, {versions}.",
        "",
        f"**{totals['percent_covered']:.2f} %** of {totals['num_statements']:,} statements; pyproject.toml says what",
        "is omitted, and why.",
        "",
        f"Modules below {LOW} %:",
        "",
        *(table(rows) if rows else ["none"]),
        "",
    ]
    (OUT / "coverage.md").write_text("\n".join(text))


if __name__ == "__main__":
    {"python": add_python, "coverage": write_coverage}[sys.argv[1]](Path(sys.argv[2]))
