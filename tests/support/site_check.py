"""Check a built site: pages load nothing from elsewhere, links lead to files and anchors, search knows the pages.

python tests/support/site_check.py SITE      lists what is wrong; exit status 1 if anything is
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "video": "src"}
"""Elements that make a browser load something, and their attribute."""
NOT_LOADED = {"canonical", "next", "prev"}
"""Relations of links that load nothing."""
FOUND = {"overlap": "commands", "load_state_dict": "reference/mhpdata", "--val-protocol": "reference/commands/eval"}
"""Words, and a page on which the search index must have them."""


class Page(HTMLParser):
    """The addresses and anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect an element's address and anchor."""
        given = {name: value or "" for name, value in attrs}
        self.anchors.add(given.get("id") or given.get("name", ""))
        address = given.get(LOADED.get(tag, ""))
        if address and given.get("rel") not in NOT_LOADED:
            self.loaded.append(address)
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if "mermaid" in given.get("class", "").split():
            self.loaded.append("https://unpkg.com/mermaid")  # the theme would load it from there


@cache
def page_at(path: Path) -> Page:
    """Read a page once."""
    return Page(path)


def problems(site: Path) -> Iterator[str]:
    """Yield everything that is wrong with a site."""
    for path in sorted(site.rglob("*.html")):
        page, name = page_at(path.resolve()), path.relative_to(site)
        for address in page.loaded:
            if urlsplit(address).scheme not in ("", "data") or address.startswith("//"):
                yield f"{name}: loads {address}"
        if path.name == "404.html":  # its addresses begin at the server's root
            continue
        for address in [*page.loaded, *page.links]:
            split = urlsplit(address)
            if split.scheme or split.netloc:
                continue
            target = (path.parent / unquote(split.path)) if split.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists():
                yield f"{name}: {address} leads nowhere"
            elif split.fragment and unquote(split.fragment) not in page_at(target.resolve()).anchors:
                yield f"{name}: {address} has no such anchor"
    for path in site.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        if "url(http" in text or "url(//" in text or "@import" in text:
            yield f"{path.relative_to(site)}: loads from elsewhere"
    yield from search_problems(site)


def search_problems(site: Path) -> Iterator[str]:
    """Yield the words that the search index should have and lacks, or the other way around."""
    entries = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))["docs"]
    for word, place in FOUND.items():
        pages = {entry["location"].partition("#")[0] for entry in entries if word in entry["text"].lower()}
        if f"{place}.html" not in pages:
            yield f"search: {word!r} is not found on {place}"


def main(site: Path) -> int:
    """Print all problems of a site; return the exit status."""
    found = list(problems(site))
    print(
        "\n".join(found)
        if found
        else f"{len(list(site.rglob('*.html')))} pages are whole and load nothing from elsewhere."
    )
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
