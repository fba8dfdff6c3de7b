"""A predictor by colour instead of a network, and its options."""

from __future__ import annotations

from networks import ByColour

from mhpmodels.inference.pieces import Inference
from mhpmodels.prediction.options import Options

SMALL = Options(size=32, threads=1)


def around(**options):
    return Inference(**{"predict": ByColour(), "classes": 19, "multiple": 8, **options})
