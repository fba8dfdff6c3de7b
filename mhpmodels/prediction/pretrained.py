"""Find weights that others published by their name: the file on this machine, checked, and the options that it needs.

The file is looked for where GluonCV keeps its own, ``~/.mxnet/models`` (``MXNET_HOME``); ``mhp fetch`` downloads it
after its licence was accepted.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mhpdata.errors import CheckpointError, OptionError
from mhpdata.fetching.published import WEIGHTS
from mhpdata.fetching.weights import check_digest
from mhpdata.wording import to_open, unread
from mhpmodels.engines.engine import installed
from mhpmodels.files.params import read_params, to_torch_names
from mhpmodels.networks.architecture import Architecture

PRETRAINED = ("icnet_resnet50_mhpv1",)
"""Names of mhpdata.fetching.published.WEIGHTS that are networks of ours."""


class Pretrained(NamedTuple):
    """Published weights: the path of their file, and the values of TrainConfig, by flag, that they need."""

    path: Path
    fields: dict[str, Any]


def find_pretrained(name: str, given: Mapping[str, Any] | None = None) -> Pretrained:
    """Return published weights that are on this machine.

    Args:
        name: a name of PRETRAINED, or the path of such a file, which has its published name.
        given: values of TrainConfig, by flag, that the caller was given; they are repeated in the result.

    Raises:
        OptionError: the name is unknown, the file is missing, or ``given`` contradicts the weights.
        CheckpointError: the file is another one, or cannot be read.
    """
    files = {WEIGHTS[known].files[0].name: known for known in PRETRAINED}
    known = name if name in PRETRAINED else files.get(Path(name).name)
    if known is None:
        expected = f"{' or '.join(PRETRAINED)}, or the path of {' or '.join(files)}"
        remedy = "Pass other weights as --checkpoint (in training: --weights)."
        raise OptionError("pretrained", repr(name), expected, remedy)
    file = WEIGHTS[known].files[0]
    folder = Path(os.environ.get("MXNET_HOME", Path.home() / ".mxnet")) / "models"
    path = folder / file.name if name == known else Path(name)
    fetch = f"mhp fetch {known} --accept-licence --out {path.parent}"
    try:
        wrong = check_digest(path, file.digest)
    except FileNotFoundError as error:
        remedy = f"Run: {fetch}. Its licence is printed first."
        raise OptionError("pretrained", f"{path} is missing", WEIGHTS[known].title, remedy) from error
    except OSError as error:
        raise CheckpointError(path, unread(error), WEIGHTS[known].title, to_open(error, path, file.name)) from error
    if wrong:
        remedy = f"Delete {path}, then run: {fetch}."
        raise CheckpointError(path, wrong, file.digest.partition(":")[2], remedy)
    shapes = {key: array.shape for key, array in to_torch_names(read_params(path), str(path)).items()}
    network = Architecture.of_weights(shapes, str(path))
    fields = {"model": network.model, "backbone": network.backbone, "classes": network.classes}
    given = given or {}
    for flag, value in fields.items():
        if given.get(flag, value) != value:
            remedy = f"Omit --{flag}; the weights determine it."
            raise OptionError(flag, f"{given[flag]}", f"{value}, as in {path.name}", remedy)
    if "mxnet" not in installed() and installed():
        fields["engine"] = installed()[0]
    return Pretrained(path, {**fields, **given})
