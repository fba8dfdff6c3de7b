"""Open weights that mhp did not train: SCHP's ``.pth`` files, and ``.onnx`` files of other programs.

What a path is follows from its suffix and its content; ``open_foreign`` returns None for what is not one of these. What
the weights do not say of themselves comes from ``Hints``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from mhpdata.errors import CheckpointError, OptionError
from mhpdata.label_sets.naming import table_of_outputs
from mhpdata.label_sets.table import LabelTable
from mhpdata.options import check_choice
from mhpdata.wording import counted
from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import ForeignPredictor, Predictor
from mhpmodels.engines.onnx import SUFFIX, OnnxEngine
from mhpmodels.networks.known import KNOWN, PRESETS, SCHP, Known, foreign_facts, known_by_outputs

TORCH_SUFFIXES = (".pth", ".pt")
"""Suffixes of torch's files, which may hold SCHP's weights."""


@dataclass(frozen=True)
class Hints:
    """The caller's knowledge of weights that do not describe themselves.

    Attributes:
        labels: label set of the network's outputs: a name, or the path of a JSON file (``mhp labels``).
        preprocessing: key of PRESETS, for ONNX files that do not describe their input.
        data: classes of the data; a network without class names has them if it has as many outputs.
    """

    labels: str | None = None
    preprocessing: str | None = None
    data: LabelTable | None = None

    def __post_init__(self) -> None:
        if self.preprocessing is not None:
            check_choice("preprocessing", self.preprocessing, tuple(PRESETS))

    def refuse(self, path: str | Path) -> None:
        """Raise OptionError if labels or preprocessing are given, for one of mhp's own networks."""
        for name in ("labels", "preprocessing"):
            if (value := getattr(self, name)) is None or not Path(path).exists():
                continue  # what is missing is another error
            found, remedy = f"{value}, for {path}, which mhp wrote", f"Omit --{name}; the network describes itself."
            if Path(path).is_file() and Path(path).suffix != SUFFIX and not Path(path).with_suffix(".json").exists():
                found = f"{value}, for {path}, bare weights of a network of mhp or GluonCV"
                remedy = f"Omit --{name}, and pass --model, --backbone and --classes, which describe such weights."
            raise OptionError(name, found, "no such option", remedy)


def open_onnx(path: str | Path, config: TrainConfig, hints: Hints) -> Predictor:
    """Open an ONNX file: mhp's own, or another program's with the label set and the preprocessing of ``hints``.

    Raises:
        CheckpointError, EngineError, MissingError: as for ``OnnxEngine``.
        OptionError: the label set does not fit, or is needed and was not given.
    """
    engine = OnnxEngine(path, config)
    try:
        if engine.named or (engine.own and hints.labels is None and hints.preprocessing is None):
            hints.refuse(path)
            return engine
        outputs = engine.config.network.classes
        if hints.labels is not None:
            labels = table_of_outputs(hints.labels, outputs)
        elif hints.data is not None and len(hints.data.labels) == outputs:
            labels = hints.data
        else:
            found = f"not given, for {path}, which has {counted(outputs, 'output')} and names no classes"
            raise OptionError("labels", found, "the label set of the outputs", _NAME_THEM)
        engine.adopt(labels, PRESETS[hints.preprocessing or "imagenet"])
    except BaseException:
        engine.close()
        raise
    return engine


def open_foreign(path: Path, given: Mapping[str, Any], hints: Hints) -> ForeignPredictor | None:
    """Open weights of another program, apart from ONNX files; return None if the path is something else.

    Args:
        path: path of the weights.
        given: values of TrainConfig by flag.
        hints: what the weights do not say.

    Raises:
        CheckpointError: the weights are damaged, or not what their names say.
        OptionError: the label set does not fit, or is needed and was not given.
        EngineError, MissingError: the framework is not installed, or unusable on this machine.
    """
    if path.suffix in TORCH_SUFFIXES and path.is_file() and not path.with_suffix(".json").exists():
        return _open_schp(path, given, hints) if find_spec("torch") is not None else None
    return None


def foreign_config(given: Mapping[str, Any], labels: LabelTable) -> TrainConfig:
    """Return the config of a network with these classes, which runs with torch.

    Args:
        given: values of TrainConfig by flag.
        labels: classes of the network.

    Raises:
        OptionError: ``given`` describes a network, or another engine.
    """
    for name in _DESCRIBED:
        if name in given and (name, given[name]) != ("engine", "torch"):
            remedy = f"Omit --{name}; the weights say it."
            raise OptionError(name, f"{given[name]}, for another program's weights", "no such option", remedy)
    names, pairs = labels.labels.names, labels.labels.flip_pairs
    own = {"classes": len(names), "class_names": names, "flip_pairs": pairs, "contexts": 0}
    return TrainConfig.of(**{"engine": "torch", "batch_size": max(1, given.get("ngpus", 0)), **given, **own})


def labels_of_network(engine: Predictor) -> LabelTable | None:
    """Return the classes of a network that mhp did not train; None for mhp's own, whose config names them."""
    return cast("LabelTable | None", getattr(engine, "labels", None))


def _open_schp(path: Path, given: Mapping[str, Any], hints: Hints) -> ForeignPredictor | None:
    from mhpmodels.engines.torch.foreign import TorchPredictor
    from mhpmodels.engines.torch.schp import build_schp, read_schp
    from mhpmodels.networks.schp.network import CLASSIFIER

    tensors = read_schp(path)
    if tensors is None:
        return None
    outputs = len(tensors[CLASSIFIER])
    known = _known_schp(path, outputs, hints)
    labels = table_of_outputs(hints.labels or known.labels, outputs)
    published = labels.name == known.labels  # with another label set, other weights of the same network
    facts = foreign_facts(
        known.name if published else SCHP,
        labels.name,
        outputs,
        known.preprocessing,
        known.licence if published else "",
        known.source if published else "",
    )
    config = foreign_config(given, labels)
    return TorchPredictor(build_schp(tensors, path), config, known.preprocessing, labels, path, facts)


def _known_schp(path: Path, outputs: int, hints: Hints) -> Known:
    """Return the entry of the table for weights with this number of outputs; with a label set of their own, LIP's."""
    known = known_by_outputs(SCHP, outputs)
    if known is not None:
        return known
    if hints.labels is None:
        sets = ", ".join(f"{one.outputs} ({one.labels})" for one in KNOWN.values())
        found = f"SCHP's weights with {counted(outputs, 'output')}, and no label set"
        raise CheckpointError(path, found, f"one of the published weights, with {sets} outputs", _NAME_THEM)
    return KNOWN["schp-lip"]


_DESCRIBED = ("model", "backbone", "classes", "aux", "engine")
"""Flags that another program's weights determine."""
_NAME_THEM = "Pass --labels with the label set of the outputs, or a JSON file with their names (mhp labels)."
