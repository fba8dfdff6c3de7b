"""Gather the pages of the documentation site: docs/, the changelog, files that they link to, the commands' reference.

python tests/support/site_pages.py OUT      replaces the folder OUT; make docs builds the site from it
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import site_commands
from site_titles import linked, title_of

ROOT = Path(__file__).parents[2]
_LINK = re.compile(r"(\]\()(?!\w+:|#)([^)#\s]+)")
"""A Markdown link to a file: what stands before its path, and the path."""

_NAMED = re.compile(r"\[(?:[\w-]+/)*[\w-]+\.md\]\((?=([\w./-]+\.md))")
"""The text of a link that is the name of a page, up to its path."""


def place_of(path: Path) -> Path:
    """Return the place in the site of a file of the repository, relative to the site's folder.

    Args:
        path: The file, relative to the repository.
    """
    if path.parts[0] == "docs":
        return path.relative_to("docs")
    return Path("changelog.md") if path.name == "CHANGELOG.md" else Path("files", path)


def placed(text: str, path: Path) -> tuple[str, list[Path]]:
    """Return a page's text with its links adapted to the site, and the files that it links to outside docs/.

    Args:
        text: The text of the page.
        path: The page, relative to the repository.
    """
    outside = []

    def adapt(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(path.parent / link[2]))
        if target.parts[0] != "docs" and target.name != "CHANGELOG.md":
            outside.append(target)
        return link[1] + Path(os.path.relpath(place_of(target), place_of(path).parent)).as_posix()

    def name(link: re.Match[str]) -> str:
        page = ROOT / path.parent / link[1]
        return f"[{title_of(page)}](" if page.is_file() else link[0]

    return _LINK.sub(adapt, _NAMED.sub(name, text)), outside


def gather(out: Path) -> None:
    """Write the pages of the site into the folder ``out``, which is replaced."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(ROOT / "docs", out)
    for path in [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "CHANGELOG.md"]:
        relative = path.relative_to(ROOT)
        text = path.read_text(encoding="utf-8")
        text, outside = placed(linked(text, "docs/") if relative.name == "CHANGELOG.md" else text, relative)
        (out / place_of(relative)).write_text(text, encoding="utf-8")
        for target in outside:
            if (ROOT / target).is_file():  # any other link is reported by mkdocs
                (out / place_of(target)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / target, out / place_of(target))
    site_commands.write(out / "reference" / "commands")


if __name__ == "__main__":
    gather(Path(sys.argv[1]))
