"""Weights of a backbone that was trained on ImageNet: from a file, or GluonCV's store.

The v1s backbones of PSPNet and ICNet (resnet50, 101, 152) exist nowhere in torchvision, so "store" is GluonCV's: what
it has downloaded to ``~/.mxnet/models`` is taken, and what is missing is put there, under GluonCV's name.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import torch
from torch import nn

from mhpdata.errors import CheckpointError, EngineError
from mhpdata.filesystem.atomic import part_of, replacing
from mhpdata.filesystem.descriptors import hold_standard
from mhpmodels.engines.batch import to_have
from mhpmodels.engines.torch.weights import own_names, read_weights

STORE = {
    "resnet18": ("resnet18_v1b", "2d9d980c990442f826f20781ed039851e78dabe3"),
    "resnet34": ("resnet34_v1b", "8e16b84814e84f64d897854003f049872991eaa6"),
    "resnet50": ("resnet50_v1s", "25a187fa281ddc98afbcd0cc0f0646885b874b80"),
    "resnet101": ("resnet101_v1s", "bd93a83c05f709a803b1221aeff0b028e6eebb03"),
    "resnet152": ("resnet152_v1s", "cf74621d988ad06c6c6aa44f5597e5b600a966cc"),
}
"""GluonCV 0.10.5's names and the SHA-1 of their ``.params``."""
REPOSITORY = "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/"
"""GluonCV's; MXNET_GLUON_REPO names another, as it does there."""


def load_backbone(network: nn.Module, backbone: str, source: str) -> None:
    """Replaces the backbone's weights by pretrained ones; other arrays of the file are left out.

    Args:
        network: one that has ``base_names``.
        backbone: of STORE.
        source: "store", or a file: GluonCV's ``.params``, or torch's state dict of the same names (torchvision's
            resnet18 and resnet34 are v1b).

    Raises:
        EngineError: the store cannot be reached.
        CheckpointError: the file cannot be read or is of another backbone.
    """
    path = find_in_store(backbone) if source == "store" else Path(source)
    tensors = own_names(read_weights(path), network.state_dict())
    names = getattr(network, "base_names", ())
    wanted = {n: t for n, t in network.state_dict().items() if n.partition(".")[0] in names and "num_batches" not in n}
    if not wanted:
        found = "given for a network of one's own, whose backbone mhp does not know"
        remedy = "Leave out --pretrained-base, and load the weights in the function that makes the network."
        raise EngineError("pretrained_base", found, "the model icnet or psp", remedy)
    for name, tensor in wanted.items():
        shape = tuple(tensors[name].shape) if name in tensors else "missing"
        if shape != tuple(tensor.shape):
            file = STORE[backbone][0]
            remedy = f"Give a file of {file} as --pretrained-base, or pass the --backbone that {path.name} is of."
            expected = f"{tuple(tensor.shape)}, as {backbone} has"
            raise CheckpointError(path, f"{name} is {shape}", expected, remedy)
    network.load_state_dict({name: tensors[name] for name in wanted}, strict=False)


def find_in_store(backbone: str) -> Path:
    """The ``.params`` file of a backbone, downloaded if it is not there. Raises EngineError."""
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
                with zipfile.ZipFile(archive) as content, replacing(path, shared=True) as part:
                    part.write_bytes(content.read(path.name))
            finally:
                archive.unlink(missing_ok=True)
        found = hashlib.sha1(path.read_bytes()).hexdigest()
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        found = f"{path.name} cannot be had from GluonCV's store ({error})"
        raise EngineError("pretrained_base", found, "", to_have(path.name, url)) from error
    if found != digest:
        remedy = "Delete this file and run the same command again, which downloads it anew."
        raise EngineError(path, f"its SHA-1 is {found}", digest, remedy)
    return path
