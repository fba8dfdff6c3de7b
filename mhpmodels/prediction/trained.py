"""Open a trained network from its checkpoint, for evaluation and prediction.

A checkpoint of mhp train describes its network in its JSON file; for bare weights, such as GluonCV's, the caller passes
the model, the backbone and the number of classes. Weights of other programs bring a label set and a preprocessing of
their own (``mhpmodels.prediction.foreign``).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from mhpdata.errors import CheckpointError, OptionError
from mhpdata.label_sets.naming import table_of_labels
from mhpdata.label_sets.table import LabelTable
from mhpdata.labels import CIHP, MHP_V1, MHP_V2, LabelSet, label_set
from mhpdata.options import check_path
from mhpdata.remap import read_remap
from mhpdata.storage.manifest import Manifest
from mhpmodels.config import SUFFIXES, TrainConfig
from mhpmodels.engines.engine import ENGINES, Engine, PersonPredictor, Predictor, installed, open_engine
from mhpmodels.engines.onnx import SUFFIX
from mhpmodels.files import checkpoint
from mhpmodels.files.checkpoint import Checkpoint
from mhpmodels.hub_folder import CONFIG, check_run
from mhpmodels.inference.pieces import SCALES, WINDOW, Inference
from mhpmodels.models import MODELS
from mhpmodels.networks.preprocessing import IMAGENET, Preprocessing
from mhpmodels.persons.queries import has_background
from mhpmodels.prediction.foreign import Hints, labels_of_network, open_foreign, open_onnx
from mhpmodels.prediction.hub import open_hub

_log = logging.getLogger(__name__)
NETWORK = ("model", "backbone", "classes", "aux", "persons")
"""Fields of the config that the weights determine."""

MULTIPLE, LEAST = 8, 32
"""Input sides of a network are a multiple of MULTIPLE and at least LEAST, in pixels. GluonCV's evaluation uses such
sides (short side 768, long side a multiple of 8) without padding, so the results are comparable. Below 32, ICNet's
smallest branch would have no pixel."""


def trained_config(path: str | Path, given: Mapping[str, Any], classes: int = 19) -> tuple[Path, TrainConfig]:
    """Return the weights of a checkpoint, and the config to open them with.

    Args:
        path: weights, or a run's folder for its best checkpoint.
        given: values of TrainConfig by flag. Other values come from the JSON file beside the weights, or without one
            from TrainConfig's defaults.
        classes: number of outputs of bare weights, unless ``given`` has it.

    Returns:
        The path of the weights, and a config for one device unless ``given`` has ``ngpus``.

    Raises:
        CheckpointError: the weights are missing, or differ from what mhp train wrote.
        OptionError: ``given`` contradicts the checkpoint, or a value is invalid.
    """
    path = check_path("checkpoint", path)
    if path.is_dir():
        trained = best_of_run(path)
    elif path.with_suffix(".json").exists() and path.exists():
        trained = checkpoint.read(path)
    elif path.exists():
        by_suffix = {suffix: name for name, suffix in SUFFIXES.items()}
        engine = by_suffix.get(path.suffix, next(iter(installed() or ENGINES)))
        return path, TrainConfig.of(**{"engine": engine, "classes": classes, **_devices(given), **given})
    else:
        remedy = "Check the spelling; mhp train prints the folder of its run when it ends."
        raise CheckpointError(path, "missing", "weights, or the folder of a run", remedy)
    checkpoint.verify(trained, state=False)
    for name in NETWORK:
        if name in given and given[name] != trained.config.value(name):
            expected = f"{trained.config.value(name)}, from the JSON beside {trained.weights}"
            remedy = "Omit the option; the value is read from the checkpoint."
            raise OptionError(name, f"{given[name]}", expected, remedy)
    _check_engine(trained, given.get("engine"))
    one_device = {"ngpus": min(trained.config.machine.ngpus, 1)}
    return trained.weights, trained.config.changed(**{**_devices({**one_device, **given}), **one_device, **given})


def best_of_run(folder: Path) -> Checkpoint:
    """Return the best checkpoint of a run's folder, or the last one if none was validated.

    Raises:
        CheckpointError: the folder has no complete checkpoint.
    """
    check_run(folder)
    return checkpoint.best(folder) or checkpoint.read(folder)


def _check_engine(trained: Checkpoint, engine: str | None) -> None:
    """Raise OptionError if the caller chose an engine that does not have the network of a checkpoint."""
    network, own = trained.config.network, trained.config.machine.engine
    has = network.model not in MODELS or engine in MODELS[network.model].engines
    if engine in (None, own) or (has and not network.persons):
        return
    heads = " with heads of persons" * (network.persons and not network.queries)
    found = f"{engine}, for {trained.weights}, which holds {network.model}{heads}"
    raise OptionError("engine", found, own, "Omit --engine; the checkpoint names it.")


def _devices(given: Mapping[str, Any]) -> dict[str, int]:
    """Return values that satisfy the config's checks against the number of devices; prediction does not use them."""
    return {"contexts": 0, "batch_size": max(1, given.get("ngpus", 0))}


