"""Predict with a torch network whose weights mhp did not train: it brings its own preprocessing and label set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from mhpdata.label_sets.table import LabelTable
from mhpmodels.engines.torch.copies import on_device
from mhpmodels.engines.torch.ranks import Ranks
from mhpmodels.engines.torch.trainer import DTYPES
from mhpmodels.networks.preprocessing import Preprocessing

if TYPE_CHECKING:
    from mhpmodels.config import TrainConfig


class TorchPredictor:
    """A torch network as a ``mhpmodels.engines.engine.ForeignPredictor``.

    Args:
        network: maps float32 (N, 3, H, W), normalised, to logits (N, classes, h, w), or with ``config.network.persons``
            to a pair of (logits,) and maps of persons; on the CPU, with its weights.
        config: ngpus and dtype are used; the class names are those of ``labels``.
        preprocessing: what the network expects of its input.
        labels: its classes.
        path: path of the weights.
        facts: what ``foreign_facts`` returns for the weights.

    Raises:
        EngineError: the device is missing.
    """

    name = "torch"

    def __init__(
        self,
        network: nn.Module,
        config: TrainConfig,
        preprocessing: Preprocessing,
        labels: LabelTable,
        path: str | Path,
        facts: dict[str, Any],
    ) -> None:
        self.config, self.preprocessing, self.labels, self.source = config, preprocessing, labels, str(path)
        self._facts = facts
        self._ranks = Ranks(config, training=False)
        self._device = self._ranks.device
        self._network = network.to(self._device).eval()
        self._parameters = sum(p.numel() for p in network.parameters())

    def predict(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """See ``mhpmodels.engines.engine.ForeignPredictor``."""
        return self._run(images, False)

    def predict_persons(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """See ``mhpmodels.engines.engine.PersonPredictor``."""
        return self._run(images, True)

    def _run(self, images: NDArray[Any], persons: bool) -> NDArray[np.float32]:
        dtype = self.config.optim.dtype
        with torch.inference_mode(), self._ranks.watched():
            x = normalise(on_device(images, self._device), self.preprocessing)
            with torch.autocast(self._device.type, DTYPES[dtype], dtype != "float32"):
                found = self._network(x)
            logits, maps = (found[0][0], found[1]) if isinstance(found, tuple) else (found, None)
            logits = logits.float()
            if logits.shape[2:] != x.shape[2:]:
                logits = F.interpolate(logits, x.shape[2:], mode="bilinear", align_corners=False)
            if persons:
                assert maps is not None, "config.network.persons"
                logits = torch.cat([logits, maps], 1)
            array: NDArray[np.float32] = logits.contiguous().cpu().numpy()
        return array

    def describe(self) -> dict[str, Any]:
        """See ``mhpmodels.engines.engine.ForeignPredictor``."""
        cuda = self._device.type == "cuda"
        return {
            "framework": "torch",
            "versions": {"torch": torch.__version__, "numpy": np.__version__},
            "parameters": self._parameters,
            "devices": [torch.cuda.get_device_name(self._device) if cuda else str(self._device)],
            "weights": self._facts,
        }

    def close(self) -> None:
        """See ``mhpmodels.engines.engine.Engine``."""
        self._network = nn.Identity()
        self._ranks.close()


def normalise(images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Return uint8 (N, H, W, 3) RGB images as float32 (N, 3, H, W), as the network expects them.

    Floating-point images (N, 3, H, W) are already normalised, as the loader's are by ImageNet's mean and deviation.
    The result is that of ``Preprocessing.normalise``, bit for bit. ``copies.normalise`` multiplies instead of dividing,
    which rounds differently; training keeps that, as its losses are compared exactly with stored ones.
    """
    if images.dtype != torch.uint8:
        return images.float()
    mean, deviation = (
        torch.tensor(x, device=images.device)[:, None, None] for x in (preprocessing.mean, preprocessing.deviation)
    )
    x = (images.permute(0, 3, 1, 2).float() / 255 - mean) / deviation
    return (x.flip(1) if preprocessing.bgr else x).contiguous()
