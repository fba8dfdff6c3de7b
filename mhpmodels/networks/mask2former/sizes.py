"""Sizes of Mask2Former beside those of its backbone, as fields of transformers' configuration.

Those that are not named are the defaults of transformers, which are the paper's.
"""

from __future__ import annotations

from typing import Any

from mhpmodels.models import TINY

SIZES: dict[str, dict[str, Any]] = {
    TINY: {
        **dict.fromkeys(("feature_size", "mask_feature_size", "hidden_dim"), 64),
        **dict.fromkeys(("encoder_feedforward_dim", "dim_feedforward"), 128),
        "encoder_layers": 1,
        "decoder_layers": 4,
        "num_attention_heads": 4,
        "num_queries": 40,
        "train_num_points": 1024,
    }
}
"""{backbone: sizes that are not the paper's}. ``decoder_layers`` counts the queries themselves as the first layer."""
