"""Titles of the pages of docs/, which the site shows as the texts of links to them."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
_PAGE = re.compile(r"(?<!\]\()`{0,2}\bdocs/([\w-]+\.md)`{0,2}")
"""A page that a help text, a docstring or the changelog names."""


def title_of(page: Path) -> str:
    """Return the first heading of a page of the repository, up to a colon."""
    return page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ").partition(":")[0]


def linked(text: str, up: str) -> str:
    """Return a text with each page of docs/ that it names as a link; ``up`` leads from the text's page to docs/."""

    def link(name: re.Match[str]) -> str:
        page = DOCS / name[1]
        return f"[{title_of(page)}]({up}{name[1]})" if page.is_file() else name[0]

    return _PAGE.sub(link, text)