def open_trained(
    path: str | Path,
    given: Mapping[str, Any],
    classes: int = 19,
    persons: bool = False,
    hints: Hints = Hints(),
) -> Predictor:
    """Open a trained network for prediction, whatever the path is.

    Args:
        path: weights, a run's folder, an ``.onnx`` file, which holds the whole network, or weights of another program.
        given: options that replace those of the checkpoint, such as ``{"ngpus": 0}``; as for ``trained_config``.
        classes: number of classes of bare weights; as for ``trained_config``.
        persons: bare weights have heads of persons; a checkpoint of mhp train says so itself.
        hints: what weights of other programs do not say of themselves.

    Raises:
        EngineError, MissingError: the framework is not installed, or unusable on this machine.
        CheckpointError, OptionError: as for ``trained_config``, or the weights belong to another network.
    """
    if Path(path).suffix == SUFFIX:
        for name in ("engine", "dtype"):
            if given.get(name, "float32") != "float32":
                found = f"{given[name]}, for {path}, which onnxruntime runs as it is"
                raise OptionError(name, found, "no such option", f"Omit --{name}.")
        return open_onnx(path, TrainConfig.of(**{**_devices(given), **given}), hints)
    foreign = open_foreign(check_path("checkpoint", path), given, hints)
    if foreign is None:
        foreign = open_hub(check_path("checkpoint", path), given, hints)
    if foreign is not None:
        return foreign
    hints.refuse(path)
    weights, config = trained_config(path, given, classes)
    if persons and config.machine.engine == "torch" and not weights.with_suffix(".json").exists():
        config = config.changed(persons=True)
    engine = _open_engine(config, weights)
    try:
        engine.load(weights)
    except BaseException:
        engine.close()
        raise
    return engine


def _open_engine(config: TrainConfig, weights: Path) -> Engine:
    """Open the engine of a checkpoint; an error about its backbone's ``config.json`` names the copy in the run's."""
    try:
        return open_engine(config, training=False)
    except CheckpointError as error:
        original = str(Path(config.network.backbone) / CONFIG)
        if config.network.described is None or not error.place.startswith(original):
            raise
        place = f"{weights.with_suffix('.json')}, described{error.place.removeprefix(original)}"
        raise error.at(place, "Copy the checkpoint and its JSON file again.") from error


def labels_of(config: TrainConfig) -> LabelSet:
    """Return the classes of a network: those named in its config, or else by number of outputs.

    59 outputs mean MHP v2, 20 mean CIHP, and any other number means MHP v1.
    """
    if config.network.class_names:
        return label_set(config.network.class_names, config.network.flip_pairs)
    return {len(labels): labels for labels in (MHP_V2, CIHP)}.get(config.network.classes, MHP_V1)


def label_table_of(engine: Predictor) -> LabelTable:
    """Return the classes of an open network, with their meanings."""
    return labels_of_network(engine) or table_of_labels(labels_of(engine.config))


def preprocessing_of(engine: Predictor) -> Preprocessing:
    """Return what an open network expects of its input."""
    own = Preprocessing(multiple=32) if engine.config.network.queries else IMAGENET  # 32: the backbone's stride
    return cast(Preprocessing, getattr(engine, "preprocessing", own))


def short_side(engine: Predictor, given: int | None) -> int:
    """Return the short side to which images are resized for a network, in pixels; 0 keeps their size.

    Args:
        engine: an open network.
        given: the caller's choice; None for the one of the network's preprocessing or of training, or 0 for a network
            with a fixed input size, to which ``Inference`` brings images of any size.
    """
    if given is not None:
        return given
    expected = preprocessing_of(engine)
    own = engine.config.view.base_size if expected.short is None else expected.short
    return own if expected.size is None else 0


def check_classes(config: TrainConfig, manifest: Manifest) -> None:
    """Raise OptionError unless a packed folder, after the config's label table, has the classes of the network.

    A network may have fewer outputs than there are classes; it then never predicts the last ones.
    """
    labels = manifest.labels
    if config.mix.remap is not None:
        labels = read_remap(config.mix.remap).labels([(manifest.layout, labels)])
    known = labels_of(config).names[: config.network.classes]
    if labels.names[: config.network.classes] != known:
        found = f"{len(labels)} classes of {manifest.layout}"
        remedy = "Pass data of the dataset that the checkpoint was trained on, or another checkpoint."
        raise OptionError("data", found, f"the classes of the checkpoint: {', '.join(known)}", remedy)


def inference_of(
    engine: Predictor,
    flip_pairs: Sequence[tuple[int, int]],
    multi_scale: bool = False,
    window: int = WINDOW,
    persons: bool = False,
) -> Inference:
    """Return the inference that runs an engine's network on images of any size.

    Args:
        engine: an open engine with its weights.
        flip_pairs: (left, right) labels of the dataset.
        multi_scale: average over GluonCV's six scales, each with its mirror image.
        window: side in pixels above which an image is processed in windows.
        persons: also return the maps of the heads of persons; if they have not been trained, a warning is logged.

    Raises:
        OptionError: the network has no heads of persons.
    """
    config = engine.config
    if persons and not config.network.persons:
        remedy = "Pass a checkpoint of mhp train --persons, or omit --persons."
        raise OptionError("persons", "not in this network, which predicts labels only", "heads of persons", remedy)
    if persons:
        _warn_untrained(getattr(engine, "source", ""))
    pairs = tuple(pair for pair in flip_pairs if max(pair) < config.network.classes)
    return Inference(
        cast(PersonPredictor, engine).predict_persons if persons else engine.predict,
        config.network.classes,
        multiple=preprocessing_of(engine).multiple,
        least=LEAST,
        scales=SCALES if multi_scale else (1.0,),
        mirror=multi_scale,
        flip_pairs=pairs,
        window=window,
        source=getattr(engine, "source", "") or "the network",  # mhp's own engines keep the path of the weights
        person_maps=config.network.person_maps if persons else 0,
        preprocessing=preprocessing_of(engine),
        background=labels_of_network(engine) is None or has_background(config.network.class_names),
    )


def _warn_untrained(weights: str) -> None:
    """Warn if weights are a checkpoint from before its run trained the heads of persons."""
    if weights and Path(weights).with_suffix(".json").exists() and not checkpoint.read(weights).persons_trained:
        what = "saved before its run trained the heads of persons (--persons-after), so its persons may mean nothing"
        _log.warning("%s: %s", weights, what)
