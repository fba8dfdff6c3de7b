"""Import OpenCV, or explain how to install it; no other module imports cv2.

opencv-python, opencv-python-headless and their contrib variants install into the same folder, cv2. Where two of them
are installed, for example because another library depends on the second, uninstalling either breaks both: cv2 may then
still import, but as an empty namespace without functions.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from mhpdata.errors import MissingError

NEEDED = (
    *("cvtColor", "getAffineTransform", "getNumThreads", "imdecode", "imencode", "remap", "resize", "setNumThreads"),
    "warpAffine",
)
"""Functions that a working cv2 has, at least one from each of its modules that mhp uses."""
PACKAGES = ("opencv-python", "opencv-contrib-python", "opencv-python-headless", "opencv-contrib-python-headless")


def _installed() -> dict[str, str]:
    """Return the installed packages that provide cv2, with their versions."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def _to_repair() -> str:
    """Return the pip command that leaves one working cv2, in the version that is installed."""
    versions = _installed()
    if not versions:
        return "pip install opencv-python"
    keep, others = next(iter(versions)), list(versions)[1:]
    remove = f"pip uninstall -y {' '.join(others)} && " if others else ""
    return f"{remove}pip install --force-reinstall --no-deps {keep}=={versions[keep]}"


try:
    import cv2
except ImportError as error:
    _remedy = f"Run {_to_repair()}"
    if not isinstance(error, ModuleNotFoundError):
        _remedy += "; on a bare server, first apt-get install -y libgl1 libglib2.0-0"
    raise MissingError("OpenCV", f"cannot be imported ({error})", "", f"{_remedy}.") from error

if _missing := [name for name in NEEDED if not hasattr(cv2, name)]:
    raise MissingError("OpenCV", f"the installed cv2 has no {_missing[0]}", "", f"Run {_to_repair()}.")

__all__ = ["cv2"]
