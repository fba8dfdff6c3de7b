"""Folders in the form of Hugging Face's hub, with tiny networks of random weights."""

from __future__ import annotations

import json

import torch
import transformers
from safetensors.torch import load_file, save_file

from mhpmodels.networks.hf.library import silent

TINY = {"hidden_sizes": [8, 16, 16, 24], "depths": [1, 1, 2, 1], "num_attention_heads": [1, 2, 2, 3]}
"""Fields of a config of SegFormer with 30,000 weights."""
ATR = (
    *("Background", "Hat", "Hair", "Sunglasses", "Upper-clothes", "Skirt", "Pants", "Dress", "Belt", "Left-shoe"),
    *("Right-shoe", "Face", "Left-leg", "Right-leg", "Left-arm", "Right-arm", "Bag", "Scarf"),
)
"""The names in mattmdjaga/segformer_b2_clothes."""
PREPROCESSOR = {
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "rescale_factor": 1 / 255,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.25, 0.3],
    "size": {"height": 64, "width": 96},
}


def segformer(names=ATR, seed=0, **fields):
    """Return transformers' own network in inference mode."""
    labels = dict(enumerate(names))
    given = {"decoder_hidden_size": 16, "id2label": labels, "label2id": {n: i for i, n in labels.items()}, **TINY}
    config = transformers.SegformerConfig(**{**given, **fields})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.SegformerForSemanticSegmentation(config)
        for norm in (module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
        for parameter in model.parameters():  # their initial biases are 0, and their weights small
            torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def write(folder, model, preprocessor=PREPROCESSOR, **arguments):
    """Write a network, as its authors do, into a new folder; return the folder."""
    with silent():
        model.save_pretrained(folder, **arguments)
    if preprocessor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder


def change(path, **values):
    """Change values of a JSON object in a file; None removes one."""
    content = {**json.loads(path.read_text()), **values}
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))


def as_pickle(folder):
    """Replace the weights of a folder by torch's older form."""
    path = folder / "model.safetensors"
    torch.save(load_file(path), folder / "pytorch_model.bin")
    path.unlink()


def rewrite(path, change_tensors):
    """Change the tensors of a safetensors file by a function."""
    tensors = dict(load_file(path))
    change_tensors(tensors)
    save_file(tensors, path, metadata={"format": "pt"})
