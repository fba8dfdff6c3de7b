"""Check that what README and docs name exists: links, files, commands and their flags, make targets, modules."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import click
import pytest
from places import ROOT

from mhptools.mhp import COMMANDS

PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")), *sorted(ROOT.glob("docs/**/*.md"))]
FOLDERS = ("mhpdata", "mhpmodels", "tools", "tests", "benchmarks", "examples", "docs", "constraints")
COMMAND = re.compile(r"\bmhp[ -]({})\b([^`\n|;]*)".format("|".join(COMMANDS)))
FLAG = re.compile(r"(?<![\w-])(--?[A-Za-z][\w-]*)")
OTHERS = {
    *("--no-deps", "--force-reinstall", "--upgrade"),  # pip
    *("--nnodes", "--nproc-per-node", "--max-restarts", "--local-addr", "--limit", "-m"),  # torchrun
    *("--rdzv-backend", "--rdzv-id", "--rdzv-endpoint", "--rdzv-conf"),
    *("--list", "--error-on-missing-interpreters"),  # nox
    *("-y",),  # apt-get
    *("--array", "--parsable", "--dependency"),  # sbatch
    *("--host",),  # dask
}
"""Flags of other programs."""

page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)


def text_of(path: Path) -> str:
    """Return a page with the continued lines of its commands joined."""
    return path.read_text(encoding="utf-8").replace("\\\n", " ")


def code_in(text: str) -> list[str]:
    """Return what stands in backticks, and the lines of blocks."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^```\w*\n.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return [*re.findall(r"`([^`]+)`", prose), *"".join(blocks).splitlines()]


def flags_of(name: str) -> set[str]:
    """Return all flags of a command."""
    command = importlib.import_module(f"mhptools.{name}").main
    assert isinstance(command, click.Command)
    options = command.get_params(click.Context(command, **command.context_settings))
    return {flag for one in options for flag in (*one.opts, *one.secondary_opts)}


@pytest.fixture(scope="module")
def flags():
    return {name: flags_of(name) for name in COMMANDS}


@page
def test_links_lead_to_files_and_headings(path):
    targets = [one for one in re.findall(r"\]\(([^)\s]+)\)", text_of(path)) if not one.startswith("http")]
    for target in targets:
        name, _, anchor = target.partition("#")
        page = path.parent / name if name else path
        assert page.exists(), target
        assert not anchor or anchor in anchors(page), target


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings: lower case, hyphens for spaces, no other punctuation."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@page
def test_files_of_the_repository_exist(path):
    named = re.findall(r"(?<![\w/.-])((?:{})/[\w./*-]*\w)".format("|".join(FOLDERS)), text_of(path))
    for name in named:
        name = name.replace("ROOM", "*").replace("MODULE", "*")
        assert list(ROOT.glob(name)) or (ROOT / f"{name}.py").exists(), name


@page
def test_commands_have_the_flags_that_are_shown(path, flags):
    for code in code_in(text_of(path)):
        for name, arguments in COMMAND.findall(code.split(" # ")[0]):
            given = FLAG.findall(arguments.split(" -- ")[0])
            assert set(given) <= flags[name], f"mhp {name}: {set(given) - flags[name]}"


@page
def test_flags_belong_to_some_command(path, flags):
    known = OTHERS.union(*flags.values())
    for code in code_in(text_of(path)):
        if code.startswith("-"):
            assert set(FLAG.findall(code)) <= known, code


@page
def test_make_targets_exist(path):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = [one for code in code_in(text_of(path)) for one in re.findall(r"^make ([a-z-]+)", code)]
    assert set(named) <= targets


@page
def test_modules_and_names_exist(path):
    for name in re.findall(r"`((?:mhpdata|mhpmodels)(?:\.\w+)+)", text_of(path)):
        assert resolves(name.split(".")), name


def resolves(parts: list[str]) -> bool:
    """Return whether a dotted name is a module, or an attribute of one."""
    found = importlib.import_module(parts[0])
    for index, part in enumerate(parts[1:], start=2):
        if not hasattr(found, part):
            try:
                importlib.import_module(".".join(parts[:index]))
            except ModuleNotFoundError:
                return False
        found = getattr(found, part)
    return True
