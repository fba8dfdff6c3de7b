"""ONNX files of other programs: their sizes, types and outputs, and their weights beside them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from mhpdata.errors import CheckpointError, OptionError  # noqa: E402
from mhpdata.label_sets.built_in import table_of  # noqa: E402
from mhpdata.labels import MHP_V1  # noqa: E402
from mhpmodels.engines.onnx import OnnxEngine  # noqa: E402
from mhpmodels.engines.onnx_form import MARK, form_of  # noqa: E402
from mhpmodels.prediction.foreign import Hints  # noqa: E402
from mhpmodels.prediction.trained import inference_of, label_table_of, open_trained, short_side  # noqa: E402

WEIGHTS = np.random.default_rng(0).standard_normal((18, 3, 1, 1)).astype(np.float32)


def write(
    path,
    shape,
    returned=(None, 18, None, None),
    dtype="FLOAT",
    name="logits",
    stride=1,
    first=(),
    beside="",
    given="pixels",
):
    """Write a network of one 1 x 1 convolution."""
    kind = getattr(TensorProto, dtype)
    weights = WEIGHTS.astype(np.float16 if dtype == "FLOAT16" else np.float32)
    nodes = [helper.make_node("Conv", [given, "w"], [name], strides=[stride, stride])]
    nodes += [helper.make_node("ReduceMean", [given], [other], keepdims=0, axes=[1, 2, 3]) for other in first]
    outputs = [helper.make_tensor_value_info(other, kind, [None]) for other in first]
    outputs.append(helper.make_tensor_value_info(name, kind, returned))
    inputs = [helper.make_tensor_value_info(given, kind, shape)]
    tensors = [numpy_helper.from_array(weights, "w")]
    graph = helper.make_graph(nodes, "g", inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    if beside:
        onnx.save(model, path, save_as_external_data=True, location=beside, size_threshold=0)
    else:
        onnx.save(model, path)
    return path


def expected(pixels):
    from mhpmodels.networks.preprocessing import IMAGENET

    return np.einsum("nchw,kc->nkhw", IMAGENET.normalise(pixels), WEIGHTS[:, :, 0, 0])


PIXELS = np.random.default_rng(1).integers(0, 256, (2, 32, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "form",
    [
        {"shape": [None, 3, None, None]},
        {"shape": ["batch", 3, "height", "width"], "returned": ("batch", "labels", "h", "w"), "name": "out"},
        {"shape": [1, 3, 32, 64], "returned": (1, 18, 32, 64), "first": ("scores",)},
        {"shape": [None, 3, None, None], "beside": "a.data"},
        {"shape": [None, 3, None, None], "dtype": "FLOAT16"},
    ],
    ids=["free", "counted", "fixed", "weights beside", "half"],
)
def test_any_file_with_one_image_and_logits_predicts(tmp_path, form):
    path = write(tmp_path / "a.onnx", **form)
    engine = open_trained(path, {}, hints=Hints(labels="atr"))
    found, close = engine.predict(PIXELS), 3e-2 if form.get("dtype") else 1e-4
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected(PIXELS), atol=close)
    assert (
        label_table_of(engine) is table_of("atr") and engine.config.network.class_names == table_of("atr").labels.names
    )
    inference = inference_of(engine, ())
    assert inference(PIXELS[0, :30, :50]).shape == (18, 30, 50)
    fixed = "first" in form
    assert engine.preprocessing.size == ((32, 64) if fixed else None)
    assert short_side(engine, None) == (0 if fixed else 768) and short_side(engine, 100) == 100
    about = engine.describe()["weights"]
    assert about["labels"] == "atr" and about["licence"] == "not known to mhp"
    engine.close()


def test_coarse_logits_are_resized(tmp_path):
    path = write(tmp_path / "a.onnx", [None, 3, None, None], stride=4)
    engine = open_trained(path, {}, hints=Hints(labels="atr"))
    found = engine.predict(PIXELS)
    coarse = expected(PIXELS)[:, :, ::4, ::4]
    assert found.shape == (2, 18, 32, 64)
    np.testing.assert_allclose(found[:, :, 2, 2], bilinear(coarse, 2, 2), atol=1e-4)


def bilinear(coarse, y, x):
    """Return the value at pixel (y, x) of the image, for one coarse pixel per 4 x 4 pixels."""
    (top, down), (left, right) = (divmod((at + 0.5) / 4 - 0.5, 1) for at in (y, x))
    t, s = int(top), int(left)
    upper = coarse[:, :, t, s] * (1 - right) + coarse[:, :, t, s + 1] * right
    lower = coarse[:, :, t + 1, s] * (1 - right) + coarse[:, :, t + 1, s + 1] * right
    return upper * (1 - down) + lower * down


def test_the_preprocessing_is_the_given_one(tmp_path):
    path = write(tmp_path / "a.onnx", [1, 3, 32, 64])
    engine = open_trained(path, {}, hints=Hints(labels="atr", preprocessing="unit"))
    values = (PIXELS / np.float32(255)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(
        engine.predict(PIXELS), np.einsum("nchw,kc->nkhw", values, WEIGHTS[:, :, 0, 0]), atol=1e-4
    )
    other = open_trained(path, {}, hints=Hints(labels="atr", preprocessing="schp")).preprocessing
    assert (other.bgr, other.fit, other.size) == (True, "pad", (32, 64))
    with pytest.raises(OptionError, match="preprocessing"):
        Hints(preprocessing="mean")


def test_classes_without_names_are_those_of_the_data_or_have_to_be_given(tmp_path):
    path = write(tmp_path / "a.onnx", [None, 3, None, None])
    assert label_table_of(open_trained(path, {}, hints=Hints(data=table_of("atr")))) is table_of("atr")
    for hints in (Hints(), Hints(data=table_of("mhp-v1"))):
        with pytest.raises(OptionError, match="18 outputs and names no classes") as caught:
            open_trained(path, {}, hints=hints)
        assert "Pass --labels" in caught.value.remedy
    with pytest.raises(OptionError, match="20 classes; expected 18"):
        open_trained(path, {}, hints=Hints(labels="lip"))


@pytest.mark.parametrize(
    ("form", "found"),
    [
        ({"shape": [None, 4, None, None]}, "one input of images"),
        ({"shape": [2, 3, None, None]}, "one image or any number"),
        ({"shape": [1, 3, 32, None]}, "both sides fixed or both free"),
        ({"shape": [1, 3, 32, 32], "dtype": "DOUBLE"}, "one input of images"),
    ],
)
def test_other_inputs_are_refused(tmp_path, form, found):
    path = tmp_path / "a.onnx"
    try:
        write(path, **form)
        with pytest.raises(CheckpointError, match=f"{found}|rejected by onnxruntime"):
            OnnxEngine(path, open_config())
    finally:
        path.unlink(missing_ok=True)


def open_config():
    from mhpmodels.config import TrainConfig

    return TrainConfig()


def test_weights_beside_the_file_stay_in_its_folder(tmp_path):
    inside = tmp_path / "in"
    inside.mkdir()
    path = write(inside / "a.onnx", [None, 3, None, None], beside="a.data")
    (inside / "a.data").rename(tmp_path / "a.data")
    with pytest.raises(CheckpointError, match=r"a\.data"):
        OnnxEngine(path, open_config())
    path.write_bytes(path.read_bytes().replace(b"a.data", b"../a.d"))
    with pytest.raises(CheckpointError, match=r"its weights are in '\.\./a\.d'"):
        OnnxEngine(path, open_config())


def test_a_network_that_describes_itself_takes_no_hints(tmp_path):
    path = write(tmp_path / "a.onnx", [None, 3, None, None])
    model = onnx.load(path)
    entry = model.metadata_props.add()
    names = ", ".join(f'"{name}"' for name in MHP_V1.names[:18])
    entry.key, entry.value = "mhp.class_names", f"[{names}]"
    onnx.save(model, path)
    assert label_table_of(open_trained(path, {})).labels.names == MHP_V1.names[:18]
    with pytest.raises(OptionError, match="the network describes itself"):
        open_trained(path, {}, hints=Hints(labels="atr"))


def test_a_file_is_mhps_own_by_its_mark_not_by_its_names(tmp_path, monkeypatch):
    path = write(tmp_path / "a.onnx", [None, 3, None, None], given="images")
    with pytest.raises(OptionError, match="18 outputs and names no classes"):
        open_trained(path, {})
    model = onnx.load(path)
    for key, value in MARK.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.save(model, path)
    assert open_trained(path, {}).own
    monkeypatch.setitem(globals(), "WEIGHTS", np.zeros((len(MHP_V1), 3, 1, 1), np.float32))
    path = write(tmp_path / "old.onnx", [None, 3, None, None], (None, 19, None, None), given="images")
    assert open_trained(path, {}).own


@pytest.mark.parametrize(("side", "persons"), [(None, True), (64, False)])
def test_persons_come_from_files_of_mhp_only(side, persons):
    """Nobody knows whether the offsets of other files are in pixels of the image."""

    def value(name, channels):
        return SimpleNamespace(name=name, type="tensor(float)", shape=["n", channels, side, side])

    outputs = [value("logits", 5), value("persons", 3)]
    meta = SimpleNamespace(custom_metadata_map=MARK)
    session = SimpleNamespace(
        get_inputs=lambda: [value("images", 3)], get_outputs=lambda: outputs, get_modelmeta=lambda: meta
    )
    found = form_of(session, "a.onnx")
    assert found.persons == found.own == persons and found.size == (None if side is None else (64, 64))


def test_one_channel_is_no_logits(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "WEIGHTS", WEIGHTS[:1])
    path = write(tmp_path / "a.onnx", [None, 3, None, None], (None, 1, None, None))
    with pytest.raises(CheckpointError, match=r"logits of one channel.*not the labels"):
        open_trained(path, {}, hints=Hints(labels="atr"))


@pytest.mark.parametrize("given", [{"engine": "mxnet"}, {"engine": "torch"}, {"dtype": "float16"}])
def test_options_that_onnxruntime_cannot_follow_are_refused(tmp_path, given):
    path = write(tmp_path / "a.onnx", [None, 3, None, None])
    ((name, value),) = given.items()
    with pytest.raises(OptionError, match=rf"{name}: {value}, for .*a\.onnx.*Omit --{name}"):
        open_trained(path, given, hints=Hints(labels="atr"))
