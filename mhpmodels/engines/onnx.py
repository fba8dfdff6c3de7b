"""Predict with onnxruntime and an ONNX file, of mhp convert or of another program.

onnxruntime is imported when an ``OnnxEngine`` is constructed. It gets the bytes of the file and of the files beside it
that hold large tensors, never a path (``mhpmodels.files.onnx_external``).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import CheckpointError, EngineError, MissingError
from mhpdata.filesystem.regular import read_regular
from mhpdata.label_sets.table import LabelTable
from mhpdata.wording import to_open, unread
from mhpmodels.config import PERSONS
from mhpmodels.engines.engine import install
from mhpmodels.engines.onnx_form import EXPORT, PROBED, WANTED, form_of
from mhpmodels.files.onnx_external import read_external
from mhpmodels.files.onnx_names import names_classes, read_notes, read_origins
from mhpmodels.files.params import MAX_BYTES
from mhpmodels.networks.known import foreign_facts
from mhpmodels.networks.preprocessing import IMAGENET, Preprocessing

if TYPE_CHECKING:
    from mhpmodels.config import TrainConfig

SUFFIX = ".onnx"
_PROVIDERS = {False: "CPUExecutionProvider", True: "CUDAExecutionProvider"}
_MULTIPLE = 32
"""Input sides of other programs' networks without a fixed size are multiples of this, in pixels."""


class OnnxEngine:
    """An ONNX network as a ``mhpmodels.engines.engine.Predictor``; after ``adopt``, as a ``ForeignPredictor``.

    Args:
        path: the ``.onnx`` file.
        config: only ``ngpus`` is used; the number and names of the classes come from the file.

    Attributes:
        own: whether the file has mhp's own form.
        named: whether it names its classes, as mhp convert does.
        labels: classes of another program's network, once ``adopt`` has set them.
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
        options = onnxruntime.SessionOptions()
        external = read_external(content, path, MAX_BYTES)
        if external:
            _give(options, external, path)
        try:
            session = onnxruntime.InferenceSession(content, options, providers=[provider])
        except Exception as error:  # onnxruntime's errors have no other common base class
            remedy = f"Write the file again with mhp convert WEIGHTS {path} --overwrite, or with its own program."
            found = f"rejected by onnxruntime ({error})"
            raise CheckpointError(path, found, "a network in the ONNX format", remedy) from error
        self._session: Any = session
        self._form, self._version, self.source = form_of(session, path), onnxruntime.__version__, str(path)
        self.own, self.labels, self.preprocessing = self._form.own, None, IMAGENET
        if not self.own:
            self.preprocessing = replace(IMAGENET, size=self._form.size, multiple=_MULTIPLE)
        notes = session.get_modelmeta().custom_metadata_map
        self.named, self.provenance = names_classes(notes), read_origins(notes, path)
        if self._form.persons:  # only torch exports such networks
            config = config.changed(engine="torch", persons=True)
        classes = self._form.classes or self._count()
        if classes < 2:
            raise CheckpointError(path, f"returns {self._form.logits} of one channel", WANTED, EXPORT)
        self.config = read_notes(config.changed(classes=classes), notes, path)

    labels: LabelTable | None

    def adopt(self, labels: LabelTable, preprocessing: Preprocessing) -> None:
        """Set what another program's file does not say: its classes and the normalisation of its input.

        Args:
            labels: as many classes as the network has outputs.
            preprocessing: mean, deviation, order of the channels and fit are used; the size is that of the file.
        """
        names, pairs = labels.labels.names, labels.labels.flip_pairs
        self.labels, own = labels, self.preprocessing
        self.preprocessing = replace(preprocessing, size=own.size, multiple=own.multiple)
        self.config = self.config.changed(class_names=names, flip_pairs=pairs)

    def predict(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """See ``mhpmodels.engines.engine.Engine``; of mhp's own networks, sides of at least 32."""
        (logits,) = self._run(images, [self._form.logits])
        return _resized(logits, images.shape[1:3] if images.dtype == np.uint8 else images.shape[2:])

    def predict_persons(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """See ``mhpmodels.engines.engine.PersonPredictor``; sides of at least 32."""
        return np.concatenate(self._run(images, [self._form.logits, PERSONS]), 1)

    def _run(self, images: NDArray[Any], names: list[str]) -> list[NDArray[np.float32]]:
        """Return the outputs of these names."""
        if images.dtype == np.uint8:
            images = self.preprocessing.normalise(images)
        pieces = np.split(images, len(images)) if self._form.single else [images]
        try:
            given = [np.ascontiguousarray(piece, self._form.dtype) for piece in pieces]
            outputs = [self._session.run(names, {self._form.given: piece}) for piece in given]
        except Exception as error:  # onnxruntime's errors have no other common base class
            remedy = (
                "If it is out of memory, pass a smaller --window, such as 1024; otherwise write the file again with "
                f"mhp convert WEIGHTS {self.source} --overwrite, or with its own program."
            )
            found = f"onnxruntime failed for images {images.shape} ({error})"
            raise EngineError(self.source, found, "", remedy) from error
        return [np.concatenate(parts).astype(np.float32, copy=False) for parts in zip(*outputs, strict=True)]

    def _count(self) -> int:
        """Return the number of outputs of a file that does not say it, from a black image."""
        height, width = self._form.size or PROBED
        (logits,) = self._run(np.zeros((1, height, width, 3), np.uint8), [self._form.logits])
        return int(logits.shape[1])

    def describe(self) -> dict[str, Any]:
        """See ``mhpmodels.engines.engine.Engine``."""
        versions = {"onnxruntime": self._version, "numpy": np.__version__}
        about = {"framework": "onnx", "versions": versions, "devices": self._session.get_providers()}
        if self.labels is not None:
            name, outputs = self.labels.name, self.config.network.classes
            about["weights"] = foreign_facts(Path(self.source).name, name, outputs, self.preprocessing, "", "")
        return about

    def close(self) -> None:
        """See ``mhpmodels.engines.engine.Engine``."""
        self._session = None


def _give(options: Any, external: dict[str, bytes], path: str | Path) -> None:
    """Give onnxruntime the files beside an ONNX file, by name."""
    if not hasattr(options, "add_external_initializers_from_files_in_memory"):
        found = f"has its weights in {', '.join(external)}, which this version of onnxruntime takes from no memory"
        remedy = "Run pip install --upgrade onnxruntime; or write one file: onnx.save(onnx.load(FILE), OTHER)."
        raise CheckpointError(path, found, "one file, or a newer onnxruntime", remedy)
    sizes = [len(content) for content in external.values()]
    options.add_external_initializers_from_files_in_memory(list(external), list(external.values()), sizes)


def _resized(logits: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.float32]:
    """Resize logits bilinearly, pixel centres on pixel centres, to ``size``, (height, width)."""
    if logits.shape[2:] == size:
        return logits
    from mhpdata.opencv import cv2

    out = np.empty((*logits.shape[:2], *size), np.float32)
    for source, target in zip(logits.reshape(-1, *logits.shape[2:]), out.reshape(-1, *size), strict=True):
        target[:] = cv2.resize(source, size[::-1], interpolation=cv2.INTER_LINEAR)
    return out
