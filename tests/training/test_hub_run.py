"""A run of SegFormer by mhp's commands: train, resume, eval and predict; a folder of another program; ONNX."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from training import write_rec

from mhpmodels.files import checkpoint
from mhptools.eval import main as evaluate
from mhptools.predict import main as predict
from mhptools.train import main as train

torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")
pytest.importorskip("transformers", reason="transformers is not installed here; environment A has it")

from hub_folders import segformer, write  # noqa: E402

from mhpmodels.engines.onnx import OnnxEngine  # noqa: E402
from mhpmodels.prediction.convert import convert  # noqa: E402
from mhpmodels.prediction.trained import open_trained  # noqa: E402

SIZES = ["--base-size", "64", "--crop-size", "64", "--batch-size", "3", "-j", "1"]
RATES = ["--optimizer", "adamw", "--lr", "0.001", "--schedule", "cosine", "--layer-decay", "0.9", "--dice-weight", "1"]


def call(command, *arguments):
    done = CliRunner().invoke(command, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    return write_rec(tmp_path_factory.mktemp("hub_run"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write(tmp_path_factory.mktemp("hub") / "tiny", segformer())


@pytest.fixture(scope="module")
def run(rec, tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    network = ["--engine", "torch", "--model", "segformer", "--backbone", tiny, "--pretrained-base", tiny, "--no-cuda"]
    call(train, "--data", rec, *network, *SIZES, *RATES, "--epochs", "2", "--save-dir", folder, "--save-every", "1")
    return folder


def test_a_run_is_resumed_evaluated_and_predicts(rec, run, tiny, tmp_path):
    first, last = checkpoint.listing(run)[0], checkpoint.listing(run)[-1]
    assert json.loads(first.config.network.described) == json.loads((tiny / "config.json").read_text())
    for path in run.glob(f"{first.weights.stem}.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    call(train, "--resume", tmp_path, "--data", rec)
    assert (tmp_path / last.weights.name).read_bytes() == last.weights.read_bytes()
    assert (tmp_path / last.state.name).read_bytes() == last.state.read_bytes()
    assert "mIoU" in call(evaluate, "--data", rec, "--checkpoint", run, "--no-cuda")
    call(predict, "--checkpoint", run, "--data", rec, "--split", "val", "--out", tmp_path / "pred", "--no-cuda")
    assert list((tmp_path / "pred").glob("**/*.png"))


def test_a_checkpoint_becomes_an_onnx_file_with_the_same_logits(run, tmp_path):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed here; environment A has it")
    convert(run, tmp_path / "a.onnx")
    engine, own = open_trained(run, {}), open_trained(tmp_path / "a.onnx", {})
    assert isinstance(own, OnnxEngine)
    rng = np.random.default_rng(0)
    for shape in ((2, 64, 64, 3), (1, 40, 72, 3)):
        images = rng.integers(0, 256, shape, np.uint8)
        expected = engine.predict(images)
        np.testing.assert_allclose(own.predict(images), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    engine.close()
    own.close()


def test_a_folder_of_another_program_predicts_its_own_labels(tiny, tmp_path):
    image = pytest.importorskip("PIL.Image")
    cv2.imwrite(str(tmp_path / "photo.png"), np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8))
    call(predict, "--checkpoint", tiny, "--out", tmp_path / "pred", "--no-cuda", tmp_path / "photo.png")
    with image.open(tmp_path / "pred" / "photo.png") as file:
        found = np.array(file)
    assert found.shape == (50, 70) and found.max() < 18
