"""Open transformers' Mask2Former from a folder in the form of Hugging Face's hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mhpdata.errors import CheckpointError
from mhpmodels.hub_folder import CONFIG
from mhpmodels.networks.hf.backbones import KINDS, STAGES
from mhpmodels.networks.hf.described import take_fields
from mhpmodels.networks.hf.library import check_size, import_transformers, make_config, silent
from mhpmodels.networks.hf.pretrained import load_model
from mhpmodels.networks.hf.tensors import read_tensors

PERSON = "person"
GROUPS = 32
"""The pixel decoder normalises its channels in so many groups."""


def open_inner(content: Mapping[str, Any], classes: int, folder: Path) -> Any:
    """Return transformers' own network of a folder, with its weights, on the CPU.

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
    check_size(kind, config, place)
    return load_model(kind, config, read_tensors(folder), folder, optional=("criterion.",))


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
