"""Sizes of Mask2Former by name of the backbone, as options of transformers' configuration classes; no framework here.

The full sizes are those of the paper's models; *tiny* is for tests and small machines.
"""

from __future__ import annotations

from typing import Any

_STAGES = ["stage1", "stage2", "stage3", "stage4"]
_SMALL = {
    "feature_size": 64,
    "mask_feature_size": 64,
    "hidden_dim": 64,
    "encoder_feedforward_dim": 128,
    "encoder_layers": 1,
    "decoder_layers": 4,
    "num_attention_heads": 4,
    "dim_feedforward": 128,
    "num_queries": 40,
    "train_num_points": 1024,
}
PRESETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "tiny": (
        {"model_type": "convnextv2", "depths": [1, 1, 2, 1], "hidden_sizes": [32, 64, 128, 192]},
        _SMALL,
    ),
    "convnextv2-tiny": (
        {
            "model_type": "convnextv2",
            "depths": [3, 3, 9, 3],
            "hidden_sizes": [96, 192, 384, 768],
            "drop_path_rate": 0.1,
        },
        {},
    ),
    "swin-tiny": (
        {
            "model_type": "swin",
            "depths": [2, 2, 6, 2],
            "num_heads": [3, 6, 12, 24],
            "embed_dim": 96,
            "window_size": 7,
            "drop_path_rate": 0.3,
        },
        {},
    ),
}
"""{backbone: (options of its configuration, options of Mask2FormerConfig)}."""


def described(backbone: str, labels: int) -> dict[str, Any]:
    """Return the options of transformers' Mask2FormerConfig.

    Args:
        backbone: a key of PRESETS.
        labels: number of labels; the class of persons is added.
    """
    base, options = PRESETS[backbone]
    return {**options, "backbone_config": {**base, "out_features": _STAGES}, "num_labels": labels + 1}
