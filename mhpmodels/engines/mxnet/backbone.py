"""List GluonCV's backbones, and load their pretrained weights from ImageNet."""

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
"""{backbone of GluonCV: numbers of channels of layer1 to layer4}."""
FILES = {
    **{name: f"{name}_v1b" for name in ("resnet18", "resnet34")},
    **{name: f"{name}_v1s" for name in ("resnet50", "resnet101", "resnet152")},
}
"""{backbone: name in GluonCV's store}, for names that differ."""
NAMES = ("conv1.", "bn1.", "layer1.", "layer2.", "layer3.", "layer4.")
"""Prefixes of a backbone's parameters, in its own file and in a network."""


def load_backbone(parameters: Mapping[str, Any], backbone: str, source: str) -> None:
    """Replace the backbone's weights by pretrained ones.

    Args:
        parameters: parameters of the network by name; changed in place.
        backbone: key of CHANNELS.
        source: the path of a ``.params`` file, or "store" for GluonCV's, which downloads the file to ~/.mxnet/models.

    Raises:
        EngineError: the store cannot be reached.
        CheckpointError: the file cannot be read, or belongs to another backbone.
    """
    path = _download(FILES.get(backbone, backbone)) if source == "store" else Path(source)
    arrays = read_params(path)
    wanted = {name: parameter for name, parameter in parameters.items() if name.startswith(NAMES)}
    file = FILES.get(backbone, backbone)
    remedy = f"Pass a file of {file} as --pretrained-base, or the --backbone that {path.name} belongs to."
    for name, parameter in wanted.items():
        if name not in arrays:
            raise CheckpointError(path, f"has no array {name}", f"the weights of {backbone}", remedy)
        if arrays[name].shape != parameter.shape:
            expected = f"{parameter.shape} for {backbone}"
            raise CheckpointError(path, f"{name} is {arrays[name].shape}", expected, remedy)
    for name, parameter in wanted.items():
        parameter.set_data(put(arrays[name], mx.cpu()))


def _download(name: str) -> Path:
    store = import_module("gluoncv.model_zoo.model_store")
    try:
        return Path(store.get_model_file(name, tag=True))
    except Exception as error:  # GluonCV lets errors of requests, zipfile, OSError and ValueError through
        try:
            stem = f"{name}-{store.short_hash(name)}"
        except ValueError:  # GluonCV has no such file
            remedy = "Omit --pretrained-base to use random weights, or pass the path of a .params file."
        else:
            repository = os.environ.get("MXNET_GLUON_REPO", store.apache_repo_url).rstrip("/")
            remedy = to_have(f"{stem}.params", f"{repository}/gluon/models/{stem}.zip")
        found = f"{name} cannot be downloaded from GluonCV's store ({type(error).__name__}: {error})"
        raise EngineError("pretrained_base", found, "", remedy) from error
