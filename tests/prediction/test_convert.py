"""mhp convert: GluonCV's file to torch's and back is the same file; an ONNX file gives torch's logits at any size;
files without weights are errors."""

from __future__ import annotations

import json
import struct
import sys

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from origins import FIRST, SECOND
from PIL import Image

from mhpdata.errors import CheckpointError, EngineError, MissingError, OptionError, OutputError
from mhpdata.imagenet import DEVIATION, MEAN
from mhpdata.labels import COMMON, MHP_V1
from mhpdata.remap import common
from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import open_engine
from mhpmodels.engines.onnx import OnnxEngine
from mhpmodels.files import checkpoint_writer
from mhpmodels.files.checkpoint import Position, measure
from mhpmodels.files.params import write_params
from mhpmodels.files.provenance import in_words
from mhpmodels.networks.architecture import Architecture, build_network
from mhpmodels.prediction.convert import convert
from mhpmodels.prediction.origin import provenance_of
from mhpmodels.prediction.trained import inference_of, labels_of, open_trained, trained_config
from mhptools.convert import main
from mhptools.predict import main as predict_command

torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")

from mhpmodels.engines.torch import export  # noqa: E402
from mhpmodels.engines.torch.weights import write_weights  # noqa: E402

ARRAYS = {
    "conv1.weight": np.array([[1.5, np.nan], [-0.0, np.inf]], np.float32),
    "bn1.gamma": np.array([1, 2], np.float32),
    "bn1.beta": np.array([3, 4], np.float32),
    "bn1.running_mean": np.array([5, 6], np.float32),
    "bn1.running_var": np.array([7, 8], np.float32),
    "fc.weight": np.array([[9, 10]], np.float16),
}


@pytest.fixture
def gluon_file(tmp_path):
    write_params(tmp_path / "gluon.params", ARRAYS)
    return tmp_path / "gluon.params"


def test_to_torch_and_back_is_the_same_file(gluon_file, tmp_path):
    convert(gluon_file, tmp_path / "a.pt")
    state = torch.load(tmp_path / "a.pt", weights_only=True)
    assert list(state)[:3] == ["conv1.weight", "bn1.weight", "bn1.bias"]
    convert(tmp_path / "a.pt", tmp_path / "b.params")
    assert (tmp_path / "b.params").read_bytes() == gluon_file.read_bytes()


def test_the_command(gluon_file, tmp_path):
    out = tmp_path / "a.pt"
    assert CliRunner().invoke(main, [str(gluon_file), str(out)]).exit_code == 0
    assert out.exists()
    again = CliRunner().invoke(main, [str(gluon_file), str(out)])
    assert again.exit_code == 3 and "already exists" in again.stderr
    assert CliRunner().invoke(main, [str(gluon_file), str(out), "--overwrite"]).exit_code == 0
    assert CliRunner().invoke(main, [str(gluon_file), "a.txt"]).exit_code == 2


def test_nothing_is_overwritten_or_left_half(gluon_file, tmp_path):
    out = tmp_path / "a.pt"
    out.write_bytes(b"mine")
    with pytest.raises(OutputError, match="already exists"):
        convert(gluon_file, out)
    gluon_file.write_bytes(gluon_file.read_bytes()[:-1])
    with pytest.raises(OutputError, match=r"a\.pt: was not written by mhp"):
        convert(gluon_file, out, overwrite=True)
    assert out.read_bytes() == b"mine"
    out.write_bytes(b"PK\3\4 mine")
    with pytest.raises(CheckpointError):
        convert(gluon_file, out, overwrite=True)
    assert out.read_bytes() == b"PK\3\4 mine"
    (tmp_path / "folder.pt").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        convert(gluon_file, tmp_path / "folder.pt", overwrite=True)
    (tmp_path / "folder.pt").rmdir()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pt", "gluon.params"]


@pytest.mark.parametrize("data", [b"", b"PK\3\4", b"junk" * 9, struct.pack("<QQQ", 0x112, 0, 1 << 60)])
def test_no_weights(data, tmp_path):
    (tmp_path / "a.pt").write_bytes(data)
    with pytest.raises(CheckpointError, match=r"a\.pt"):
        convert(tmp_path / "a.pt", tmp_path / "b.params")


def test_files_that_cannot_be_read_or_written(gluon_file, tmp_path):
    with pytest.raises(CheckpointError, match="missing; expected weights"):
        convert(tmp_path / "none.pt", tmp_path / "b.params")
    with pytest.raises(OutputError, match="cannot be written"):
        convert(gluon_file, tmp_path / "no" / "b.pt")
    with pytest.raises(OptionError, match="out"):
        convert(gluon_file, tmp_path / "b.txt")


