"""Write tests/golden/schp.json: logits of SCHP's original network, for weights from a formula.

    python3 tests/support/make_schp.py Self-Correction-Human-Parsing

The argument is a clone of https://github.com/GoGoDuck912/Self-Correction-Human-Parsing. Its network is imported as it
is; its extension InPlaceABN, which needs a compiler, is replaced by the NumPy twin of its CPU source.
"""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import torch
from naive_abn import naive_abn
from schp_weights import CLASSES, SIDE, chosen, image, weight
from torch import nn

OUT = Path(__file__).parents[1] / "golden/schp.json"


class Twin(nn.Module):
    """InPlaceABNSync with the twin's forward pass."""

    def __init__(self, channels, affine=True, activation="leaky_relu"):
        super().__init__()
        assert affine
        self.activation = activation
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x):
        values = (x, self.running_mean, self.running_var, self.weight, self.bias)
        return torch.from_numpy(naive_abn(*(value.detach().numpy() for value in values), self.activation))


def original(clone: str, classes: int = CLASSES) -> nn.Module:
    """Return the original's network with weights from the formula, in inference mode."""
    modules = types.ModuleType("modules")
    modules.InPlaceABNSync = Twin
    sys.modules["modules"] = modules
    sys.path.insert(0, clone)
    from networks.AugmentCE2P import resnet101

    network = resnet101(num_classes=classes, pretrained=None)
    network.load_state_dict({n: torch.from_numpy(weight(n, tuple(t.shape))) for n, t in network.state_dict().items()})
    return network.eval()


def logits_of(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return the logits that ``simple_extractor.py`` uses: the fused ones, at the size of the input."""
    with torch.no_grad():
        fused = network(x)[0][-1]
    return nn.Upsample(size=x.shape[2:], mode="bilinear", align_corners=True)(fused)


if __name__ == "__main__":
    logits = logits_of(original(sys.argv[1]), torch.from_numpy(image())).numpy()
    content = {"classes": CLASSES, "side": SIDE, "logits": [round(float(x), 6) for x in chosen(logits)]}
    OUT.write_text(json.dumps(content) + "\n")
    print(OUT, logits.shape, logits.std(), abs(logits).max())
