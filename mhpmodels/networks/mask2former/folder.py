"""Open Mask2Former from a folder in the form of Hugging Face's hub; all its classes are labels.

The class named *person*, of a network for instances or for panoptic segmentation, also finds persons.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mhpdata.errors import CheckpointError
from mhpmodels.hub_folder import CONFIG, read_object
from mhpmodels.networks.hf.backbones import KINDS, STAGES
from mhpmodels.networks.hf.described import take_fields
from mhpmodels.networks.hf.library import import_transformers, make_config, silent
from mhpmodels.networks.hf.pretrained import find_folder, load_model
from mhpmodels.networks.hf.tensors import read_tensors
from mhpmodels.networks.mask2former.network import Mask2Former

PERSON = "person"
GROUPS = 32
"""The pixel decoder normalises its channels in so many groups."""


def open_mask2former(content: Mapping[str, Any], classes: int, folder: Path) -> Mask2Former:
    """Return the network of a folder, with its weights, on the CPU.

    Args:
        content: its config.json.
        classes: number of its classes.
        folder: the folder.

    Raises:
        CheckpointError: the architecture is unknown or absurd, a file is damaged, or the weights do not fit it.
        MissingError: transformers is not installed.
    """
    place = folder / CONFIG
    fields = take_fields(content, place, ("mask2former",))
    base = content.get("backbone_config")
    if not isinstance(base, dict):
        remedy = "Save the network again with transformers 5, which writes it."
        raise CheckpointError(place, "has no backbone_config", "the configuration of a backbone", remedy)
    backbone = make_config(take_fields(base, f"{place}, backbone_config", KINDS), out_features=list(STAGES))
    _check_multiples(fields, place)
    with silent():
        config = make_config({**fields, "backbone_config": backbone, "num_labels": classes})
    kind = import_transformers().Mask2FormerForUniversalSegmentation
    inner = load_model(kind, config, read_tensors(folder), folder, optional=("criterion.",))
    return Mask2Former(inner, classes, person_of(content))


def load_whole(network: Mask2Former, source: str) -> bool:
    """Load all weights but those of the classes from a folder with Mask2Former; return False for another folder.

    Args:
        network: network to change.
        source: folder, or OWNER/NAME.

    Raises:
        CheckpointError: as for ``open_mask2former``, or the network has other sizes.
    """
    folder = find_folder(source)
    content = read_object(folder / CONFIG)
    if content.get("model_type") != "mask2former":
        return False
    names = content.get("id2label")
    given = open_mask2former(content, len(names) if isinstance(names, dict) else 2, folder).state_dict()
    own = {name: tensor for name, tensor in network.state_dict().items() if not name.startswith("class_predictor.")}
    for name, tensor in own.items():
        shape = tuple(given[name].shape) if name in given else "missing"
        if shape != tuple(tensor.shape):
            remedy = "Pass the --backbone of the folder, or the folder of a network of these sizes."
            raise CheckpointError(folder, f"{name} is {shape}", f"{tuple(tensor.shape)}", remedy)
    network.load_state_dict({name: given[name] for name in own}, strict=False)
    return True


def person_of(content: Mapping[str, Any]) -> int | None:
    """Return the class named *person* in a config.json, the first of several; None without."""
    named = content.get("id2label")
    names = [str(named.get(str(label))).lower() for label in range(len(named))] if isinstance(named, dict) else []
    return names.index(PERSON) if PERSON in names else None


def _check_multiples(fields: Mapping[str, Any], place: Path) -> None:
    """Raise CheckpointError unless the channels can be divided as the network does."""
    heads = fields.get("num_attention_heads", 8)
    for name, step in (("feature_size", GROUPS), ("feature_size", heads), ("hidden_dim", heads), ("hidden_dim", 2)):
        value = fields.get(name, 256)
        if value % step:
            remedy = "Copy the file again from its source."
            raise CheckpointError(f"{place}, {name}", f"{value}", f"a multiple of {step}", remedy)
