"""SegFormer: transformers' encoder and head, with logits at the images' size.

Xie et al., "SegFormer: simple and efficient design for semantic segmentation with transformers", NeurIPS 2021.

::

    image ─> stages 1/4, 1/8, 1/16, 1/32 ─> linear layer each, resized to 1/4 ─> linear_fuse ─> classifier ─> x 4

The rule: modules have the names of transformers, and the logits are those of its SegformerForSemanticSegmentation,
resized as its loss and its image processor do, without aligned corners. The batch normalisation of the head is ours
(``mhpmodels.networks.norm``), so that it follows the same statistics as in the other networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mhpmodels.config import PERSONS
from mhpmodels.hub_folder import CONFIG
from mhpmodels.networks.backbones.backbone import Outputs
from mhpmodels.networks.hf.described import take_fields
from mhpmodels.networks.hf.library import check_size, fields_of, import_transformers, make_config
from mhpmodels.networks.hf.pretrained import load_base, load_model
from mhpmodels.networks.hf.tensors import read_tensors
from mhpmodels.networks.norm import BatchNorm
from mhpmodels.networks.persons import PersonHeads
from mhpmodels.networks.resize import resize

KINDS = ("segformer",)


class SegFormer(nn.Module):
    """Map float32 (N, 3, H, W) to logits (N, classes, H, W); H and W of at least 32.

    Args:
        inner: transformers' SegformerForSemanticSegmentation, whose modules it takes.

    Attributes:
        levels: names of the modules from the stem to the last block; --layer-decay scales their learning rates.
        persons: the heads that tell persons apart; None without.
    """

    base_names = ("segformer",)
    head_names = ("decode_head", PERSONS)

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.segformer, self.decode_head = inner.segformer, inner.decode_head
        self.decode_head.batch_norm = own_norm(self.decode_head.batch_norm)
        self.person_channels = inner.config.decoder_hidden_size
        self.persons: PersonHeads | None = None

    @property
    def levels(self) -> tuple[tuple[str, ...], ...]:
        """See the class; what changes the size belongs to the block after it, and a stage's norm to its last block."""
        names: list[tuple[str, ...]] = []
        for number, stage in enumerate(self.segformer.stages):
            place = f"segformer.stages.{number}"
            blocks: list[tuple[str, ...]] = [(f"{place}.blocks.{block}",) for block in range(len(stage.blocks))]
            blocks[0] = (f"{place}.patch_embeddings", *blocks[0])
            blocks[-1] = (*blocks[-1], f"{place}.layer_norm")
            names += blocks
        return tuple(names)

    def load_base(self, source: str) -> None:
        """Load the encoder's weights from a folder or OWNER/NAME. Raises CheckpointError."""
        load_base(self, "segformer", import_transformers().SegformerModel, source)

    def forward(self, x: Tensor) -> Outputs:
        size = x.shape[2:]
        maps = []
        for stage in self.segformer.stages:
            x = stage(x)
            maps.append(x)
        features = self._fuse(maps)
        head = self.decode_head
        logits = resize(head.classifier(head.dropout(features)).contiguous(), size, aligned=False)
        return (logits,) if self.persons is None else ((logits,), self.persons(features))

    def _fuse(self, maps: list[Tensor]) -> Tensor:
        """Return the features before the dropout: (N, C, H/4, W/4)."""
        head = self.decode_head
        height, width = maps[0].shape[2:]
        resized = []
        for features, linear in zip(maps, head.linear_projections, strict=True):
            projected = linear(features).transpose(1, 2).reshape(len(features), -1, *features.shape[2:])
            if projected.shape[2:] != (height, width):
                projected = resize(projected, (height, width), aligned=False).to(projected.dtype)
            resized.append(projected)
        fused = head.linear_fuse(torch.cat(resized[::-1], 1))
        return head.activation(head.batch_norm(fused))


def own_norm(layer: nn.BatchNorm2d) -> BatchNorm:
    """Return our batch normalisation with the tensors of torch's."""
    own = BatchNorm(layer.num_features, layer.eps, layer.momentum)
    own.load_state_dict(layer.state_dict())
    return own


def build_segformer(backbone: str, classes: int, dropout: float, described: str | None = None) -> SegFormer:
    """Build SegFormer with weights drawn from torch's global generator.

    Args:
        backbone: a key of ``mhpmodels.networks.hf.presets.PRESETS``, or the path of a folder.
        classes: number of channels of the output.
        dropout: probability before the classifier.
        described: the folder's ``config.json`` as text; None for a preset.

    Raises:
        CheckpointError: the folder describes another network, or one of absurd sizes.
        MissingError: transformers is not installed.
    """
    config = make_config(fields_of(backbone, described, KINDS), num_labels=classes, classifier_dropout_prob=dropout)
    kind = import_transformers().SegformerForSemanticSegmentation
    if described is not None:
        check_size(kind, config, Path(backbone) / CONFIG)
    return SegFormer(kind(config))


def open_segformer(content: Mapping[str, Any], classes: int, folder: Path) -> SegFormer:
    """Return the network of a folder with its weights.

    Args:
        content: the folder's ``config.json``.
        classes: number of channels of the output.
        folder: the folder.

    Raises:
        CheckpointError: the config is invalid, or the weights are missing, damaged or of another network.
    """
    config = make_config(take_fields(content, folder / CONFIG, KINDS), num_labels=classes)
    kind = import_transformers().SegformerForSemanticSegmentation
    check_size(kind, config, folder / CONFIG)
    return SegFormer(load_model(kind, config, read_tensors(folder), folder))
