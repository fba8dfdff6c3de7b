"""The networks that ``--model`` names: their backbones, the sizes of images that they take, and who builds them.

Imports no framework. ``mhpmodels.networks`` builds the networks; those of HUGGING_FACE need transformers (extra "hf").
"""

from __future__ import annotations

import os
from typing import NamedTuple

RESNETS = (
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    *("resnest50", "resnest101", "resnest200", "resnest269"),
)
"""GluonCV's backbones, of PSPNet and ICNet."""
EFFICIENTNET = "efficientnet_lite0"
"""A small backbone of PSPNet and ICNet, of the engine torch only."""
MIT = ("mit_b0", "mit_b1", "mit_b2", "mit_b3", "mit_b4", "mit_b5")
"""The Mix Transformer encoders of SegFormer."""
PYRAMIDS = (
    *("swin_tiny", "swin_small", "swin_base", "swin_large"),
    *("convnextv2_atto", "convnextv2_femto", "convnextv2_pico", "convnextv2_nano"),
    *("convnextv2_tiny", "convnextv2_base", "convnextv2_large", "convnextv2_huge"),
)
"""Backbones of four stages that transformers' AutoBackbone builds, for heads that take any of them."""
TINY = "tiny"
"""A ConvNeXt V2 of our own, for tests and small machines."""
BACKBONES = (*RESNETS, EFFICIENTNET, *MIT, *PYRAMIDS, TINY)
QUERY_MAPS, HEAD_MAPS = 2, 3
"""Numbers of maps that tell persons apart: owner and score of each pixel, of networks whose queries find persons;
centre heatmap and offset, of the heads of --persons."""


class Model(NamedTuple):
    """Limits of the options of a run, by model.

    Attributes:
        backbones: names of its backbones.
        usual: the backbone of a run that names none.
        multiple: a training crop must be a multiple of this, in pixels.
        least: smallest side of an image, in pixels; smaller ones leave no pixel in the coarsest map.
        engines: engines that have the network.
        folders: whether the backbone may also be a folder with a ``config.json`` of transformers.
        queries: whether the network finds persons by queries, without the heads of --persons.
    """

    backbones: tuple[str, ...]
    usual: str
    multiple: int
    least: int
    engines: tuple[str, ...] = ("torch",)
    folders: bool = True
    queries: bool = False


GLUONCV = {
    "icnet": Model((*RESNETS, EFFICIENTNET), "resnet50", 16, 32, ("torch", "mxnet"), folders=False),
    "psp": Model((*RESNETS, EFFICIENTNET), "resnet50", 8, 8, ("torch", "mxnet"), folders=False),
}
"""GluonCV's networks, which all engines have."""
HUGGING_FACE = {
    "segformer": Model(MIT, "mit_b2", 32, 32),
    "upernet": Model(PYRAMIDS, "swin_tiny", 32, 32),
    "mask2former": Model((*PYRAMIDS, TINY), "swin_tiny", 32, 32, queries=True),
}
"""Networks from transformers."""
MODELS = {**GLUONCV, **HUGGING_FACE}


def is_folder(backbone: str) -> bool:
    """Return whether a backbone is the path of a folder, not a name: it has a separator, as in ``./mit-b2``."""
    return os.sep in backbone or backbone.startswith("~")
