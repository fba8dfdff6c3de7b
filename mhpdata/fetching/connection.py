"""Connect to web servers: which URLs and redirects are followed, and the errors of the network in words."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from mhpdata.errors import OptionError
from mhpdata.wording import why


def check_url(url: str) -> str:
    """Return a URL if it can be downloaded from. Raises OptionError, which does not repeat it."""
    expected = "http:// or https:// with a host, and without a user name, password or fragment"
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        fits = False
    if not fits or "@" in parts.netloc or parts.fragment or not url.isascii() or not url.isprintable() or " " in url:
        raise OptionError("url", "a URL that mhp cannot download from", expected, "Quote it in the shell.")
    return url


class BrokenError(Exception):
    """An answer ended early or does not fit the request; its text is the reason."""


@contextmanager
def network() -> Iterator[None]:
    """Tell an error of the network from one of the disk: both are OSError."""
    try:
        yield
    except urllib.error.URLError:
        raise
    except OSError as error:
        raise BrokenError(in_words(error)) from error


def in_words(error: BaseException) -> str:
    """Return an error of the network in a few words."""
    if isinstance(error, BrokenError):
        return str(error)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return f"the connection is not secure: {error.reason or error}"
    if isinstance(error, OSError):
        return why(error)
    if isinstance(error, http.client.IncompleteRead):
        return "the connection was closed in the middle of an answer"
    return "an answer that is not HTTP"


class Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to web servers only, and never from https to http."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """Return the next request. Raises HTTPError for one that must not be followed."""
        scheme = urlsplit(newurl).scheme
        if scheme not in ("http", "https") or (scheme == "http" and req.type == "https"):
            raise urllib.error.HTTPError(req.full_url, code, "redirected to an unsafe address", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)
