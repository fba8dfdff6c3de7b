"""Load weights of a folder into networks of transformers, by the names of any of its versions.

transformers renames modules between versions and keeps the names in files; ``from_pretrained`` converts them. It gets
the tensors and a checked config, never the folder, so it reads no other file and downloads nothing.
"""

from __future__ import annotations

import errno
import logging
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mhpdata.errors import CheckpointError, RemoteError
from mhpmodels.hub_folder import CONFIG, read_object
from mhpmodels.networks.hf.described import take_fields
from mhpmodels.networks.hf.library import silent
from mhpmodels.networks.hf.tensors import read_tensors

_log = logging.getLogger(__name__)  # without a handler, Python prints warnings on stderr
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_FILES = ("*.json", "*.safetensors", "pytorch_model*.bin")
_COUNT = "num_batches_tracked"
_OF_DISKS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENOTDIR}
"""Errors of the disk, for which the hub is not to blame."""


def load_model(
    kind: Any,
    config: Any,
    tensors: dict[str, Tensor],
    place: object,
    base: bool = False,
    optional: tuple[str, ...] = (),
) -> nn.Module:
    """Return a model of transformers with these weights, float32 on the CPU.

    Args:
        kind: class of the model.
        config: its config.
        tensors: weights by name.
        place: path of the folder, for error messages.
        base: the model is an encoder, and the weights of heads are ignored.
        optional: beginnings of names that the weights may lack; these keep random values.

    Raises:
        CheckpointError: a weight is missing, unknown, or has another shape.
    """
    with silent():
        model, report = kind.from_pretrained(
            None,
            config=config,
            state_dict=tensors,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,  # reported below
            output_loading_info=True,
        )
    wrong = [f"{name} is {tuple(given)}, not {tuple(own)}" for name, given, own in report["mismatched_keys"]]
    missing = [n for n in report["missing_keys"] if not n.startswith(optional or ("\0",)) and not n.endswith(_COUNT)]
    wrong += [f"{name} is missing" for name in sorted(missing)]
    wrong += [] if base else [f"{name} is not in this network" for name in sorted(report["unexpected_keys"])]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        remedy = f"Pass weights of the network that its {CONFIG} describes, or the --backbone that they belong to."
        raise CheckpointError(place, f"does not fit the network: {'; '.join(wrong[:3])}{more}", "", remedy)
    return model


def find_folder(source: str) -> Path:
    """Return the folder that a path or a hub's name OWNER/NAME means, downloaded if it is such a name.

    Raises:
        CheckpointError: it is neither, or the downloaded files cannot be written.
        RemoteError: the hub cannot be reached, or refuses the request.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return path
    if not _HUB_NAME.fullmatch(source) or path.exists():
        remedy = "Pass a folder, or a name on Hugging Face such as nvidia/mit-b2."
        raise CheckpointError(source, "is not a folder", "a folder with config.json and weights", remedy)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    _log.warning(
        "%s is no folder here; using the copy of huggingface.co/%s, downloaded if needed. The licence of these weights "
        "is on the page https://huggingface.co/%s and is not known to mhp.",
        *(source, source, source),
    )
    try:
        return Path(snapshot_download(source, allow_patterns=list(_FILES)))
    except (OSError, ValueError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        remedy = (
            "Check the name; or download the folder on a machine with internet access, copy it here, and pass its path."
        )
        reason = str(error).strip().split("\n")[0]
        here = isinstance(error, HFValidationError) or (isinstance(error, OSError) and error.errno in _OF_DISKS)
        kind = CheckpointError if here else RemoteError
        raise kind(source, f"cannot be downloaded from Hugging Face ({reason})", "", remedy) from error


def load_base(network: nn.Module, child: str, kind: Any, source: str, optional: tuple[str, ...] = ()) -> None:
    """Replace the weights of a network's encoder by those of a folder; heads in the folder are ignored.

    Args:
        network: network whose child is a model of transformers; changed in place.
        child: name of the child.
        kind: class of the child.
        source: folder, or OWNER/NAME.
        optional: as for ``load_model``.

    Raises:
        CheckpointError: the folder cannot be read, or belongs to another encoder.
    """
    folder = find_folder(source)
    encoder = getattr(network, child)
    take_fields(read_object(folder / CONFIG), folder / CONFIG, (encoder.config.model_type,))
    loaded = load_model(kind, encoder.config, read_tensors(folder), folder, True, optional)
    encoder.load_state_dict(loaded.state_dict())
