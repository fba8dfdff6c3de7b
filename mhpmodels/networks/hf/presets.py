"""Sizes of the named backbones, as fields of the configs of transformers.

Sources: SegFormer, Xie et al., NeurIPS 2021 (arXiv 2105.15203), table 6; Swin, Liu et al., ICCV 2021 (arXiv
2103.14030), section 3.3; ConvNeXt V2, Woo et al., CVPR 2023 (arXiv 2301.00808), section 3. Fields that are not named
have the defaults of transformers' configs, which are those of the papers' smallest networks.
"""

from __future__ import annotations

from typing import Any

from mhpmodels.models import TINY

_MIT = {
    "mit_b0": ((32, 64, 160, 256), (2, 2, 2, 2), 256),
    "mit_b1": ((64, 128, 320, 512), (2, 2, 2, 2), 256),
    "mit_b2": ((64, 128, 320, 512), (3, 4, 6, 3), 768),
    "mit_b3": ((64, 128, 320, 512), (3, 4, 18, 3), 768),
    "mit_b4": ((64, 128, 320, 512), (3, 8, 27, 3), 768),
    "mit_b5": ((64, 128, 320, 512), (3, 6, 40, 3), 768),
}
"""{name: (channels, blocks of each stage, channels of the head)}."""
_SWIN = {
    "swin_tiny": (96, (2, 2, 6, 2), (3, 6, 12, 24)),
    "swin_small": (96, (2, 2, 18, 2), (3, 6, 12, 24)),
    "swin_base": (128, (2, 2, 18, 2), (4, 8, 16, 32)),
    "swin_large": (192, (2, 2, 18, 2), (6, 12, 24, 48)),
}
"""{name: (channels of the first stage, blocks, attention heads of each stage)}."""
_CONVNEXT = {
    "convnextv2_atto": ((40, 80, 160, 320), (2, 2, 6, 2)),
    "convnextv2_femto": ((48, 96, 192, 384), (2, 2, 6, 2)),
    "convnextv2_pico": ((64, 128, 256, 512), (2, 2, 6, 2)),
    "convnextv2_nano": ((80, 160, 320, 640), (2, 2, 8, 2)),
    "convnextv2_tiny": ((96, 192, 384, 768), (3, 3, 9, 3)),
    "convnextv2_base": ((128, 256, 512, 1024), (3, 3, 27, 3)),
    "convnextv2_large": ((192, 384, 768, 1536), (3, 3, 27, 3)),
    "convnextv2_huge": ((352, 704, 1408, 2816), (3, 3, 27, 3)),
}
"""{name: (channels, blocks of each stage)}."""

PRESETS: dict[str, dict[str, Any]] = {
    **{
        name: {"model_type": "segformer", "hidden_sizes": sizes, "depths": depths, "decoder_hidden_size": head}
        for name, (sizes, depths, head) in _MIT.items()
    },
    **{
        name: {"model_type": "swin", "embed_dim": width, "depths": depths, "num_heads": heads}
        for name, (width, depths, heads) in _SWIN.items()
    },
    **{
        name: {"model_type": "convnextv2", "hidden_sizes": sizes, "depths": depths}
        for name, (sizes, depths) in _CONVNEXT.items()
    },
    TINY: {"model_type": "convnextv2", "hidden_sizes": (32, 64, 128, 192), "depths": (1, 1, 2, 1)},
}
"""{name of ``mhpmodels.models.BACKBONES``: fields of its config}."""
