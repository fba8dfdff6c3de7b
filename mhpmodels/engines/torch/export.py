"""A network as an ONNX file that takes images of any number and size, checked in onnxruntime before it is kept.

::

    images    float32 (N, 3, H, W), RGB, normalised; sides of at least 32
    logits    float32 (N, classes, H, W), of the main output

The rule: no file is left that does not give torch's own logits. torch's adaptive pooling is exported for one size only,
silently, so the pyramid pools by two matrix products instead, which any size has.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mhpdata.errors import EngineError, MissingError, OutputError
from mhpdata.filesystem.descriptors import hold_standard
from mhpdata.wording import to_write, why
from mhpmodels.engines.engine import install
from mhpmodels.networks.pspnet import Pyramid
from mhpmodels.networks.resize import resize

CHECKED = ((2, 3, 96, 128), (1, 3, 75, 70))
"""Shapes of the images that both are given."""
TOLERANCE = 1e-4
"""Of a logit, as a share of the largest."""
EXTRA = f"{install('onnx')}."


def export_network(network: nn.Module, path: str | Path, notes: Mapping[str, str] | None = None) -> None:
    """Write a network in inference mode, on the CPU; its pyramid is changed.

    Args:
        network: with its weights.
        path: the file.
        notes: texts that the file carries, by key (ONNX calls them metadata).

    Raises:
        MissingError: onnx, onnxscript or onnxruntime is not installed.
        EngineError: onnxruntime's logits are not torch's.
        OutputError: the file cannot be written.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  which torch's exporter needs
    except ImportError as error:
        raise MissingError("onnx", f"cannot be imported ({error})", "", EXTRA) from error
    whole = _Main(network).eval()
    generator = torch.Generator().manual_seed(0)
    images = [torch.randn(shape, generator=generator) for shape in CHECKED]
    with torch.no_grad():
        expected = [whole(x).numpy() for x in images]
    for module in network.modules():
        if isinstance(module, Pyramid):
            module.pool = _pool
    _write(whole, images[0], path, notes or {})
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for x, logits in zip(images, expected, strict=True):
        (found,) = session.run(None, {"images": x.numpy()})
        distance, largest = np.abs(found - logits).max(), np.abs(logits).max()
        if not distance <= TOLERANCE * max(1.0, largest):
            shape = " x ".join(map(str, x.shape))
            raise EngineError(
                path,
                f"onnxruntime's logits are {distance:g} from torch's for images {shape}",
                f"at most {TOLERANCE * max(1.0, largest):g}",
                "Run: pip install --upgrade torch onnx onnxscript onnxruntime; then convert again.",
            )


class _Main(nn.Module):
    """The main output at the images' size."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        outputs = self.network(images)
        logits = outputs[0] if isinstance(outputs, tuple) else outputs
        return logits if logits.shape[2:] == images.shape[2:] else resize(logits, images.shape[2:])


def _write(network: nn.Module, images: Tensor, path: str | Path, notes: Mapping[str, str]) -> None:
    size = torch.export.Dim.AUTO
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)  # it tells of operators of torchvision that it has not found
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what torch's exporter itself uses that is to go
            program = torch.onnx.export(
                network,
                (images,),
                dynamo=True,
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes={"images": {0: size, 2: size, 3: size}},
                verbose=False,
            )
            assert program is not None  # with dynamo
            program.model.metadata_props.update(notes)
            hold_standard()
            program.save(str(path), external_data=False)
    except OSError as error:
        raise OutputError(path, f"cannot be written ({why(error)})", "", to_write(error, path)) from error
    finally:
        log.setLevel(level)


def _pool(x: Tensor, bins: int) -> Tensor:
    """As adaptive_avg_pool2d."""
    height, width = x.shape[2:]
    return _shares(height, bins) @ (x @ _shares(width, bins).T)


def _shares(size: int, bins: int) -> Tensor:
    """float32 (bins, size): row i takes the mean of floor(i size / bins) .. ceil((i + 1) size / bins)."""
    bin_, place = torch.arange(bins)[:, None], torch.arange(size)
    first, last = bin_ * size // bins, ((bin_ + 1) * size + bins - 1) // bins
    return ((place >= first) & (place < last)).float() / (last - first)
