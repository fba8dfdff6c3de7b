"""The documentation site: what make docs builds it from, and the checks that it makes."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import click
import pytest
import site_check
import site_commands
import site_names
import site_pages
from places import ROOT

from mhptools.mhp import COMMANDS

CONFIG = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Gather the folder that mkdocs builds the site from."""
    out = tmp_path_factory.mktemp("site") / "pages"
    site_pages.gather(out)
    return out


def test_every_page_is_in_the_navigation(pages):
    listed = re.findall(r"([\w/.-]+\.md)$", CONFIG.partition("\nnav:\n")[2], re.MULTILINE)
    there = {path.relative_to(pages).as_posix() for path in pages.rglob("*.md")}
    assert len(listed) == len(set(listed)) and set(listed) == there - {"site.css"}


def test_links_that_leave_docs_lead_to_copies(pages):
    text = (pages / "cluster.md").read_text(encoding="utf-8")
    assert "](files/examples/slurm/pack.sh)" in text and "](../" not in text
    copied = pages / "files/examples/slurm/pack.sh"
    assert copied.read_bytes() == (ROOT / "examples/slurm/pack.sh").read_bytes()


@pytest.mark.parametrize(
    ("page", "link", "placed"),
    [
        ("docs/a.md", "b.md#c", "b.md#c"),
        ("docs/x/a.md", "../b.md", "../b.md"),
        ("docs/x/a.md", "../../CHANGELOG.md", "../changelog.md"),
        ("docs/x/a.md", "../../examples/y.py", "../files/examples/y.py"),
        ("CHANGELOG.md", "docs/b.md", "b.md"),
        ("docs/a.md", "https://host/a", "https://host/a"),
        ("docs/a.md", "#c", "#c"),
    ],
)
def test_links_are_adapted(page, link, placed):
    assert site_pages.placed(f"see [this]({link}).", Path(page))[0] == f"see [this]({placed})."


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_of_a_command_has_its_options(pages, name):
    text = (pages / f"reference/commands/{name}.md").read_text(encoding="utf-8")
    command = importlib.import_module(f"mhptools.{name}").main
    shown = {flag for names in re.findall(r"^`(-.*)`$", text, re.MULTILINE) for flag in re.findall(r"--[\w-]+", names)}
    options = [one for one in command.get_params(click.Context(command)) if isinstance(one, click.Option)]
    assert shown == {
        flag for one in options if not one.hidden for flag in (*one.opts, *one.secondary_opts) if len(flag) > 2
    }
    assert "\b" not in text and len(re.findall("^```", text, re.MULTILINE)) % 2 == 0


def test_help_becomes_markdown():
    assert site_commands.prose("Pass --data or <a> of *b*.") == r"Pass `--data` or \<a\> of \*b\*.".replace(r"\>", ">")
    block = "\b\nExample:\n  mhp show rec/    draws\n  mhp show --run RUN\n\nSee\nthere."
    lines = site_commands.paragraphs(block)
    assert lines == [
        "Example:",
        "",
        "```bash",
        "# draws",
        "mhp show rec/",
        "mhp show --run RUN",
        "```",
        "",
        "See there.",
        "",
    ]


def test_all_public_names_are_documented(capsys):
    assert site_names.main() == 0, capsys.readouterr().out


def test_names_that_the_pages_import_are_in_the_reference():
    text = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("docs/**/*.md"))
    code = "".join(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    found = re.findall(r"^\s*from (mhp(?:data|models)[\w.]*) import ([\w, ]+)$", code, re.MULTILINE)
    named = {f"{module}.{name.split()[0]}" for module, names in found for name in names.split(", ")}
    named |= set(re.findall(r"\b(mhp(?:data|models)\.[A-Za-z]\w+)\(", code))
    assert len(named) > 12 and not named - set(site_names.names())


def test_a_missing_docstring_is_found():
    def bare(one, two):
        """Do.

        Args:
            two: A number.
        """

    class Empty:
        def method(self):
            pass

    assert list(site_names.problems("bare", bare)) == ["bare: not described: one"]
    assert list(site_names.problems("Empty", Empty)) == ["Empty: no docstring", "Empty.method: no docstring"]


@pytest.fixture
def site(tmp_path):
    """Write a site of two pages with a search index that has every word."""
    (tmp_path / "search").mkdir()
    docs = [f'{{"location": "{place}.html#x", "text": "{word}"}}' for word, place in site_check.FOUND.items()]
    (tmp_path / "search/search_index.json").write_text(f'{{"docs": [{",".join(docs)}]}}')
    (tmp_path / "a.html").write_text('<h1 id="x">A</h1><a href="b.html#y">b</a><a href="https://host/">c</a>')
    (tmp_path / "b.html").write_text('<p id="y"><a href="a.html">a</a><a href="#y">y</a>')
    return tmp_path


def test_a_whole_site_has_no_problems(site):
    assert list(site_check.problems(site)) == []


@pytest.mark.parametrize(
    ("html", "problem"),
    [
        ('<script src="https://cdn.example/x.js"></script>', "c.html: loads https://cdn.example/x.js"),
        ('<link rel="stylesheet" href="//fonts.example/f.css">', "c.html: loads //fonts.example/f.css"),
        ('<img src="none.png">', "c.html: none.png leads nowhere"),
        ('<a href="b.html#z">', "c.html: b.html#z has no such anchor"),
        ('<div class="mermaid">', "c.html: loads https://unpkg.com/mermaid"),
    ],
)
def test_a_broken_page_is_found(site, html, problem):
    (site / "c.html").write_text(html)
    assert list(site_check.problems(site)) == [problem]


def test_a_stylesheet_that_loads_from_elsewhere_and_a_poor_index_are_found(site):
    (site / "c.css").write_text("a { background: url(https://host/x.png) }")
    (site / "search/search_index.json").write_text('{"docs": []}')
    found = list(site_check.problems(site))
    assert found[0] == "c.css: loads from elsewhere" and len(found) == 1 + len(site_check.FOUND)
