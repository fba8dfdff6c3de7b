"""Describe a pack in build.json: time, source, machine and versions.

All other files of a packed folder are the same for the same source and options.
"""

from __future__ import annotations

import os
import platform
import time
import zlib
from importlib import metadata
from pathlib import Path

from mhpdata import __version__
from mhpdata.packing.tasks.maker import describe_maker
from mhpdata.source.remote import Root

LIBRARIES = ("numpy", "opencv-python", "numba", "h5py", "simplejpeg")


def describe_build(
    src: Root, state: str, content: str, follow_links: bool, workers: int, seconds: float
) -> dict[str, object]:
    """Return the content of build.json.

    Args:
        src: Source folder.
        state: Hash of its files by size and time of change, or ETag, which a repeated pack compares first.
        content: Hash of its files by content, which is compared if ``state`` differs.
        follow_links, workers: Arguments of the pack.
        seconds: Duration of the last run.
    """
    return {
        "mhp": __version__,
        "source": os.fsencode(src.resolve() if isinstance(src, Path) else str(src)).decode("utf-8", "backslashreplace"),
        "source_state": state,
        "source_content": content,
        "follow_links": follow_links,
        "workers": workers,
        "seconds_of_the_last_run": round(seconds, 3),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "machine": platform.platform(),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        "maker": describe_maker(),
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


def _version(library: str) -> str | None:
    """Return the version of a library; None if it is installed under another name, such as opencv-python-headless."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None
