"""Write the reference of the commands as Markdown, one page per command, from their click objects."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import click
from site_titles import linked

from mhptools.mhp import COMMANDS
from mhptools.running import Command

_FLAG = re.compile(
    r"(?<![\w`/-])((?:mhp [a-z]+ (?:[A-Z]+ )?)?--?[a-z][\w-]*(?: (?:[A-Z]{2,}|\d+)(?![\w:]))?)(?![\w`*])"
)
"""An option, with the command before it and the value after it."""
_SPECIAL = re.compile(r"([\\`*_<\[\]|])")


def prose(text: str) -> str:
    """Return a text of a help page as Markdown: special characters escaped, options as code, pages as links."""
    return linked(_FLAG.sub(r"`\1`", _SPECIAL.sub(r"\\\1", text)), "../../")


def examples(lines: list[str]) -> list[str]:
    """Return the lines of a block of commands with each remark above its command."""
    found = []
    for line in lines:
        command, _, remark = line.strip().partition("  ")
        found += [f"# {remark.strip()}", command] if remark else [command]
    return found


def paragraphs(text: str) -> list[str]:
    """Return a part of a help page as lines of Markdown: verbatim blocks as code, all else as paragraphs."""
    page = []
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        if not block.startswith("\b"):
            page += [prose(" ".join(block.split())), ""]
            continue
        _, first, *lines = block.splitlines()
        if all(line.startswith("  mhp ") for line in lines):
            page += [prose(first), "", "```bash", *examples(lines), "```", ""]
        else:
            page += ["```text", first, *lines, "```", ""]
    return page


def page_of(name: str, command: Command) -> str:
    """Return the page of a command."""
    context = click.Context(command, info_name=f"mhp {name}", **command.context_settings)
    about, _, more = (command.help or "").partition("\n\n")
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    first, _, notes = (command.epilog or "").partition("\n\n")
    page = [f"# mhp {name}", "", *paragraphs(about), "```text", usage, "```", "", *paragraphs(more), *paragraphs(first)]
    for heading, rows in command.grouped(context):
        page += [f"## {heading}", ""]
        page += [line for names, text in rows for line in (f"`{names}`", f":   {prose(text)}", "")]
    if notes.strip():
        page += ["## Notes", "", *paragraphs(notes)]
    return "\n".join(page)


def write(folder: Path) -> None:
    """Write the page of each command, and index.md, which lists them, into a new folder."""
    folder.mkdir(parents=True)
    rows = [f"| [mhp {name}]({name}.md) | {prose(about)} |" for name, about in COMMANDS.items()]
    text = (
        "What the options of several commands mean, exit statuses and shell completion: [Commands](../../commands.md)."
    )
    head = ["# Commands, option by option", "", text, "", "| command | what it does |", "|---|---|"]
    (folder / "index.md").write_text("\n".join([*head, *rows, ""]), encoding="utf-8")
    for name in COMMANDS:
        command = importlib.import_module(f"mhptools.{name}").main
        (folder / f"{name}.md").write_text(page_of(name, command), encoding="utf-8")