# --- provenance


def test_the_origin_goes_along_and_is_printed(tmp_path):
    engine = open_engine(TrainConfig.of(engine="torch", model="own_networks:convolution", classes=5, crop_size=32))
    path = checkpoint_writer.save(tmp_path, engine, Position(epoch=1), {}, None, (FIRST, SECOND))
    engine.close()
    convert(path, tmp_path / "a.params")
    convert(tmp_path / "a.params", tmp_path / "a.pt")
    plain, given = (torch.load(one, weights_only=True) for one in (path, tmp_path / "a.pt"))
    assert plain.keys() == given.keys(), "nothing but tensors, for other programs"
    for one in (path, tmp_path / "a.params", tmp_path / "a.pt"):
        done = CliRunner().invoke(main, ["--info", str(one)])
        size, digest = measure(one)
        assert done.stdout == f"{one.name}: {size} bytes, SHA-256 {digest}\n{in_words((FIRST, SECOND))}\n"
    assert CliRunner().invoke(main, ["--info", str(tmp_path)]).stdout.startswith(path.name)
    done = CliRunner().invoke(main, ["--info", str(path), str(tmp_path / "b.pt")])
    assert done.exit_code == 2 and "no OUT" in done.stderr
    (tmp_path / "b.pt.provenance.json").write_text("mine")
    with pytest.raises(OutputError, match="was not written by mhp"):
        convert(path, tmp_path / "b.pt")
    assert not (tmp_path / "b.pt").exists()


# --- ONNX


@pytest.fixture(scope="module", params=["icnet", pytest.param("psp", marks=pytest.mark.slow)])
def exported(request, tmp_path_factory):
    """Return a network's weights and their ONNX file."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed here; environment A has it")
    folder = tmp_path_factory.mktemp("onnx")
    torch.manual_seed(0)
    network = build_network(Architecture(request.param, "resnet18", 7), dropout=0.1)
    write_weights(folder / "a.pt", network.state_dict())
    convert(folder / "a.pt", folder / "a.onnx")
    return network.eval(), folder / "a.onnx"


def test_an_onnx_file_predicts_as_torch_whatever_the_size(exported):
    network, path = exported
    engine = OnnxEngine(path, TrainConfig())
    assert engine.config.network.classes == 7
    rng = np.random.default_rng(0)
    for shape in ((1, 3, 32, 32), (3, 3, 40, 100), (1, 3, 111, 65)):
        images = rng.normal(size=shape).astype(np.float32)
        with torch.no_grad():
            expected = network(torch.from_numpy(images))[0].numpy()
        np.testing.assert_allclose(engine.predict(images), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    pixels = rng.integers(0, 256, (2, 48, 56, 3), np.uint8)
    images = np.ascontiguousarray(((pixels / 255 - MEAN) / DEVIATION).transpose(0, 3, 1, 2), np.float32)
    np.testing.assert_allclose(engine.predict(pixels), engine.predict(images), rtol=1e-3, atol=1e-3)
    assert json.loads(json.dumps(engine.describe()))["framework"] == "onnx"
    engine.close()
    engine.close()


def test_prediction_opens_it(exported):
    engine = open_trained(exported[1], {"base_size": 64})
    inference = inference_of(engine, ((1, 2), (11, 12)))
    assert inference(np.zeros((40, 50, 3), np.uint8)).shape == (7, 40, 50)
    assert engine.config.view.base_size == 64


def test_mhp_predict_takes_it(exported, tmp_path):
    cv2.imwrite(str(tmp_path / "photo.png"), np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8))
    arguments = ["--checkpoint", exported[1], "--out", tmp_path / "pred", "--base-size", "64", "--no-cuda"]
    done = CliRunner().invoke(predict_command, [*map(str, arguments), str(tmp_path / "photo.png")])
    assert done.exit_code == 0, done.output
    with Image.open(tmp_path / "pred" / "photo.png") as file:
        labels = np.array(file)
    assert labels.shape == (50, 70) and labels.max() < 7


@pytest.fixture
def own(tmp_path):
    """Return an engine of a user-defined network, and its checkpoint."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed here; environment A has it")
    engine = open_engine(TrainConfig.of(engine="torch", model="own_networks:with_pyramid", classes=5, crop_size=32))
    yield engine, checkpoint_writer.save(tmp_path, engine, Position(epoch=1), {})
    engine.close()


