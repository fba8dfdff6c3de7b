"""Check the environment variables that lead to an S3 service, before the client reads them.

The client copies them into addresses and headers. Where they do not fit, it panics: it prints a trace of its own, and
raises what is no Exception. No error repeats a value, which may be a key.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from mhpdata.errors import RemoteError

ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT")
"""Variables with the address of an S3 service; the first one that is not empty counts."""
_ADDRESS = re.compile(r"https?://[A-Za-z0-9._~:@!$&'()*+,;=%/\[\]-]+", re.IGNORECASE)
_FORM = "http://host:port or https://host:port"
_NAME = re.compile(r"[A-Za-z0-9._-]*")
_HEADER = re.compile(r"[ -~]*")
_TEXT = re.compile(r"[^\x00-\x1f\x7f]*")
_VALUES = {
    "AWS_REGION": _NAME,
    "AWS_DEFAULT_REGION": _NAME,
    "AWS_ACCESS_KEY_ID": _HEADER,
    "AWS_SECRET_ACCESS_KEY": _TEXT,
    "AWS_SESSION_TOKEN": _HEADER,
}
"""Patterns of the values of other variables."""
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def s3_endpoint(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the address of the S3 service that the environment names; None for Amazon's.

    Raises:
        RemoteError: A variable is invalid, or one of the two keys is missing.
    """
    for name, form in _VALUES.items():
        if not form.fullmatch(environ.get(name, "")):
            found = "has a character that does not belong in it, such as a line end, a blank or a quote"
            raise RemoteError(name, found, "", "Set this environment variable again, without it.")
    given = [name for name in _KEYS if name in environ]
    if len(given) == 1:
        missing = next(name for name in _KEYS if name not in environ)
        raise RemoteError(missing, f"is not set, but {given[0]} is", "", "Set both environment variables, or neither.")
    names = [name for name in ENDPOINTS if name in environ]
    name = next((name for name in names if environ[name]), next(iter(names), ""))
    if not name:
        return None
    if not environ[name]:
        remedy = f"Unset this environment variable (unset {name}), or set it to the address of the S3 service."
        raise RemoteError(name, "is set, but empty", _FORM, remedy)
    if not environ[name].lower().startswith(("http://", "https://")):
        remedy = f"Set this environment variable with one of them, such as {name}=http://127.0.0.1:9000."
        raise RemoteError(name, "does not begin with http:// or https://", "", remedy)
    if not _is_address(environ[name]):
        raise RemoteError(name, "is not the address of a server", _FORM, "Correct this environment variable.")
    return environ[name]


def _is_address(text: str) -> bool:
    if not _ADDRESS.fullmatch(text):
        return False
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is no number, or too large; or the brackets of an IPv6 address do not fit
        return False
