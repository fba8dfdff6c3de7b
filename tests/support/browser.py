"""Open pages in headless Chromium, through Playwright: the system's Chromium, or the one that CHROMIUM names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

DESKTOP, PHONE = (1280, 800), (390, 844)
"""Sizes of a window, (width, height)."""
_GONE = "net::ERR_ABORTED"
"""Failure of a request that the page no longer needs, such as for a thumbnail that has scrolled away."""


def chromium() -> str | None:
    """Return the path of a Chromium that Playwright can start; None if it or Playwright is missing."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    return found if find_spec("playwright") is not None else None


@contextmanager
def started() -> Iterator[Any]:
    """Start Chromium; yield Playwright's browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(
    browser: Any, site: Path, address: str = "", size: tuple[int, int] = DESKTOP, scheme: str = "light"
) -> Iterator[Any]:
    """Open a site from disk, without a network; fail on a script's error, a message or a request that fails.

    Args:
        browser: Playwright's browser.
        site: Folder of the site.
        address: The part of the address from # on.
        size: (width, height) of the window.
        scheme: "light" or "dark".
    """
    viewport = {"width": size[0], "height": size[1]}
    context = browser.new_context(viewport=viewport, color_scheme=scheme, accept_downloads=True)
    context.set_offline(True)
    page, wrong = context.new_page(), []
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("console", lambda message: wrong.append(f"console: {message.text}"))
    page.on("requestfailed", lambda request: request.failure == _GONE or wrong.append(f"failed: {request.url}"))
    page.on("request", lambda request: request.url.startswith(("file:", "blob:")) or wrong.append(request.url))
    page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    try:
        page.goto(f"{(site / 'index.html').resolve().as_uri()}{address}")
        page.wait_for_function("typeof mhp !== 'undefined' && mhp.page")
        yield page
        page.wait_for_timeout(50)
        assert not wrong, wrong[:5]
    finally:
        context.close()
