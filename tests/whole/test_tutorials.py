"""The tutorials run from top to bottom, each in an empty folder, and print what they show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tutorials
from bucket_server import SETTINGS, BucketServer
from places import ROOT
from stored import NEEDS_OBSTORE

PAGE = {page.stem: page for page in tutorials.PAGES}


def needs_torch():
    pytest.importorskip("torch", reason="torch is not installed here; environment A has it")


def test_the_list_of_tutorials_has_each():
    text = (ROOT / "docs/tutorials/index.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| \[[^]]+\]\((\w[\w-]*)\.md\)", text, re.MULTILINE)) == set(PAGE)


@pytest.mark.once
@pytest.mark.parametrize("name", ["pack", "score", "own-dataset"])
def test_data(name, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed here")
    tutorials.run(PAGE[name], tmp_path)


@pytest.mark.slow
@NEEDS_OBSTORE
def test_cluster(tmp_path):
    (tmp_path / "buckets/bucket").mkdir(parents=True)
    (tmp_path / "work").mkdir()
    server = BucketServer(tmp_path / "buckets")
    try:
        tutorials.run(PAGE["cluster"], tmp_path / "work", **SETTINGS, AWS_ENDPOINT_URL=server.url)
    finally:
        server.close()


@pytest.mark.slow
def test_answers(tmp_path):
    tutorials.run(tutorials.ANSWERS, tmp_path)


def test_own_loop(tmp_path):
    needs_torch()
    printed = tutorials.run(PAGE["own-loop"], tmp_path)
    epochs = [int(one) for one in re.findall(r"^epoch (\d+): ", printed, re.MULTILINE)]
    assert epochs == list(range(6)), "the second command resumes"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["recipe", "persons"])
def test_training(name, tmp_path):
    needs_torch()
    tutorials.run(PAGE[name], tmp_path)


def page_of(folder: Path, text: str) -> Path:
    """Write a page."""
    (folder / "page.md").write_text(text, encoding="utf-8")
    return folder / "page.md"


def test_a_command_that_fails_is_found(tmp_path):
    with pytest.raises(AssertionError, match=r"page\.md: false"):
        tutorials.run(page_of(tmp_path, "```bash\nfalse\ntrue\n```\n"), tmp_path)


def test_other_output_is_found(tmp_path):
    text = "```bash\necho 12 images of a\n```\n\n```text\n{}\n```\n"
    tutorials.run(page_of(tmp_path, text.format("3  images of a\n...")), tmp_path)
    with pytest.raises(AssertionError, match=r"not printed: \['3 images of b'\]"):
        tutorials.run(page_of(tmp_path, text.format("3 images of b")), tmp_path)
