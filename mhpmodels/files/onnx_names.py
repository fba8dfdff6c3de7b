"""What the outputs of an ONNX network are called, in notes that the file itself carries: no JSON lies beside it.

::

    mhp.class_names   JSON: a name for each output
    mhp.flip_pairs    JSON: [left, right] outputs
    mhp.remap         JSON: a text, "common" or a table's own JSON (mhpdata.remap): how labels become these classes

A note is there where the config says something, so a network of MHP v1's own classes has none.

The rule: a file may be anybody's. Its notes are taken as mhp-convert writes them or not at all, and a table is never a
path, which would have this machine's files read.
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

FIELDS = ("class_names", "flip_pairs", "remap")
"""Of the config."""
_PREFIX = "mhp."


def notes_of(config: TrainConfig) -> dict[str, str]:
    """What a file is to carry, by key."""
    return {_PREFIX + name: json.dumps(value) for name in FIELDS if (value := config.value(name))}


def read_notes(config: TrainConfig, notes: Mapping[str, str], place: object) -> TrainConfig:
    """A config whose classes are called what a file's notes say; other notes may be there, too.

    Args:
        config: its ``classes`` are the file's outputs.
        notes: by key.
        place: the file, for the error.

    Raises:
        CheckpointError: notes that ``notes_of`` does not write.
    """
    try:
        found = {name: parse_json(notes[_PREFIX + name]) for name in FIELDS if _PREFIX + name in notes}
        return config.changed(**{name: _CHECKS[name](value, config.network.classes) for name, value in found.items()})
    except (ValueError, TypeError, RecursionError) as error:
        found_ = f"its notes on the classes are damaged ({error_in_words(error)})"
        remedy = f"Write the file again with mhp-convert WEIGHTS {place} --overwrite."
        raise CheckpointError(place, found_, "what mhp-convert wrote", remedy) from error


def _names(value: Any, classes: int) -> tuple[str, ...]:
    if type(value) is not list or len(value) != classes or not all(type(name) is str for name in value):
        raise ValueError(f"no {classes} names")
    return tuple(value)


def _pairs(value: Any, classes: int) -> tuple[tuple[int, int], ...]:
    pairs = [(left, right) for left, right in value]
    labels = [label for pair in pairs for label in pair]
    if not all(type(label) is int and 0 < label < classes for label in labels) or len(set(labels)) != len(labels):
        raise ValueError(f"pairs that are not of different outputs 1 to {classes - 1}")
    return tuple(pairs)


def _table(value: Any, _: int) -> str:
    if type(value) is not str or not (value == BUILT_IN or value.lstrip().startswith("{")):
        raise ValueError("no table of labels")
    read_remap(value)
    return value


_CHECKS: dict[str, Callable[[Any, int], Any]] = {"class_names": _names, "flip_pairs": _pairs, "remap": _table}
