"""MXNet's .params files: read and written byte for byte; all else is rejected early, at little cost."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from allocation import at_most

from mhpdata.errors import CheckpointError, OutputError
from mhpmodels.files.params import TYPES, parse_params, read_params, to_gluon_names, to_torch_names, write_params

ARRAYS = {
    "conv1.weight": np.arange(24, dtype="<f4").reshape(2, 3, 2, 2),
    "bn1.gamma": np.array([1.5, -2], "<f2"),
    "steps": np.array([7], "<i8"),
}
V2, V3, V1 = 0xF993FAC9, 0xF993FACA, 0xF993FAC8


def a_file(magic=V2, storage=0, shape=(2,), code=0, values=b"\0" * 8, name=b"w", count=1, names=1):
    """Make a file of one array with any field replaced."""
    parts = [struct.pack("<QQQI", 0x112, 0, count, magic)]
    if magic != V1:
        parts.append(struct.pack("<i", storage))
    parts.append(struct.pack(f"<I{len(shape)}qiii", len(shape), *shape, 1, 0, code) + values)
    return b"".join([*parts, struct.pack("<QQ", names, len(name)), name])


def test_round_trip_in_order(tmp_path):
    write_params(tmp_path / "a.params", ARRAYS)
    again = read_params(tmp_path / "a.params")
    assert list(again) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert again[name].dtype == array.dtype
        np.testing.assert_array_equal(again[name], array)
        assert again[name].flags.writeable


@pytest.mark.filterwarnings("ignore:Please import `csr_matrix`:DeprecationWarning")  # raised by MXNet when it saves
def test_mxnet_writes_the_same_bytes_and_reads_ours(mx, tmp_path):
    theirs, ours = tmp_path / "theirs.params", tmp_path / "ours.params"
    mx.nd.save(str(theirs), {name: mx.nd.array(array, dtype=array.dtype) for name, array in ARRAYS.items()})
    write_params(ours, ARRAYS)
    assert ours.read_bytes() == theirs.read_bytes()
    for name, array in mx.nd.load(str(ours)).items():
        np.testing.assert_array_equal(array.asnumpy(), ARRAYS[name])


@pytest.mark.parametrize("code", TYPES)
@pytest.mark.parametrize("magic", [V1, V2, V3])
def test_each_version_and_type(magic, code):
    values = np.array([1, 2], TYPES[code])
    (array,) = parse_params(a_file(magic, code=code, values=values.tobytes())).values()
    assert array.dtype == values.dtype
    np.testing.assert_array_equal(array, values)


def test_prefixes_of_exported_models_are_left_out():
    assert list(parse_params(a_file(name=b"arg:w"))) == ["w"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\3\4" + b"\0" * 100,
        a_file() + b"\0",
        a_file(magic=0x12345678),
        a_file(storage=1),
        a_file(code=7),
        a_file(code=-1),
        a_file(shape=()),
        a_file(shape=(-2,)),
        a_file(shape=(0, 1 << 62, 1 << 62)),
        a_file(shape=(1 << 32, 1 << 32)),
        a_file(shape=(1 << 62, 4)),
        a_file(shape=(1,) * 33),
        a_file(count=1 << 60),
        a_file(names=1 << 60),
        a_file(names=0)[:-9],
        a_file(name=b"\xff"),
        a_file(count=0),
        struct.pack("<QQQ", 0x112, 0, 2)
        + a_file()[24:-17] * 2
        + struct.pack("<QQ", 2, 1)
        + b"a"
        + b"\1"
        + b"\0" * 7
        + b"a",
        struct.pack("<QQQ", 0x112, 0, 1) + a_file()[24:-9] + struct.pack("<Q", 1 << 62) + b"w",
    ],
)
def test_what_is_no_such_file_is_a_cheap_error(data):
    with at_most(100_000), pytest.raises(CheckpointError, match="params"):
        parse_params(data)


def test_a_file_cut_anywhere_is_an_error(tmp_path):
    write_params(tmp_path / "a.params", ARRAYS)
    whole = (tmp_path / "a.params").read_bytes()
    for end in range(len(whole)):
        with pytest.raises(CheckpointError):
            parse_params(whole[:end])


def test_files_that_cannot_be_read_or_written(tmp_path):
    with pytest.raises(CheckpointError, match=r"missing; expected a \.params file"):
        read_params(tmp_path / "none.params")
    with pytest.raises(OutputError, match="cannot be written"):
        write_params(tmp_path / "no" / "a.params", ARRAYS)


@pytest.mark.parametrize("array", [np.zeros((2,), complex), np.float32(1), np.zeros(2, bool), np.zeros(2, ">f4")])
def test_arrays_that_the_format_has_not(array, tmp_path):
    with pytest.raises(CheckpointError, match="w is "):
        write_params(tmp_path / "a.params", {"w": np.asarray(array)})
    assert not (tmp_path / "a.params").exists()


def test_names_in_torch_and_back():
    one = np.zeros(1)
    names = ["conv1.weight", "bn1.gamma", "bn1.beta", "bn1.running_mean", "bn1.running_var", "fc.bias"]
    renamed = to_torch_names(dict.fromkeys(names, one))
    assert list(renamed) == ["conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var", "fc.bias"]
    assert list(to_gluon_names({**renamed, "bn1.num_batches_tracked": one})) == names
    with pytest.raises(CheckpointError):
        to_torch_names({"bn1.gamma": one, "bn1.weight": one})
