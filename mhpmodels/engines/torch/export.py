"""Export a network to ONNX for images of any number and size, and verify the file with onnxruntime.

::

    images    float32 (N, 3, H, W), RGB, normalised; sides of at least 32
    logits    float32 (N, classes, H, W), of the main output
    persons   float32 (N, 3, H, W), only of a network with heads of persons: centre heatmap, and offset down and to the
              right in pixels

The rule: a file whose logits differ from torch's is an error. torch silently exports its adaptive pooling for one size
only, so the pyramid pools with two matrix products instead, which work for any size.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from mhpdata.errors import EngineError, MissingError, OutputError
from mhpdata.filesystem.descriptors import hold_standard
from mhpdata.wording import to_write, why
from mhpmodels.engines.engine import install
from mhpmodels.networks.persons import enlarge
from mhpmodels.networks.resize import resize

CHECKED = ((2, 3, 96, 128), (1, 3, 75, 70))
"""Shapes of the images for the verification."""
OUTPUTS = ("logits", "persons")
TOLERANCE = 1e-4
"""Largest difference of a value, as a fraction of the largest one of its output."""
EXTRA = f"{install('onnx')}."


def export_network(
    network: nn.Module, path: str | Path, notes: Mapping[str, str] | None = None, persons: bool = False
) -> None:
    """Export a network in inference mode.

    Args:
        network: network on the CPU, with its weights; attributes ``pool`` that pool adaptively are replaced.
        path: file to write.
        notes: ONNX metadata, {key: text}.
        persons: the network has heads of persons.

    Raises:
        MissingError: onnx, onnxscript or onnxruntime is not installed.
        EngineError: onnxruntime's logits differ from torch's.
        OutputError: the file cannot be written.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  required by torch's exporter
    except ImportError as error:
        raise MissingError("onnx", f"cannot be imported ({error})", "", EXTRA) from error
    whole = _Main(network, persons).eval()
    generator = torch.Generator().manual_seed(0)
    images = [torch.randn(shape, generator=generator) for shape in CHECKED]
    with torch.no_grad():
        expected = [[output.numpy() for output in _several(whole(x))] for x in images]
    for module in network.modules():
        if getattr(module, "pool", None) is F.adaptive_avg_pool2d:
            module.pool = _pool
    _write(whole, images[0], path, notes or {}, OUTPUTS[: 1 + persons])
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for x, outputs in zip(images, expected, strict=True):
        returned = session.run(None, {"images": x.numpy()})
        for name, ours, theirs in zip(OUTPUTS, outputs, returned, strict=False):
            distance, largest = np.abs(theirs - ours).max(), np.abs(ours).max()
            if not distance <= TOLERANCE * max(1.0, largest):
                shape = " x ".join(map(str, x.shape))
                raise EngineError(
                    path,
                    f"onnxruntime's {name} differ by {distance:g} from torch's for images {shape}",
                    f"at most {TOLERANCE * max(1.0, largest):g}",
                    "Run pip install --upgrade torch onnx onnxscript onnxruntime, then convert again.",
                )


class _Main(nn.Module):
    """A network reduced to its main output at the images' size and, with heads of persons, their maps."""

    def __init__(self, network: nn.Module, persons: bool) -> None:
        super().__init__()
        self.network, self.persons = network, persons

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        outputs = self.network(images)
        maps = None
        if self.persons:
            outputs, maps = outputs
        logits = outputs[0] if isinstance(outputs, tuple) else outputs
        logits = logits if logits.shape[2:] == images.shape[2:] else resize(logits, images.shape[2:])
        return logits if maps is None else (logits, enlarge(maps, images.shape[2:]))


def _several(outputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def _write(
    network: nn.Module, images: Tensor, path: str | Path, notes: Mapping[str, str], outputs: Sequence[str]
) -> None:
    size = torch.export.Dim.AUTO
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)  # suppress warnings about missing torchvision operators
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's exporter uses deprecated functions
            program = torch.onnx.export(
                network,
                (images,),
                dynamo=True,
                input_names=["images"],
                output_names=list(outputs),
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
    """Pool like ``adaptive_avg_pool2d``: (N, C, h, w) -> (N, C, bins, bins)."""
    height, width = x.shape[2:]
    return _shares(height, bins) @ (x @ _shares(width, bins).T)


def _shares(size: int, bins: int) -> Tensor:
    """Return float32 (bins, size), in which row i averages floor(i size / bins) .. ceil((i + 1) size / bins) - 1."""
    bin_, pixel = torch.arange(bins)[:, None], torch.arange(size)
    first, last = bin_ * size // bins, ((bin_ + 1) * size + bins - 1) // bins
    return ((pixel >= first) & (pixel < last)).float() / (last - first)
