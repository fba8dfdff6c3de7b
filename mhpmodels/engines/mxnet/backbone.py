"""Backbones: which there are, and weights that were trained on ImageNet."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from mhpdata.errors import CheckpointError, EngineError
from mhpmodels.engines.batch import to_have
from mhpmodels.engines.mxnet.libraries import mx
from mhpmodels.engines.mxnet.memory import put
from mhpmodels.files.params import read_params

_NARROW, _WIDE = (64, 128, 256, 512), (256, 512, 1024, 2048)
CHANNELS = {
    **dict.fromkeys(("resnet18", "resnet34"), _NARROW),
    **dict.fromkeys(("resnet50", "resnet101", "resnet152"), _WIDE),
    **dict.fromkeys(("resnest50", "resnest101", "resnest200", "resnest269"), _WIDE),
}
"""GluonCV's backbones: channels of layer1 to layer4."""
FILES = {
    **{name: f"{name}_v1b" for name in ("resnet18", "resnet34")},
    **{name: f"{name}_v1s" for name in ("resnet50", "resnet101", "resnet152")},
}
"""Their names in GluonCV's store, where those differ."""
NAMES = ("conv1.", "bn1.", "layer1.", "layer2.", "layer3.", "layer4.")
"""What a backbone's parameters begin with, alone as in a network."""


def load_backbone(parameters: Mapping[str, Any], backbone: str, source: str) -> None:
    """Replaces the backbone's weights by pretrained ones.

    Args:
        parameters: of the network, by name.
        backbone: of CHANNELS.
        source: "store": GluonCV's, which downloads the file once, to ~/.mxnet/models; or a ``.params`` file.

    Raises:
        EngineError: the store cannot be reached.
        CheckpointError: the file cannot be read or is of another backbone.
    """
    path = _download(FILES.get(backbone, backbone)) if source == "store" else Path(source)
    arrays = read_params(path)
    wanted = {name: parameter for name, parameter in parameters.items() if name.startswith(NAMES)}
    file = FILES.get(backbone, backbone)
    remedy = f"Give a file of {file} as --pretrained-base, or pass the --backbone that {path.name} is of."
    for name, parameter in wanted.items():
        if name not in arrays:
            raise CheckpointError(path, f"has no array {name}", f"the weights of {backbone}", remedy)
        if arrays[name].shape != parameter.shape:
            expected = f"{parameter.shape}, as {backbone} has"
            raise CheckpointError(path, f"{name} of shape {arrays[name].shape}", expected, remedy)
    for name, parameter in wanted.items():
        parameter.set_data(put(arrays[name], mx.cpu()))


def _download(name: str) -> Path:
    store = import_module("gluoncv.model_zoo.model_store")
    try:
        return Path(store.get_model_file(name, tag=True))
    except Exception as error:  # requests, zipfile, OSError, ValueError: whatever the network does
        try:
            stem = f"{name}-{store.short_hash(name)}"
        except ValueError:  # GluonCV has none of this name
            remedy = "Leave --pretrained-base out to begin with random weights, or pass the path of a .params file."
        else:
            repository = os.environ.get("MXNET_GLUON_REPO", store.apache_repo_url).rstrip("/")
            remedy = to_have(f"{stem}.params", f"{repository}/gluon/models/{stem}.zip")
        found = f"{name} cannot be had from GluonCV's store ({type(error).__name__}: {error})"
        raise EngineError("pretrained_base", found, "", remedy) from error
