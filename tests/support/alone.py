"""Run each test file in its own process, each at a different hour, time zone and locale; then run the tests that read a
clock at each of the 24 hours::

    python tests/support/alone.py [--out benchmarks/results] [FILE...]

This finds files that pass only after another file, at some hours or in some locales.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SUPPORT = Path(__file__).parent
TESTS = SUPPORT.parent
ZONES = ("UTC", "Asia/Kathmandu", "America/St_Johns")
LOCALES = ("C", "C.UTF-8")
CLOCK = re.compile(r"time\.time\(|gmtime|localtime|datetime|strftime|mtime|utime|clock")
PATIENCE_S = 1800


def clock_readers(path: Path) -> Iterator[str]:
    """Return the node ids of a file's tests whose source reads a clock, or sets or compares the time of a file."""
    text = path.read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        is_test = isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        if is_test and CLOCK.search(ast.get_source_segment(text, node) or ""):
            yield f"{path.relative_to(TESTS.parent)}::{node.name}"


def run(arguments: list[str], shim: Path, number: int) -> str:
    """Run pytest at the hour, time zone and locale with this number; return its output if a test failed."""
    around = {
        "LD_PRELOAD": str(shim),
        "CLOCK_SHIFT": str(3600 * (number % 24)),
        "TZ": ZONES[number % len(ZONES)],
        "LC_ALL": LOCALES[number % len(LOCALES)],
    }
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    environment = {**os.environ, **around}
    try:
        done = subprocess.run(
            command, cwd=TESTS.parent, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        return f"{around}: no end after {PATIENCE_S} s"
    # 5: no tests collected; all tests of the file are for another environment or for make slow
    return "" if done.returncode in (0, 5) else f"{around}\n{done.stdout}{done.stderr}"


def main() -> int:
    """Run all files and report; return 1 if a test failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    files = [path.resolve() for path in options.files] or sorted(TESTS.rglob("test_*.py"))
    readers = [name for path in files for name in clock_readers(path)]
    began, failures = time.monotonic(), {}
    with tempfile.TemporaryDirectory() as folder:
        shim = Path(folder) / "clock.so"
        command = ["cc", "-shared", "-fPIC", "-O1", "-o", shim, SUPPORT / "clock.c", "-ldl"]
        subprocess.run(command, check=True)
        jobs = [(str(path.relative_to(TESTS)), [str(path)], number) for number, path in enumerate(files)]
        jobs += [(f"{len(readers)} tests at + {hour} h", readers, hour) for hour in range(24) if readers]
        with ThreadPoolExecutor(2) as pool:
            for (name, *_), failure in zip(jobs, pool.map(lambda job: run(job[1], shim, job[2]), jobs), strict=True):
                failures[name] = failure
                print(f"{'FAILED' if failure else 'passed'}  {name}", flush=True)
    failed = {name: text for name, text in failures.items() if text}
    for name, text in failed.items():
        print(f"\n--- {name}\n{text}")
    if options.out:
        row = {"files": len(files), "tests at 24 hours": readers, "failed": sorted(failed)}
        row |= {"minutes": round((time.monotonic() - began) / 60, 1), "python": sys.version.split()[0]}
        (options.out / "alone.json").write_text(json.dumps(row, indent=1) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
