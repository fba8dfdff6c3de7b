"""JSON values: each type accepts its own and names the field of others; no value makes the message long or slow."""

from __future__ import annotations

import pytest
from allocation import at_most
from checkpoints import CONFIG, save
from numpy_engine import NumpyEngine

from mhpdata import fields
from mhpdata.errors import CheckpointError, ManifestError, OptionError
from mhpdata.fields import (
    count_at,
    digest_at,
    field_of,
    hexadecimal_at,
    list_at,
    object_at,
    parse_json,
    shown,
    text_at,
)
from mhpdata.remap import read_remap
from mhpdata.storage.manifest import read_manifest
from mhpmodels.files import checkpoint

GOOD = {count_at: 3, digest_at: "0f" * 32, hexadecimal_at: "ff", list_at: [1], object_at: {"a": 1}, text_at: "x"}
WRONG = [None, True, -1, 1.5, "no digits", [None], {"a": None}]


@pytest.mark.parametrize("read", GOOD, ids=lambda read: read.__name__)
def test_a_value_of_its_kind_is_taken_and_others_name_the_field(read):
    assert read(GOOD[read], "splits.val") in (GOOD[read], 255)
    for value in WRONG:
        if type(value) is not type(GOOD[read]) or read in (digest_at, hexadecimal_at, count_at):
            with pytest.raises(ValueError, match=r"^splits\.val (has|is) .*, not (a|an) "):
                read(value, "splits.val")


def test_a_field_that_is_not_there():
    assert field_of({"a": 1}, "a", "") == 1
    with pytest.raises(ValueError, match=r"^splits\.val\.b is missing$"):
        field_of({"a": 1}, "b", "splits.val")
    with pytest.raises(ValueError, match=r"^its content is a list, not an object$"):
        field_of([], "b", "")


def test_large_and_deep_values_are_shown_short():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert shown(deep) == "a list" and shown({"a": deep}) == "an object"
    assert len(shown("x" * 10**6)) < 70 and shown("ab") == '"ab"' and shown(None) == "null"
    while deep:  # Python would destroy it recursively
        deep = deep[0]


@pytest.fixture(scope="module")
def many():
    """Return 15 MB of JSON with objects that take 500 MB of memory."""
    return "[" + "{}," * 5_000_000 + "{}]"


def test_json_takes_bounded_memory(many):
    for text in (many, "[" + "[]," * 300_000 + "[]]", "[" + '"ab",' * 4_200_000 + "0]"):
        with at_most(1 << 20), pytest.raises(ValueError, match=r"up to \d+ values, of them \d+ objects .* at most \d+"):
            parse_json(text)
    assert len(parse_json("[" + "{}," * 9999 + "{}]")) == 10000


def test_a_manifest_of_many_objects_is_one_error(tmp_path, many):
    (tmp_path / "manifest.json").write_text(many)
    with at_most(3 * len(many)), pytest.raises(ManifestError, match=r"is not a manifest \(up to \d+ values.*again"):
        read_manifest(tmp_path)


def test_a_checkpoint_and_a_table_of_many_objects_are_one_error(tmp_path, many):
    weights = save(tmp_path, NumpyEngine(CONFIG), 1)
    weights.with_suffix(".json").write_text(many)
    with at_most(4 * len(many)), pytest.raises(CheckpointError, match=r"is damaged \(up to \d+ values"):
        checkpoint.read(weights)
    (tmp_path / "table.json").write_text('{"classes": ' + many + "}")
    with at_most(6 * len(many)), pytest.raises(OptionError, match=r"cannot be read|no table of labels"):
        read_remap(tmp_path / "table.json")


def test_a_note_for_each_of_many_images_is_read():
    note = '{"split":"train","name":"0001","note":"trailer","message":"3 bytes after its end are left out"}'
    count = fields.MAX_CONTAINERS + 10
    assert len(fields.parse_json(f"[{','.join([note] * count)}]")) == count
