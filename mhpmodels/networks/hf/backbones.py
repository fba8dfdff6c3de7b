"""Backbones of four stages, at 1/4, 1/8, 1/16 and 1/32 of the image, by transformers' AutoBackbone: Swin, ConvNeXt V2.

Weights that the maps do not depend on, such as Swin's last norm, are frozen: DDP waits for a gradient of each weight.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from mhpmodels.hub_folder import CONFIG
from mhpmodels.networks.hf.library import check_size, fields_of, import_transformers, make_config
from mhpmodels.networks.hf.pretrained import load_base

KINDS = ("swin", "convnextv2")
STAGES = ("stage1", "stage2", "stage3", "stage4")
UNTRAINED = ("hidden_states_norms.", "swin.layernorm.")
"""Weights of a backbone that weights from ImageNet lack."""


def backbone_config(backbone: str, described: str | None = None) -> Any:
    """Return the config of a backbone with four maps.

    Args:
        backbone: a name of ``mhpmodels.models.PYRAMIDS``, or the path of a folder.
        described: the folder's ``config.json`` as text; None for a name.

    Raises:
        CheckpointError: the folder describes another network, or one of absurd sizes.
        MissingError: transformers is not installed.
    """
    config = make_config(fields_of(backbone, described, KINDS), out_features=list(STAGES))
    if described is not None:
        check_size(import_transformers().AutoBackbone.from_config, config, Path(backbone) / CONFIG)
    return config


def frozen(backbone: nn.Module) -> nn.Module:
    """Return the backbone, with the weights frozen that its maps do not depend on."""
    for name, parameter in backbone.named_parameters():
        if name.startswith("swin.layernorm."):
            parameter.requires_grad_(False)
    return backbone


def load_weights(network: nn.Module, child: str, source: str) -> None:
    """Load pretrained weights from a folder or OWNER/NAME into the backbone that is a network's child.

    Raises:
        CheckpointError: the folder cannot be read, or belongs to another backbone.
    """
    load_base(network, child, type(getattr(network, child)), source, UNTRAINED)


def levels_of(backbone: Any, name: str) -> tuple[tuple[str, ...], ...]:
    """Return the names of the modules of each block, the stem first (``mhpmodels.networks.levels``).

    What changes the size between two stages belongs to the block after it, the norm of a map to the block before it.

    Args:
        backbone: transformers' backbone.
        name: its name in the network.
    """
    swin = backbone.config.model_type == "swin"
    body = f"{name}.swin" if swin else name
    place, blocks, between = (
        ("encoder.layers", "blocks", "downsample") if swin else ("encoder.stages", "layers", "downsampling_layer")
    )
    levels: list[tuple[str, ...]] = [(f"{body}.embeddings",)]
    for number, depth in enumerate(backbone.config.depths):
        stage = [(f"{body}.{place}.{number}.{blocks}.{block}",) for block in range(depth)]
        changed = number - 1 if swin else number  # Swin's stages end with it, ConvNeXt's begin with it
        first, last = (f"{body}.{place}.{changed}.{between}",), (f"{name}.hidden_states_norms.{STAGES[number]}",)
        levels += [(*first * (index == 0), *one, *last * (index == depth - 1)) for index, one in enumerate(stage)]
    return tuple(levels)
