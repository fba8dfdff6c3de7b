"""A trained network, from its checkpoint: what evaluation and prediction open.

What mhp-train writes says itself what it is (the JSON beside it); of bare weights, such as GluonCV's, the caller says
it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mhpdata.errors import CheckpointError, OptionError
from mhpdata.labels import CIHP, MHP_V1, MHP_V2, LabelSet, label_set
from mhpdata.remap import read_remap
from mhpdata.storage.manifest import Manifest
from mhpmodels.config import SUFFIXES, TrainConfig
from mhpmodels.engines.engine import Predictor, installed, open_engine
from mhpmodels.engines.onnx import SUFFIX, OnnxEngine
from mhpmodels.files import checkpoint
from mhpmodels.files.checkpoint import Checkpoint
from mhpmodels.inference.pieces import SCALES, WINDOW, Inference

NETWORK = ("model", "backbone", "classes", "aux")
"""Fields of the config that the weights decide."""

MULTIPLE, LEAST = 8, 32
"""Sides of what a network predicts are a multiple of the one and at least the other. ICNet and PSPNet take these as
they are, as GluonCV's own evaluation gives them (short side 768, long side a multiple of 8): figures compare because
nothing is padded there. Below 32, ICNet's smallest branch would have no pixel."""


def trained_config(path: str | Path, given: Mapping[str, Any], classes: int = 19) -> tuple[Path, TrainConfig]:
    """The weights of a checkpoint, and the config to open them with.

    Args:
        path: weights, or a run's folder for its best checkpoint.
        given: fields of TrainConfig that the caller asks for; what they leave open comes from the JSON beside the
            weights, or where there is none is TrainConfig's default.
        classes: outputs of bare weights that ``given`` says nothing of.

    Returns:
        The file of weights, and a config for one device unless ``given`` has ``ngpus``.

    Raises:
        CheckpointError: no weights, or not the bytes that mhp-train wrote.
        OptionError: ``given`` contradicts the checkpoint, or holds a value outside what a config takes.
    """
    path = Path(path)
    if path.is_dir():
        found = best_of_run(path)
    elif path.with_suffix(".json").exists() and path.exists():
        found = checkpoint.read(path)
    elif path.exists():
        by_suffix = {suffix: name for name, suffix in SUFFIXES.items()}
        engine = by_suffix.get(path.suffix, next(iter(installed()), "mxnet"))
        return path, TrainConfig.of(**{"engine": engine, "classes": classes, **_devices(given), **given})
    else:
        remedy = "Check the spelling of the path, or pass the folder of a run, such as runs/mhp/icnet/resnet50."
        raise CheckpointError(path, "missing", "weights, or the folder of a run", remedy)
    checkpoint.verify(found, state=False)
    for name in NETWORK:
        if name in given and given[name] != found.config.value(name):
            expected = f"{found.config.value(name)}, as the JSON beside {found.weights} says"
            remedy = "Leave the option out: the checkpoint says it itself."
            raise OptionError(name, f"{given[name]}", expected, remedy)
    one_device = {"ngpus": min(found.config.machine.ngpus, 1)}
    return found.weights, found.config.changed(**{**_devices({**one_device, **given}), **one_device, **given})


def best_of_run(folder: Path) -> Checkpoint:
    """The checkpoint that a run's folder stands for: its best, or the last where none was validated.

    Raises:
        CheckpointError: there is none.
    """
    return checkpoint.best(folder) or checkpoint.read(folder)


def _devices(given: Mapping[str, Any]) -> dict[str, int]:
    """Fields that a config checks against the number of devices; nothing is trained in such batches here."""
    return {"contexts": 0, "batch_size": max(1, given.get("ngpus", 0))}


def open_trained(path: str | Path, given: Mapping[str, Any], classes: int = 19) -> Predictor:
    """An engine with the weights of a checkpoint, to predict with.

    Args:
        path, given, classes: as for ``trained_config``; or an ``.onnx`` file, which is the whole network.

    Raises:
        EngineError, MissingError: the framework is not installed, or cannot be used here.
        CheckpointError, OptionError: as ``trained_config``, or weights of another network.
    """
    if Path(path).suffix == SUFFIX:
        return OnnxEngine(path, TrainConfig.of(**{**_devices(given), **given}))
    weights, config = trained_config(path, given, classes)
    engine = open_engine(config, training=False)
    try:
        engine.load(weights)
    except BaseException:
        engine.close()
        raise
    return engine


def labels_of(config: TrainConfig) -> LabelSet:
    """The classes that a network knows: those that its config names; where it names none, 59 outputs are MHP v2's, 20
    CIHP's, and others MHP v1's."""
    if config.network.class_names:
        return label_set(config.network.class_names, config.network.flip_pairs)
    return {len(labels): labels for labels in (MHP_V2, CIHP)}.get(config.network.classes, MHP_V1)


def check_classes(config: TrainConfig, manifest: Manifest) -> None:
    """Raises OptionError unless a packed folder has, after the config's table, the classes that the network knows.

    A network may have fewer outputs than there are classes: the last ones are then never predicted.
    """
    labels = manifest.labels
    if config.mix.remap is not None:
        labels = read_remap(config.mix.remap).labels([(manifest.layout, labels)])
    known = labels_of(config).names[: config.network.classes]
    if labels.names[: config.network.classes] != known:
        found = f"{len(labels)} classes of {manifest.layout}, where the checkpoint knows {', '.join(known)}"
        remedy = "Pass data of the dataset that the checkpoint was trained on; for this data, another checkpoint."
        raise OptionError("data", found, "the same classes", remedy)


def inference_of(
    engine: Predictor, flip_pairs: Sequence[tuple[int, int]], multi_scale: bool = False, window: int = WINDOW
) -> Inference:
    """How pictures are given to an engine's network.

    Args:
        engine: open, with its weights.
        flip_pairs: (left, right) labels of the dataset.
        multi_scale: GluonCV's six scales, each with its mirror image.
        window: pixels a side beyond which a picture is given in pieces.
    """
    config = engine.config
    pairs = tuple(pair for pair in flip_pairs if max(pair) < config.network.classes)
    return Inference(
        engine.predict,
        config.network.classes,
        multiple=MULTIPLE,
        least=LEAST,
        scales=SCALES if multi_scale else (1.0,),
        mirror=multi_scale,
        flip_pairs=pairs,
        window=window,
        source=getattr(engine, "source", "") or "the network",  # the file, which mhp's own engines keep
    )
