"""Class notes in an ONNX file: read as written; notes of other programs are rejected."""

from __future__ import annotations

import json
import os

import pytest

from mhpdata.errors import CheckpointError
from mhpdata.labels import CIHP, COMMON
from mhpdata.remap import common
from mhpmodels.config import TrainConfig
from mhpmodels.files.onnx_names import notes_of, read_notes

THREE = TrainConfig.of(classes=3)


@pytest.mark.parametrize(
    "config",
    [
        TrainConfig(),
        TrainConfig.of(remap="common"),
        TrainConfig.of(classes=20, class_names=CIHP.names, flip_pairs=CIHP.flip_pairs),
        TrainConfig.of(classes=17, class_names=COMMON.names, flip_pairs=COMMON.flip_pairs, remap=common().to_json()),
    ],
)
def test_notes_say_what_the_config_says(config):
    notes = notes_of(config)
    assert all(type(text) is str for text in notes.values())
    assert read_notes(TrainConfig.of(classes=config.network.classes), {**notes, "author": "me"}, "a.onnx") == config
    assert notes_of(TrainConfig()) == {}


@pytest.mark.parametrize(
    "name, value",
    [
        ("class_names", ["a", "b"]),
        ("class_names", ["a", "b", 3]),
        ("class_names", "abc"),
        ("class_names", {"a": 1}),
        ("flip_pairs", [[1, 2, 3]]),
        ("flip_pairs", [[1, 3]]),
        ("flip_pairs", [[0, 1]]),
        ("flip_pairs", [[1, 1]]),
        ("flip_pairs", [[-1, 2]]),
        ("flip_pairs", [[1, True]]),
        ("flip_pairs", ["12"]),
        ("flip_pairs", 7),
        ("remap", "own"),
        ("remap", 3),
        ("remap", "{}"),
        ("remap", '{"classes": ["a"], "maps": {}}'),
    ],
)
def test_what_mhp_convert_does_not_write_is_refused(name, value):
    with pytest.raises(CheckpointError, match=r"a\.onnx: its class metadata is damaged"):
        read_notes(THREE, {f"mhp.{name}": json.dumps(value)}, "a.onnx")


@pytest.mark.parametrize("text", ["", "[", "[" * 100_000])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(CheckpointError, match="damaged"):
        read_notes(THREE, {"mhp.class_names": text}, "a.onnx")


def test_a_file_does_not_name_files_to_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "own.json").write_text(common().to_json())
    for name in ("pipe", "own.json"):
        with pytest.raises(CheckpointError, match="not a label table"):
            read_notes(THREE, {"mhp.remap": json.dumps(str(tmp_path / name))}, "a.onnx")
