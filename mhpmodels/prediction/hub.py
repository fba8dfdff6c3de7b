"""Open a folder in the form of Hugging Face's hub (``mhpmodels.networks.hf.folder``) for prediction."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mhpdata.errors import CheckpointError, MissingError, OptionError
from mhpdata.label_sets.built_in import NAMES, table_of
from mhpdata.label_sets.naming import table_of_names, table_of_outputs
from mhpdata.label_sets.table import LabelTable
from mhpmodels.engines.engine import ForeignPredictor, install
from mhpmodels.hub_folder import CONFIG, check_whole
from mhpmodels.networks.known import PRESETS, foreign_facts
from mhpmodels.prediction.foreign import Hints, foreign_config


def open_hub(path: Path, given: Mapping[str, Any], hints: Hints) -> ForeignPredictor | None:
    """Open a folder with a ``config.json``; return None if the path is something else.

    Args:
        path: the folder.
        given: values of TrainConfig by flag.
        hints: what the folder does not say.

    Raises:
        CheckpointError: a file is missing or damaged, the architecture is unknown, or the weights do not fit it; or
            the path is one file of a folder.
        OptionError: a label set is needed and was not given, or does not fit.
        EngineError, MissingError: torch or transformers is not installed, or unusable on this machine.
    """
    check_whole(path)
    if not (path / CONFIG).is_file():
        return None
    try:
        from mhpmodels.engines.torch.foreign import TorchPredictor
        from mhpmodels.networks.hf.folder import PREPROCESSOR, open_folder
    except ImportError as error:
        raise MissingError("torch", f"cannot be imported ({error})", "", f"{install('hf')}.") from error
    opened = open_folder(path)
    if opened.preprocessing is None and hints.preprocessing is None:
        remedy = "Copy it from the source of the weights, or pass --preprocessing, such as imagenet."
        raise CheckpointError(path, f"has no {PREPROCESSOR}", "the size and normalisation of the images", remedy)
    if opened.preprocessing is not None and hints.preprocessing is not None:
        found = f"{hints.preprocessing}, for {path}, which has {PREPROCESSOR}"
        raise OptionError("preprocessing", found, "no such option", "Omit --preprocessing.")
    preprocessing = opened.preprocessing or PRESETS[str(hints.preprocessing)]
    outputs = len(opened.names)
    labels = labels_named(opened.names, path) if hints.labels is None else table_of_outputs(hints.labels, outputs)
    facts = foreign_facts(opened.kind, labels.name, outputs, preprocessing, "", "")
    config = foreign_config(given, labels)
    if opened.persons:
        config = config.changed(model=opened.kind, backbone="")
    return TorchPredictor(opened.network, config, preprocessing, labels, path, facts)


def labels_named(names: tuple[str, ...], path: Path) -> LabelTable:
    """Return the table of the names of a folder's classes: the built-in set with these names, however spelled.

    Raises:
        OptionError: the names are only numbered, or cannot be those of a label set.
    """
    if all(name == f"LABEL_{label}" for label, name in enumerate(names)):
        found = f"not given, for {path}, whose classes have no names"
        remedy = "Pass --labels with the label set of the outputs, or a JSON file with their names (mhp labels)."
        raise OptionError("labels", found, "the label set of the outputs", remedy)
    spelled = tuple(re.sub(r"[\W_]+", "-", name.strip().lower()) for name in names)
    for known in NAMES:
        if table_of(known).labels.names == spelled:
            return table_of(known)
    return table_of_names(names, path.resolve().name, place=f"{path / CONFIG}, id2label")
