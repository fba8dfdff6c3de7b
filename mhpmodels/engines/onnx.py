"""Predict with onnxruntime and an ONNX file that mhp convert wrote.

onnxruntime is imported when an ``OnnxEngine`` is constructed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import CheckpointError, EngineError, MissingError
from mhpdata.filesystem.regular import read_regular
from mhpdata.imagenet import DEVIATION, MEAN
from mhpdata.wording import to_open, unread
from mhpmodels.config import PERSONS
from mhpmodels.engines.engine import install
from mhpmodels.files.onnx_names import read_notes, read_origins
from mhpmodels.files.params import MAX_BYTES

if TYPE_CHECKING:
    from mhpmodels.config import TrainConfig

SUFFIX = ".onnx"
_PROVIDERS = {False: "CPUExecutionProvider", True: "CUDAExecutionProvider"}


class OnnxEngine:
    """An ONNX network as a ``mhpmodels.engines.engine.Predictor``.

    Args:
        path: the ``.onnx`` file.
        config: only ``ngpus`` is used; the number and names of the classes come from the file.

    Attributes:
        provenance: where the weights come from; empty if the file does not say.

    Raises:
        MissingError, EngineError: onnxruntime is not installed, or does not support the device.
        CheckpointError: the file cannot be read, or has other inputs and outputs.
    """

    name = "onnx"

    def __init__(self, path: str | Path, config: TrainConfig) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingError("onnxruntime", f"cannot be imported ({error})", "", f"{install('onnx')}.") from error
        provider = _PROVIDERS[bool(config.machine.ngpus)]
        if provider not in onnxruntime.get_available_providers():
            remedy = "Pass --ngpus 0 to use the CPU, or run: pip install onnxruntime-gpu."
            raise EngineError("ngpus", f"{config.machine.ngpus}, but onnxruntime has no {provider}", "", remedy)
        try:
            content = read_regular(path, MAX_BYTES)
        except OSError as error:
            what = "an .onnx file, or write one under another name: mhp convert WEIGHTS other.onnx"
            remedy = to_open(error, path, what)
            raise CheckpointError(path, unread(error), "a network", remedy) from error
        try:
            session = onnxruntime.InferenceSession(content, providers=[provider])
        except Exception as error:  # onnxruntime's errors have no other common base class
            remedy = f"Write the file again with mhp convert WEIGHTS {path} --overwrite."
            found = f"rejected by onnxruntime ({error})"
            raise CheckpointError(path, found, "a file written by mhp convert", remedy) from error
        (given, *more), (logits, *others) = session.get_inputs(), session.get_outputs()
        persons = any(output.name == PERSONS and list(output.shape[1:2]) == [3] for output in others)
        shapes = [given.shape, logits.shape]
        if (
            more
            or [len(shape) for shape in shapes] != [4, 4]
            or given.shape[1] != 3
            or type(logits.shape[1]) is not int
        ):
            raise CheckpointError(
                path,
                f"has input {given.shape} and output {logits.shape}",
                "images (N, 3, H, W) and logits (N, classes, H, W)",
                "Pass a file that mhp convert WEIGHTS OUT.onnx wrote.",
            )
        notes = session.get_modelmeta().custom_metadata_map
        if persons:  # only torch exports such networks
            config = config.changed(engine="torch", persons=True)
        self.config = read_notes(config.changed(classes=logits.shape[1]), notes, path)
        self.source, self.provenance = str(path), read_origins(notes, path)
        self._session: Any = session
        self._input, self._logits, self._version = given.name, logits.name, onnxruntime.__version__

    def predict(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """See ``mhpmodels.engines.engine.Engine``; sides of at least 32."""
        return self._run(images, [self._logits])[0]

    def predict_persons(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """See ``mhpmodels.engines.engine.PersonPredictor``; sides of at least 32."""
        return np.concatenate(self._run(images, [self._logits, PERSONS]), 1)

    def _run(self, images: NDArray[Any], names: list[str]) -> list[NDArray[np.float32]]:
        """Return the outputs of these names."""
        if images.dtype == np.uint8:
            pixels = images.transpose(0, 3, 1, 2) / np.float32(255)
            mean, deviation = (np.array(x, np.float32)[:, None, None] for x in (MEAN, DEVIATION))
            images = (pixels - mean) / deviation
        try:
            outputs: list[NDArray[np.float32]] = self._session.run(names, {self._input: np.ascontiguousarray(images)})
        except Exception as error:  # onnxruntime's errors have no other common base class
            remedy = (
                "If it is out of memory, pass a smaller --window, such as 1024; otherwise write the file again with "
                f"mhp convert WEIGHTS {self.source} --overwrite."
            )
            found = f"onnxruntime failed for images {images.shape} ({error})"
            raise EngineError(self.source, found, "", remedy) from error
        return outputs

    def describe(self) -> dict[str, Any]:
        """See ``mhpmodels.engines.engine.Engine``."""
        versions = {"onnxruntime": self._version, "numpy": np.__version__}
        return {"framework": "onnx", "versions": versions, "devices": self._session.get_providers()}

    def close(self) -> None:
        """See ``mhpmodels.engines.engine.Engine``."""
        self._session = None
