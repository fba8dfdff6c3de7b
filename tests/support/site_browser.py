"""Look at every page of the built site in headless Chromium: screenshots, overflow, accessibility, requests, search.

python tests/support/site_browser.py SITE --axe AXE --out OUT      lists what is wrong; exit status 1 if anything is

AXE is the folder into which npm installed axe-core. The site is served on the loopback interface, with nothing else in
reach. OUT gets screenshots of every page at each size and in light and dark colours.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from browser import started

SIZES = {
    "desktop": (1280, 800, "light"),
    "desktop-dark": (1280, 800, "dark"),
    "phone": (390, 844, "light"),
    "phone-dark": (390, 844, "dark"),
}
"""Sizes of the window, and colours: (width, height, scheme)."""
GRAVE = ("serious", "critical")
"""Impacts of accessibility faults that fail."""
SEARCHES = {
    "overlap rule": "commands.html",
    "load_state_dict": "reference/mhpdata.html",
    "3492.jpg": "pack.html",
    "tell persons apart": "persons.html",
}
"""Queries, and a page that must be among the results: the end of its address."""
PART = 6000
"""Height of the part of a page that a screenshot shows, in pixels; a longer page has several."""
_WIDER = """() => {
  const page = document.documentElement.clientWidth
  return [...document.querySelectorAll('article *')].filter(e => e.getBoundingClientRect().right > page + 1
    && !e.closest('pre, .highlight, .md-typeset__scrollwrap, .md-typeset__table')).map(e => e.outerHTML.slice(0, 80))
}"""
"""Elements that reach past the right edge of the window, other than those that scroll by themselves."""


@contextmanager
def served(site: Path) -> Iterator[str]:
    """Serve a folder; yield its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *given: Any) -> None:
            """Print nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def look(browser: Any, address: str, names: list[str], size: str, axe: str, out: Path) -> Iterator[str]:
    """Yield what is wrong with the pages at one size of the window; write their screenshots."""
    width, height, scheme = SIZES[size]
    seen = {"viewport": {"width": width, "height": height}, "color_scheme": scheme, "reduced_motion": "reduce"}
    page = browser.new_context(**seen).new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("console", lambda message: message.type == "error" and wrong.append(f"console: {message.text}"))
    page.on("request", lambda request: request.url.startswith((address, "data:", "blob:")) or wrong.append(request.url))
    for name in names:
        page.goto(f"{address}/{name}")
        page.evaluate(axe)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        for fault in found["violations"]:
            if fault["impact"] in GRAVE:
                nodes = [node["html"][:100] for node in fault["nodes"]]
                yield f"{size} {name}: {fault['id']} ({fault['impact']}), {len(nodes)} elements, such as {nodes[:3]}"
        for element in page.evaluate(_WIDER)[:3]:
            yield f"{size} {name}: wider than the window: {element}"
        tall = page.evaluate("document.documentElement.scrollHeight")
        for part, top in enumerate(range(0, tall, PART), 1):
            file = out / f"{size}-{name.replace('/', '-').removesuffix('.html')}-{part}.png"
            shown = {"x": 0, "y": top, "width": width, "height": min(PART, tall - top)}
            page.screenshot(path=file, full_page=True, clip=shown)
        yield from (f"{size} {name}: {one}" for one in wrong)
        wrong.clear()
    page.context.close()


def search(browser: Any, address: str) -> Iterator[str]:
    """Yield the queries of SEARCHES that do not find their page."""
    page = browser.new_page()
    for query, end in SEARCHES.items():
        page.goto(f"{address}/index.html")
        page.locator("[data-md-component=search-query]").fill(query)
        try:
            page.wait_for_selector(f".md-search-result__link[href*='{end}']", state="attached", timeout=15000)
        except Exception as error:
            yield f"search: {query!r} does not find {end} ({type(error).__name__})"
    page.close()


def main() -> int:
    """Check a site; return the exit status."""
    parser = argparse.ArgumentParser(description="Look at every page of a site in headless Chromium.")
    parser.add_argument("site", type=Path)
    parser.add_argument("--axe", type=Path, required=True, help="folder with node_modules/axe-core")
    parser.add_argument("--out", type=Path, required=True, help="folder for screenshots")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    axe = (given.axe / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
    names = sorted(path.relative_to(given.site).as_posix() for path in given.site.rglob("*.html"))
    names.remove("404.html")
    with served(given.site) as address, started() as browser:
        found = [line for size in SIZES for line in look(browser, address, names, size, axe, given.out)]
        found += search(browser, address)
    print("\n".join(found) if found else f"{len(names)} pages at {len(SIZES)} sizes have no serious fault.")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
