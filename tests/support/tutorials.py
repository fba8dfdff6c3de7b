"""Run docs/answers.md and the pages of docs/tutorials as their readers do: block by block, in an empty folder.

A block of ``bash`` is run; a block of ``python`` is saved under the name in its first line; a block of ``text`` is what
the last ``bash`` block prints, in which digits and spaces may differ, and lines may be left out, with or without
``...`` in their place. Other blocks are shown only.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from places import ROOT

PAGES = [path for path in sorted((ROOT / "docs/tutorials").glob("*.md")) if path.stem != "index"]
ANSWERS = ROOT / "docs/answers.md"
_MHP = 'mhp() { python -m mhptools "$@"; }\n'
"""Runs mhp of this environment, whose commands may not be installed."""
_BLOCK = re.compile(r"^```(bash|python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return the language and the text of each block that is run, saved or compared."""
    return _BLOCK.findall(page.read_text(encoding="utf-8"))


def alike(line: str) -> str:
    """Return a line with every number as 0, and single spaces."""
    return " ".join(re.sub(r"[\d,.]*\d", "0", line).split())


def run(page: Path, folder: Path, **environment: str) -> str:
    """Run a page in an empty folder; return all that its commands print.

    Raises:
        AssertionError: A command fails, or does not print what the page shows.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    variables = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", **environment}
    printed, everything = "", ""
    for language, text in blocks(page):
        if language == "python":
            name = re.match(r"# (\w+\.py)\n", text)
            assert name, f"{page.name}: a block of python without the name of its file"
            (folder / name[1]).write_text(text, encoding="utf-8")
        elif language == "bash":
            command = ["bash", "-e", "-o", "pipefail", "-c", _MHP + text]
            done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=1800)
            printed = done.stdout
            everything += printed
            assert done.returncode == 0, f"{page.name}: {text}{done.stdout[-1000:]}{done.stderr[-2000:]}"
        else:
            there = {alike(line) for line in printed.splitlines()}
            shown = [line for line in text.splitlines() if line.strip() not in ("", "...")]
            missing = [line for line in shown if alike(line) not in there]
            assert not missing, f"{page.name}: not printed: {missing}\n{printed[-3000:]}"
    return everything
