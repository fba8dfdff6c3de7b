"""Networks that can be checked by hand, for tests of the code around a network: images to logits, NumPy only.

Each takes images as an engine does, uint8 (N, H, W, 3) or float32 (N, 3, H, W) normalised. Like a real network, each
rejects sides that are below a minimum or not a multiple of a given number.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mhpdata.errors import CheckpointError
from mhpmodels.config import TrainConfig
from mhpmodels.prediction.trained import LEAST, MULTIPLE

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


class ByColour:
    """Logits are a fixed random mixture of a pixel's colour, independent of all other pixels."""

    def __init__(self, classes: int = 19, multiple: int = 8, seed: int = 0, least: int = 1) -> None:
        rng = np.random.default_rng(seed)
        self.weights = rng.standard_normal((3, classes)).astype(np.float32)
        self.bias = rng.standard_normal(classes).astype(np.float32)
        self.multiple, self.least = multiple, least
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, images: np.ndarray) -> np.ndarray:
        if images.dtype == np.uint8:
            images = ((images / np.float32(255) - MEAN) / DEVIATION).transpose(0, 3, 1, 2)
        assert images.shape[1] == 3 and images.dtype == np.float32
        assert not images.shape[2] % self.multiple and not images.shape[3] % self.multiple, images.shape
        assert min(images.shape[2:]) >= self.least, images.shape
        self.shapes.append(images.shape)
        logits = np.einsum("nchw,ck->nkhw", images, self.weights) + self.bias[:, None, None]
        return np.ascontiguousarray(logits, np.float32)


class BySide:
    """The arms of a facing person: the image's left half is a right arm (15), the other half a left arm (14)."""

    def __init__(self, classes: int = 19, multiple: int = 1) -> None:
        self.classes, self.multiple = classes, multiple

    def __call__(self, images: np.ndarray) -> np.ndarray:
        count, height, width = images.shape[0], *images.shape[1:3]
        assert images.dtype == np.uint8 and not height % self.multiple and not width % self.multiple
        logits = np.zeros((count, self.classes, height, width), np.float32)
        logits[:, 15, :, : width // 2] = 5
        logits[:, 14, :, width // 2 :] = 4
        return logits


class ColourEngine:
    """An engine around ByColour that fulfils the contract; its weights are an .npz file under any name."""

    name, rank, world_size = "mxnet", 0, 1

    def __init__(self, config: TrainConfig, training: bool = True) -> None:
        self.config, self.training, self.closed = config, training, False
        self.network = ByColour(config.network.classes, MULTIPLE, least=LEAST)

    def predict(self, images: np.ndarray) -> np.ndarray:
        return self.network(images)

    def save(self, path: str | Path) -> None:
        with Path(path).open("wb") as file:
            np.savez(file, weights=self.network.weights, bias=self.network.bias)

    def load(self, path: str | Path) -> None:
        with np.load(path) as arrays:
            if arrays["bias"].shape != self.network.bias.shape:
                raise CheckpointError(path, f"{len(arrays['bias'])} outputs", f"{len(self.network.bias)}")
            self.network.weights, self.network.bias = arrays["weights"], arrays["bias"]

    def save_state(self, path: str | Path) -> None:
        Path(path).write_bytes(b"")

    def describe(self) -> dict[str, object]:
        return {"framework": "numpy"}

    def close(self) -> None:
        self.closed = True
