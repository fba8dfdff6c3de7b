"""Class names and provenance of an ONNX network, stored as metadata in the file, since no JSON file lies beside it.

::

    mhp.class_names   JSON: one name per output
    mhp.flip_pairs    JSON: [left, right] outputs
    mhp.remap         JSON: a string, the name or the JSON of a table (mhpdata.remap) that maps labels to these classes
    mhp.provenance    JSON: where the weights come from (mhpmodels.files.provenance)

A key is written only if the config sets the field, so a network with MHP v1's own classes has no names, and weights of
unknown origin have no provenance.

The rule: the file is untrusted. Metadata that mhp convert would not write is an error, and a table is never a path,
because a path would make mhp read this machine's files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from mhpdata.errors import CheckpointError
from mhpdata.fields import parse_json
from mhpdata.remap import BUILT_IN, read_remap
from mhpdata.wording import error_in_words
from mhpmodels.config import TrainConfig
from mhpmodels.files.provenance import Provenance, parse_provenance, to_fields

FIELDS = ("class_names", "flip_pairs", "remap")
"""Fields of the config that are stored."""
_PREFIX = "mhp."


def notes_of(config: TrainConfig | None, provenance: Provenance = ()) -> dict[str, str]:
    """Return the metadata to store in a file: {key: JSON}."""
    values = {} if config is None else {name: config.value(name) for name in FIELDS}
    values["provenance"] = to_fields(provenance)
    return {_PREFIX + name: json.dumps(value) for name, value in values.items() if value}


def names_classes(notes: Mapping[str, str]) -> bool:
    """Return whether a file's metadata names its classes."""
    return _PREFIX + FIELDS[0] in notes


def read_notes(config: TrainConfig, notes: Mapping[str, str], place: object) -> TrainConfig:
    """Return a config with the classes that a file's metadata names.

    Args:
        config: a config whose number of classes is that of the file's outputs.
        notes: metadata of the file, {key: JSON}; other keys are ignored.
        place: path of the file, for error messages.

    Raises:
        CheckpointError: the metadata is not as ``notes_of`` writes it.
    """
    try:
        values = {name: parse_json(notes[_PREFIX + name]) for name in FIELDS if _PREFIX + name in notes}
        return config.changed(**{name: _CHECKS[name](value, config.network.classes) for name, value in values.items()})
    except (ValueError, TypeError, RecursionError) as error:
        raise _damaged("class", error, place) from error


def read_origins(notes: Mapping[str, str], place: object) -> Provenance:
    """Return the provenance in a file's metadata, empty if there is none. Arguments and errors are as above."""
    try:
        return parse_provenance(parse_json(notes.get(f"{_PREFIX}provenance", "[]")))
    except (ValueError, RecursionError) as error:
        raise _damaged("provenance", error, place) from error


def _damaged(what: str, error: Exception, place: object) -> CheckpointError:
    found = f"its {what} metadata is damaged ({error_in_words(error)})"
    remedy = f"Write the file again with mhp convert WEIGHTS {place} --overwrite."
    return CheckpointError(place, found, "metadata written by mhp convert", remedy)


def _names(value: Any, classes: int) -> tuple[str, ...]:
    if type(value) is not list or len(value) != classes or not all(type(name) is str for name in value):
        raise ValueError(f"{classes} class names expected")
    return tuple(value)


def _pairs(value: Any, classes: int) -> tuple[tuple[int, int], ...]:
    pairs = [(left, right) for left, right in value]
    labels = [label for pair in pairs for label in pair]
    if not all(type(label) is int and 0 < label < classes for label in labels) or len(set(labels)) != len(labels):
        raise ValueError(f"left/right pairs must be of different outputs, 1 to {classes - 1}")
    return tuple(pairs)


def _table(value: Any, _: int) -> str:
    if type(value) is not str or not (value in BUILT_IN or value.lstrip().startswith("{")):
        raise ValueError("not a label table")
    read_remap(value)
    return value


_CHECKS: dict[str, Callable[[Any, int], Any]] = {"class_names": _names, "flip_pairs": _pairs, "remap": _table}
