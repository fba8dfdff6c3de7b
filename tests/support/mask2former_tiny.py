"""A Mask2Former of 40,000 random weights."""

from __future__ import annotations

import torch
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation

from mhpmodels.networks.hf.library import silent

LABELS = 4
OPTIONS = {
    "backbone_config": {
        "model_type": "convnextv2",
        "depths": [1, 1, 1, 1],
        "hidden_sizes": [8, 8, 16, 16],
        "out_features": ["stage1", "stage2", "stage3", "stage4"],
    },
    **dict.fromkeys(("feature_size", "mask_feature_size", "hidden_dim"), 32),
    **dict.fromkeys(("encoder_feedforward_dim", "dim_feedforward"), 32),
    "encoder_layers": 1,
    "decoder_layers": 3,
    "num_attention_heads": 2,
    "num_queries": 12,
    "train_num_points": 256,
    "num_labels": LABELS + 1,
}


def inner(seed=0, **options):
    """Return transformers' own network in inference mode."""
    with silent(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Mask2FormerForUniversalSegmentation(Mask2FormerConfig(**{**OPTIONS, **options})).eval()


def varied(classes, decoder):
    """Scale weights, so that classes differ between queries and masks between pixels."""
    with torch.no_grad():
        classes.weight.mul_(100)
        decoder.mask_predictor.mask_embedder.layers[-1].layers[0].weight.mul_(30)
