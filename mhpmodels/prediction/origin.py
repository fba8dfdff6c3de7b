"""Look up where trained weights come from, whatever holds them (mhpmodels.files.provenance)."""

from __future__ import annotations

from pathlib import Path

from mhpdata.options import check_path
from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import Predictor
from mhpmodels.engines.onnx import SUFFIX, OnnxEngine
from mhpmodels.files.origins import measured, origins_of
from mhpmodels.files.provenance import Provenance, in_words
from mhpmodels.prediction.trained import trained_config


def provenance_of(path: str | Path, engine: Predictor | None = None) -> Provenance:
    """Return the provenance of a checkpoint; empty if its origin is not recorded.

    Args:
        path: weights, an ``.onnx`` file, or a run's folder for its best checkpoint.
        engine: the open engine with these weights, if there is one.

    Raises:
        CheckpointError: the weights are missing or damaged.
        MissingError: onnxruntime, which reads ``.onnx`` files, is not installed.
    """
    path = check_path("checkpoint", path)
    if path.suffix == SUFFIX:
        opened = engine if isinstance(engine, OnnxEngine) else OnnxEngine(path, TrainConfig())
        return opened.provenance
    if engine is not None and path.is_dir() and not any(path.glob("epoch_*.json")):
        return ()  # not a run: a folder of another program, which the engine could open
    return origins_of(trained_config(path, {})[0])


def describe(path: str | Path) -> str:
    """Return lines of text with name, bytes, SHA-256 and provenance of weights; arguments and errors as above."""
    path = check_path("checkpoint", path)
    provenance = provenance_of(path)
    file = measured(path if path.suffix == SUFFIX else trained_config(path, {})[0])
    return f"{file.name}: {file.bytes} bytes, SHA-256 {file.sha256}\n{in_words(provenance)}"
