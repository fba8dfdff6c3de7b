"""build.json: who packed, when, from where and with what. The only file of a packed folder that may differ."""

from __future__ import annotations

import os
import platform
import time
import zlib
from importlib import metadata
from pathlib import Path

from mhpdata import __version__

LIBRARIES = ("numpy", "opencv-python", "numba", "h5py", "simplejpeg")


def describe_build(
    src: Path, state: str, content: str, follow_links: bool, workers: int, seconds: float
) -> dict[str, object]:
    """The content of build.json.

    Args:
        src: the source folder.
        state: a hash of its files by size and time of change; "packed already" compares it first.
        content: a hash of its files by content, which is compared where ``state`` differs.
        follow_links, workers: arguments of the pack.
        seconds: that the last run took.
    """
    return {
        "mhp": __version__,
        "source": os.fsencode(src.resolve()).decode("utf-8", "backslashreplace"),
        "source_state": state,
        "source_content": content,
        "follow_links": follow_links,
        "workers": workers,
        "seconds_of_the_last_run": round(seconds, 3),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "machine": platform.platform(),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


def _version(library: str) -> str | None:
    """The version of a library; None where it is installed under another name, as opencv-python-headless is."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None
