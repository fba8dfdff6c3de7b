"""Opening a trained network; mhp eval and mhp predict from flags to files."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from folder import write_folder
from networks import ColourEngine
from origins import FIRST, OWN, SECOND, V1

import mhpdata
from mhpdata.errors import CheckpointError, OptionError
from mhpdata.labels import MHP_V1
from mhpmodels.config import TrainConfig
from mhpmodels.evaluation.evaluate import evaluate
from mhpmodels.files import checkpoint_writer
from mhpmodels.files.checkpoint import Position
from mhpmodels.files.provenance import in_words, to_fields
from mhpmodels.inference.pieces import SCALES
from mhpmodels.prediction.trained import inference_of, open_trained, trained_config
from mhptools.eval import main as mhp_eval
from mhptools.predict import main as mhp_predict

CONFIG = TrainConfig.of(
    model="psp", backbone="resnet18", base_size=32, crop_size=40, batch_size=6, ngpus=2, engine="mxnet"
)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    root = tmp_path_factory.mktemp("trained")
    write_folder(root / "LV-MHP-v1", images=12, size=(40, 60))
    mhpdata.pack(root / "LV-MHP-v1", root / "rec", size=32, workers=1)
    return root / "rec"


@pytest.fixture
def engines(monkeypatch):
    """Return the list of opened engines; open_engine returns the NumPy engine."""
    opened = []

    def open_engine(config, training=True):
        opened.append(ColourEngine(config, training))
        return opened[-1]

    monkeypatch.setattr("mhpmodels.prediction.trained.open_engine", open_engine)
    return opened


@pytest.fixture
def run(tmp_path):
    """Make a run's folder with checkpoints of three epochs; the second is the best."""
    folder = tmp_path / "run"
    folder.mkdir()
    for epoch, miou in enumerate((0.1, 0.3, 0.2), 1):
        engine = ColourEngine(CONFIG)
        engine.network.bias[:] = epoch
        position = Position(epoch=epoch, step=10 * epoch)
        checkpoint_writer.save(folder, engine, position, {"seed": 0}, {"pixAcc": 0.5, "mIoU": miou}, (FIRST, SECOND))
    return folder


def test_what_mhp_train_wrote_says_itself_what_it_is(run):
    weights = run / "epoch_0000_mIoU_0.1000.params"
    path, config = trained_config(weights, {})
    assert path == weights
    assert config == CONFIG.changed(ngpus=1, contexts=0, batch_size=1)
    assert trained_config(weights, {"ngpus": 0, "base_size": 64})[1].view.base_size == 64
    assert trained_config(weights, {"ngpus": 4})[1].machine.contexts == 4
    assert trained_config(run, {})[0].name == "epoch_0001_mIoU_0.3000.params", "the best of a run"
    assert trained_config(weights, {"model": "psp", "classes": 19})[1].network.model == "psp"
    for name, value in (("model", "icnet"), ("backbone", "resnet50"), ("classes", 18), ("aux", True)):
        with pytest.raises(OptionError, match=f"{name}: {value}; expected .*from the JSON beside"):
            trained_config(weights, {name: value})


def test_of_bare_weights_the_caller_says_it(tmp_path):
    weights = tmp_path / "old.params"
    weights.write_bytes(b"")
    _, config = trained_config(weights, {"model": "psp", "classes": 18, "ngpus": 3})
    values = [config.value(name) for name in ("model", "backbone", "classes", "ngpus", "engine")]
    assert values == ["psp", "resnet50", 18, 3, "mxnet"]
    assert trained_config(weights, {}, classes=59)[1].network.classes == 59
    (tmp_path / "new.pt").write_bytes(b"")
    assert trained_config(tmp_path / "new.pt", {})[1].machine.engine == "torch"
    assert trained_config(tmp_path / "new.pt", {"engine": "mxnet"})[1].machine.engine == "mxnet"