def test_the_folder_of_a_run_is_its_best_checkpoint_as_for_mhp_eval(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(CheckpointError, match="no complete checkpoint"):
        convert(run, tmp_path / "a.params")
    engine = open_engine(TrainConfig.of(engine="torch", model="own_networks:with_pyramid", classes=5, crop_size=32))
    checkpoint_writer.save(run, engine, Position(epoch=1), {})
    last = checkpoint_writer.save(run, engine, Position(epoch=2, step=1), {})
    assert convert(run, tmp_path / "a.params") == last, "none was validated"
    best = checkpoint_writer.save(run, engine, Position(epoch=3, step=2), {}, {"pixAcc": 0.5, "mIoU": 0.3})
    checkpoint_writer.save(run, engine, Position(epoch=4, step=3), {}, {"pixAcc": 0.5, "mIoU": 0.2})
    engine.close()
    assert not list(tmp_path.glob("*.provenance.json")), "there is none to carry on"
    done = CliRunner().invoke(main, [str(run), str(tmp_path / "b.params")])
    assert done.exit_code == 0 and done.stdout == f"{tmp_path / 'b.params'}: the weights of {best}\n"
    assert (tmp_path / "a.params").read_bytes() == (tmp_path / "b.params").read_bytes()
    assert trained_config(run, {})[0] == best
    best.write_bytes(best.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=best.name):
        convert(run, tmp_path / "c.params")


@pytest.mark.slow
def test_an_export_that_is_not_the_network_is_not_kept(own, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "_pool", lambda x, bins: x[..., :bins, :bins])
    with pytest.raises(EngineError, match="from torch's for images 2 x 3 x 96 x 128"):
        convert(own[1], tmp_path / "a.onnx")
    assert not list(tmp_path.glob("*.onnx"))


def test_a_network_of_ones_own_goes_by_the_json_beside_it(own, tmp_path):
    engine, path = own
    convert(path, tmp_path / "a.onnx")
    assert b"mhp.form" in (tmp_path / "a.onnx").read_bytes()
    images = np.random.default_rng(0).normal(size=(1, 3, 33, 50)).astype(np.float32)
    found = OnnxEngine(tmp_path / "a.onnx", engine.config).predict(images)
    np.testing.assert_allclose(found, engine.predict(images), rtol=1e-4, atol=1e-5)
    plain = open_trained(tmp_path / "a.onnx", {}).config
    assert (plain.network.class_names, plain.network.flip_pairs, plain.mix.remap) == ((), (), None)
    assert labels_of(plain) is MHP_V1
    with pytest.raises(CheckpointError, match="weights of PSPNet or ICNet with GluonCV's names"):
        path.with_suffix(".json").unlink()
        convert(path, tmp_path / "b.onnx")


def test_what_its_classes_are_called_goes_along(own, tmp_path):
    """test_onnx_names.py tests other forms of these notes, as an export takes seconds."""
    names = {"classes": 17, "class_names": COMMON.names, "flip_pairs": COMMON.flip_pairs, "remap": common().to_json()}
    mixed = open_engine(own[0].config.changed(**names))
    path = checkpoint_writer.save(tmp_path, mixed, Position(epoch=2), {}, None, (FIRST, SECOND))
    convert(path, tmp_path / "mixed.onnx")
    mixed.close()
    assert provenance_of(tmp_path / "mixed.onnx") == (FIRST, SECOND) == provenance_of(path)
    assert not list(tmp_path.glob("*.provenance.json"))
    found = open_trained(tmp_path / "mixed.onnx", {"base_size": 64}).config
    assert {name: found.value(name) for name in names} == names
    assert labels_of(found) is COMMON and found.view.base_size == 64


@pytest.mark.parametrize("content", [None, b"", b"no protobuf"])
def test_no_onnx_file(content, tmp_path):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed here; environment A has it")
    if content is not None:
        (tmp_path / "a.onnx").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"a\.onnx"):
        OnnxEngine(tmp_path / "a.onnx", TrainConfig())
    with pytest.raises(EngineError, match="CUDAExecutionProvider"):
        OnnxEngine(tmp_path / "a.onnx", TrainConfig.of(ngpus=1))


def test_without_onnx(tmp_path, monkeypatch):
    for module in ("onnxruntime", "onnxscript"):
        monkeypatch.setitem(sys.modules, module, None)
    write_weights(tmp_path / "a.pt", build_network(Architecture("psp", "resnet18", 7), 0.1).state_dict())
    with pytest.raises(MissingError, match=r'pip install "\.\[onnx\]"'):
        convert(tmp_path / "a.pt", tmp_path / "a.onnx")
    with pytest.raises(MissingError, match=r'pip install "\.\[onnx\]"'):
        OnnxEngine(tmp_path / "a.onnx", TrainConfig())


def test_without_torch(gluon_file, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mhpmodels.engines.torch.weights", None)
    with pytest.raises(MissingError, match=r'pip install "\.\[torch\]"'):
        convert(gluon_file, tmp_path / "a.pt")
