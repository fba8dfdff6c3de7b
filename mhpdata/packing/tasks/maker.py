"""Describe the libraries that determine the bytes of a record: parts of different ones are not mixed.

mhp itself decides everything else: which bytes it reads, how it resizes, merges and encodes. simplejpeg (libjpeg-turbo)
decodes JPEGs; OpenCV decodes WebP and encodes JPEGs with the codecs that it was built with; zlib compresses masks.
"""

from __future__ import annotations

import re
import zlib
from importlib.metadata import version

from mhpdata import __version__

_CODECS = ("JPEG", "WEBP")


def describe_maker() -> dict[str, str]:
    """Return the versions of mhp, of OpenCV and its codecs, of simplejpeg and of zlib."""
    from mhpdata.opencv import cv2

    build = cv2.getBuildInformation()
    maker = {"mhp": __version__, "OpenCV": str(cv2.__version__)}
    for codec in _CODECS:
        match = re.search(rf"^\s+{codec}:\s+(.*?)\s*$", build, re.MULTILINE)
        maker[f"OpenCV's {codec}"] = _without_path(match[1]) if match else "none"
    return {**maker, "simplejpeg": version("simplejpeg"), "zlib": zlib.ZLIB_RUNTIME_VERSION}


def _without_path(library: str) -> str:
    """Return the description of a codec without the path of its library, which may differ between machines."""
    return " ".join(word for word in library.split() if not word.startswith("/"))


def other_libraries(theirs: dict[str, str], ours: dict[str, str]) -> str:
    """Return in words how parts were made otherwise than this environment makes them; empty if they were not."""
    names = [name for name in sorted({*theirs, *ours}) if theirs.get(name) != ours.get(name)]
    return ", ".join(f"{name} {theirs.get(name)} instead of {ours.get(name)}" for name in names)