def test_what_is_no_checkpoint(run, tmp_path, engines):
    for path in (tmp_path / "nowhere.params", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(CheckpointError):
            trained_config(path, {})
    weights = run / "epoch_0001_mIoU_0.3000.params"
    (run / "epoch_0001_mIoU_0.3000.state").unlink()
    assert open_trained(weights, {}).config.network.model == "psp", "the optimiser's state is not needed"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    with pytest.raises(CheckpointError, match="other bytes"):
        open_trained(weights, {})


def test_weights_that_do_not_fit_close_the_engine(tmp_path, engines):
    ColourEngine(CONFIG.changed(classes=18)).save(tmp_path / "old.params")
    with pytest.raises(CheckpointError, match="18 outputs; expected 19"):
        open_trained(tmp_path / "old.params", {})
    assert engines[-1].closed and not engines[-1].training


def test_how_pictures_are_given_to_it(engines, run):
    engine = open_trained(run, {"ngpus": 0})
    plain, scaled = inference_of(engine, MHP_V1.flip_pairs), inference_of(engine, MHP_V1.flip_pairs, True, 512)
    assert (plain.scales, plain.mirror, plain.multiple, plain.least, plain.classes) == ((1.0,), False, 8, 32, 19)
    assert (scaled.scales, scaled.mirror, scaled.window) == (SCALES, True, 512)
    assert scaled.flip_pairs == MHP_V1.flip_pairs
    few = ColourEngine(CONFIG.changed(classes=14))
    assert inference_of(few, MHP_V1.flip_pairs, True).flip_pairs == ((9, 10), (12, 13)), "only pairs that it has"


def command(main, *arguments, status=0):
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == status, done.output
    return done


@pytest.mark.parametrize(("mode", "same"), [("crop", "val"), ("whole", "testval"), ("source", "source")])
def test_mhp_eval_prints_what_evaluate_finds(packed, run, engines, mode, same):
    flags = ("--data", packed, "--resume", run, "--no-cuda")
    content = json.loads(command(mhp_eval, *flags, "--mode", mode, "--json").stdout)
    engine = open_trained(run, {"ngpus": 0})
    size = 40 if mode == "crop" else 32
    found = evaluate(inference_of(engine, MHP_V1.flip_pairs), packed, mode=mode, size=size)
    assert content["mIoU"] == found.confusion.miou > 0
    assert content["confusion"] == found.confusion.matrix.tolist()
    assert (content["images"], content["size"], content["engine"]) == (2, size, {"framework": "numpy"})
    text = command(mhp_eval, *flags, "--mode", same, "--eval", "--dataset", "mhp", "--syncbn").stdout
    assert f"pixAcc: {found.confusion.pix_acc:.4f}, mIoU: {found.confusion.miou:.4f}\n" in text
    assert "left shoe" in text and "ms per image" in text
    assert content["provenance"] == to_fields((FIRST, SECOND))
    trained_on = [line for line in text.splitlines() if line.startswith("weights trained on")]
    assert trained_on == [f"weights trained on {data.in_words}" for data in (V1, OWN)]
    assert all(engine.closed for engine in engines[::2])


def test_mhp_eval_s_other_flags(packed, run, engines):
    flags = ("--data", packed, "--resume", run, "--json", "--workers", 1)
    content = json.loads(command(mhp_eval, *flags, "--val-protocol", "gluoncv", "--leak-free").stdout)
    assert (content["images"], content["protocol"], content["leak_free"]) == (1, "gluoncv", True)
    assert engines[-1].config.machine.ngpus == 1
    content = json.loads(command(mhp_eval, *flags, "--multi-scale", "--split", "test", "--base-size", 16).stdout)
    assert (content["images"], content["multi_scale"], content["size"], content["split"]) == (3, True, 16, "test")
    assert content["seen"] == 1, "the folder's last image is a copy of its first"
    content = json.loads(command(mhp_eval, *flags, "--mode", "crop", "--crop-size", 32, "--batch-size", 2).stdout)
    assert [shape[0] for shape in engines[-1].network.shapes] == [2] and content["size"] == 32


def test_mhp_eval_of_bare_weights(packed, tmp_path, engines):
    ColourEngine(TrainConfig.of(model="psp", classes=14)).save(tmp_path / "old.params")
    flags = ("--data", packed, "--resume", tmp_path / "old.params", "--base-size", 32)
    done = command(mhp_eval, *flags, "--model", "psp", "--classes", 14)
    assert " 14 left arm        0.0000  no network output" in done.stdout
    assert "14 outputs" in command(mhp_eval, *flags, "--model", "psp", status=1).stderr


@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        (["--model", "icnet"], 2, "--model: icnet; expected psp"),
        (["--split", "vall"], 2, "has no split 'vall'; expected train, val or test"),
        (["--mode", "all"], 2, "--mode"),
        (["--window", "8"], 2, "--window"),
        (["--crop-size", "25"], 2, "--crop-size"),
    ],
)
def test_mhp_eval_s_errors(packed, run, engines, flags, status, message):
    done = command(mhp_eval, "--data", packed, "--resume", run, *flags, status=status)
    assert message in done.stderr and not done.stdout
    assert "CheckpointError" in command(mhp_eval, "--data", packed, "--resume", packed, status=1).stderr
    assert "ManifestError" in command(mhp_eval, "--data", run, "--resume", run, status=1).stderr


