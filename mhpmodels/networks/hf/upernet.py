"""UperNet: a pyramid of pooled features and a feature pyramid over any backbone of four stages.

Xiao et al., "Unified perceptual parsing for scene understanding", ECCV 2018. The modules are those of transformers'
UperNetForSemanticSegmentation without its auxiliary head, with its names, and its logits resized without aligned
corners; the batch normalisation is ours, which accepts a single value per channel.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from mhpmodels.config import PERSONS
from mhpmodels.networks.backbones.backbone import Outputs
from mhpmodels.networks.hf.backbones import backbone_config, frozen, levels_of, load_weights
from mhpmodels.networks.hf.library import import_transformers
from mhpmodels.networks.hf.segformer import own_norm
from mhpmodels.networks.persons import PersonHeads
from mhpmodels.networks.resize import resize


class UperNet(nn.Module):
    """Map float32 (N, 3, H, W) to logits (N, classes, H, W); H and W of at least 32.

    Args:
        inner: transformers' UperNetForSemanticSegmentation, whose modules it takes.
        dropout: probability before the classifier.

    Attributes:
        levels: see ``mhpmodels.networks.levels``.
        persons: the heads that tell persons apart; None without.
    """

    base_names = ("backbone",)
    head_names = ("decode_head", PERSONS)

    def __init__(self, inner: Any, dropout: float) -> None:
        super().__init__()
        self.backbone, self.decode_head = frozen(inner.backbone), inner.decode_head
        own_norms(self.decode_head)
        self.dropout = nn.Dropout(dropout)
        self.pool = F.adaptive_avg_pool2d  # the ONNX export replaces it
        self.person_channels = inner.config.hidden_size
        self.persons: PersonHeads | None = None

    @property
    def levels(self) -> tuple[tuple[str, ...], ...]:
        """See the class."""
        return levels_of(self.backbone, "backbone")

    def load_base(self, source: str) -> None:
        """Load the backbone's weights from a folder or OWNER/NAME. Raises CheckpointError."""
        load_weights(self, "backbone", source)

    def forward(self, x: Tensor) -> Outputs:
        features = self._fuse(self.backbone(x).feature_maps)
        logits = self.decode_head.classifier(self.dropout(features)).contiguous()
        logits = resize(logits, x.shape[2:], aligned=False)
        return (logits,) if self.persons is None else ((logits,), self.persons(features))

    def _fuse(self, maps: tuple[Tensor, ...]) -> Tensor:
        """Return the features before the classifier: (N, C, H/4, W/4)."""
        head = self.decode_head
        lateral = [conv(x) for conv, x in zip(head.lateral_convs, maps[:-1], strict=True)]
        lateral.append(self._pyramid(maps[-1]))
        for i in range(len(lateral) - 1, 0, -1):
            lateral[i - 1] = lateral[i - 1] + _to(lateral[i], lateral[i - 1])
        fine = [conv(x) for conv, x in zip(head.fpn_convs, lateral[:-1], strict=True)]
        fine = [fine[0], *(_to(x, fine[0]) for x in (*fine[1:], lateral[-1]))]
        return head.fpn_bottleneck(torch.cat(fine, 1))

    def _pyramid(self, x: Tensor) -> Tensor:
        head = self.decode_head
        blocks = zip(head.pool_scales, head.psp_modules.blocks, strict=True)
        pooled = [_to(block.layers[1](self.pool(x, bins)), x) for bins, block in blocks]
        return head.bottleneck(torch.cat([x, *pooled], 1))


def own_norms(module: nn.Module) -> None:
    """Replace each batch normalisation inside a module by ours."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, own_norm(child))
        else:
            own_norms(child)


def _to(x: Tensor, like: Tensor) -> Tensor:
    """Resize features to the size of others, in their type."""
    size = like.shape[2:]
    return x if x.shape[2:] == size else resize(x, size, aligned=False).to(like.dtype)


def build_upernet(backbone: str, classes: int, dropout: float, described: str | None = None) -> UperNet:
    """Build UperNet with weights drawn from torch's global generator.

    Args:
        backbone, described: as for ``backbone_config``.
        classes: number of channels of the output.
        dropout: probability before the classifier.

    Raises:
        CheckpointError, MissingError: as for ``backbone_config``.
    """
    transformers = import_transformers()
    config = transformers.UperNetConfig(
        backbone_config=backbone_config(backbone, described), num_labels=classes, use_auxiliary_head=False
    )
    return UperNet(transformers.UperNetForSemanticSegmentation(config), dropout)
