"""The messages that docs/reliability.md quotes are those of mhp: each mistake is made, and its message compared.

Numbers may differ: they depend on the versions of encoders. A quote that ends in "..." is the beginning of a message.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mistakes import DEFECTS, PACKED, SOURCES
from places import ROOT

import mhpdata
from mhpdata.errors import WITHOUT, MhpError, copy_again
from mhpdata.synth.writing.folder import synthesize

pytestmark = pytest.mark.once

ROW = re.compile(
    r"^\| ([^|`]+) \| `((?:Folder|Mask|Image|Unreadable|Record|Shard|Manifest|Option|Output)Error: .*)` \|$"
)


def quotes() -> dict[str, str]:
    """Return the messages of both tables by the words for the input."""
    lines = (ROOT / "docs/reliability.md").read_text(encoding="utf-8").splitlines()
    return {row[1]: row[2] for line in lines if (row := ROW.match(line))}


def same(quoted: str, message: str) -> bool:
    """Return whether a quote is a message, or its beginning; numbers do not count."""
    quoted, message = (re.sub(r"\d+", "0", text) for text in (quoted, message))
    return message.startswith(quoted.removesuffix("...").rstrip()) if quoted.endswith("...") else quoted == message


def raised(call: Callable[[], object]) -> str:
    """Return the class and the text of the error that a call raises."""
    with pytest.raises(MhpError) as caught:
        call()
    return f"{type(caught.value).__name__}: {caught.value}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Hold a synthetic download D with one of each defect, a good one G, and G packed as rec."""
    root = tmp_path_factory.mktemp("quoted")
    for name, defects in (("D", True), ("G", False)):
        synthesize(root / name, images=16, scale=0.1, defects=defects, workers=1)
    mhpdata.pack(root / "G", root / "rec", size=0, workers=1)
    return root


@pytest.fixture
def place(folder, tmp_path, monkeypatch):
    """Go to a folder with copies of the good download and its pack."""
    shutil.copytree(folder / "G", tmp_path / "D")
    shutil.copytree(folder / "rec", tmp_path / "rec")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_tables_have_what_is_tested_and_nothing_else():
    assert set(quotes()) == {*DEFECTS, *SOURCES, *PACKED}


def test_the_endings_that_are_quoted_once_are_those_of_mhp():
    page = " ".join((ROOT / "docs/reliability.md").read_text(encoding="utf-8").split())
    assert f"*{WITHOUT}*" in page and f"*{copy_again('FILE')}*" in page


def test_defects_of_a_download(folder, monkeypatch):
    monkeypatch.chdir(folder)
    ids = dict(line.split() for line in Path("D/DEFECTS.txt").read_text().splitlines())
    problems = [f"{type(error).__name__}: {error}" for error in mhpdata.verify_source("D", workers=1).findings]
    said = quotes()
    for words, defect in DEFECTS.items():
        if defect.startswith("list"):
            matching = [problem for problem in problems if same(said[words], problem)]
        else:
            matching = [one for one in problems if re.search(rf"\b{ids[defect]}[._ ]", one) and same(said[words], one)]
        assert matching, f"{words}: {said[words]} is none of {problems}"


@pytest.mark.parametrize("words", [*SOURCES, *PACKED])
def test_other_mistakes(words, place):
    message = raised({**SOURCES, **PACKED}[words])
    quoted = quotes()[words]
    assert same(quoted, message), f"{words}:\n  docs/reliability.md says {quoted}\n  mhp says {message}"