def test_mhp_predict(packed, run, engines, tmp_path):
    photo = packed.parent / "LV-MHP-v1" / "images" / "0003.jpg"
    flags = ("--checkpoint", run, "--no-cuda")
    done = command(mhp_predict, *flags, "--out", tmp_path / "a", photo, "-v")
    assert in_words((FIRST, SECOND)) in done.stderr
    assert done.stdout.startswith(f"{tmp_path / 'a'}: 1 label map, ")
    assert "EXIF" not in done.stdout and "pictures" not in done.stdout
    picture = cv2.imread(str(tmp_path / "a" / "0003.png"))[:, :, ::-1]
    assert picture.shape == (40, 60, 3)
    assert {tuple(c) for c in picture.reshape(-1, 3).tolist()} <= {tuple(c) for c in MHP_V1.palette[:19].tolist()}
    done = command(mhp_predict, *flags, "--out", tmp_path / "b", "--data", packed, "--overlay", "--multi-scale")
    assert f"\n{tmp_path / 'b' / 'pictures'}: overlays\n" in done.stdout
    names = mhpdata.open(packed, "test").names
    assert {path.stem for path in (tmp_path / "b").glob("*.png")} == set(names)
    assert {path.stem for path in (tmp_path / "b" / "pictures").iterdir()} == set(names)
    next((tmp_path / "b").glob("*.png")).unlink()
    again = command(
        mhp_predict, *flags, "--out", tmp_path / "b", "--data", packed, "--overlay", "--multi-scale", "--keep"
    )
    assert f"1 label map ({len(names) - 1} more existed)" in again.stdout
    command(mhp_predict, *flags, "--out", tmp_path / "c", "--data", packed, "--split", "train", "--name", "0003")
    # stored as a JPEG of another quality and size, so the labels nearly match those of the source
    same = cv2.imread(str(tmp_path / "c" / "0003.png"))[:, :, ::-1] == picture
    assert same.all(-1).mean() > 0.9
    assert all(engine.closed for engine in engines)


def test_mhp_predict_s_errors(packed, run, engines, tmp_path):
    photo = packed.parent / "LV-MHP-v1" / "images" / "0003.jpg"
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(photo.read_bytes()[:500])
    flags = ("--checkpoint", run, "--out", tmp_path / "out")
    for arguments in ((), (photo, "--data", packed), (photo, "--split", "val")):
        assert (
            "Give either image files, or a packed folder" in command(mhp_predict, *flags, *arguments, status=2).stderr
        )
    assert "ImageError" in command(mhp_predict, *flags, photo, broken, status=1).stderr
    done = command(mhp_predict, *flags, photo, broken, "--on-error", "skip", "--overwrite")
    assert "Skipped: ImageError" in done.stderr and "1 label map," in done.stdout
    assert "already exists" in command(mhp_predict, *flags, photo, status=3).stderr
    assert Path(tmp_path / "out" / "0003.png").stat().st_size > 0


def test_mhp_predict_says_which_way_up(packed, run, engines, tmp_path):
    exif = b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    data = (packed.parent / "LV-MHP-v1" / "images" / "0003.jpg").read_bytes()
    (tmp_path / "turned.jpg").write_bytes(data[:2] + exif + data[2:])
    (tmp_path / "broken.jpg").write_bytes(data[:2] + exif.replace(b"\x08", b"\xff") + data[2:])
    flags = ("--checkpoint", run, tmp_path / "turned.jpg", tmp_path / "broken.jpg", "--out")
    done = command(mhp_predict, *flags, tmp_path / "a")
    assert "1 image was rotated by EXIF orientation; pass --exif raw" in done.stdout
    assert f"Remark: {tmp_path / 'broken.jpg'}: predicted as stored" in done.stderr
    assert cv2.imread(str(tmp_path / "a" / "turned.png")).shape == (60, 40, 3)
    done = command(mhp_predict, *flags, tmp_path / "b", "--exif", "raw")
    assert "EXIF" not in done.stdout and not done.stderr
    assert cv2.imread(str(tmp_path / "b" / "turned.png")).shape == (40, 60, 3)
    done = command(mhp_predict, "--resume", run, "--out", tmp_path / "c", "--data", packed, "--exif", "raw")
    assert "EXIF" not in done.stdout
    upright = ("--resume", run, "--out", tmp_path / "c", "--data", packed, "--exif", "upright")
    assert "--exif upright: not supported with --data" in command(mhp_predict, *upright, status=2).stderr


def test_the_labels_that_it_writes_are_the_network_s(packed, run, engines, tmp_path):
    image = pytest.importorskip("PIL.Image")
    command(mhp_predict, "--resume", run, "--out", tmp_path, "--data", packed)
    inference = inference_of(open_trained(run, {}), MHP_V1.flip_pairs)
    from mhpmodels.inference.rescale import labels_at

    for sample in mhpdata.open(packed, "test"):
        with image.open(tmp_path / f"{sample.name}.png") as file:
            np.testing.assert_array_equal(np.array(file), labels_at(inference(sample.image), (40, 60)))


@pytest.mark.parametrize(
    ("values", "holds"),
    [({"model": "segformer", "backbone": "mit_b0"}, "segformer"), ({"persons": True}, "psp with heads of persons")],
)
def test_an_engine_without_the_network_is_named_as_the_option_at_fault(tmp_path, values, holds):
    config = CONFIG.changed(
        **{"engine": "torch", "ngpus": 1, "batch_size": 1, "contexts": 0, "crop_size": 64, **values}
    )
    checkpoint_writer.save(tmp_path, ColourEngine(config, True), Position(1), {}, {"mIoU": 0.1, "pixAcc": 0.5})
    with pytest.raises(OptionError, match=rf"engine: mxnet, for .*\.pt, which holds {holds}.*Omit --engine"):
        open_trained(tmp_path, {"engine": "mxnet"})
