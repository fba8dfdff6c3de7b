"""mhp train on several folders, with class weights and rare images; the classes in its checkpoints."""

import json
import os
import shlex
import signal

import numpy as np
import pytest
from click.testing import CliRunner
from folder import write_folder
from networks import ByColour
from numpy_engine import NumpyEngine
from releases import SIZE, write_cihp, write_v2

import mhpdata
import mhpmodels.training.launch
import mhpmodels.training.train
import mhptools.train
from mhpdata.errors import OptionError
from mhpdata.labels import CIHP, COMMON, MHP_V1, MHP_V2
from mhpdata.loading.weights import class_weights
from mhpdata.remap import common
from mhpdata.storage.manifest import read_manifest
from mhpmodels.config import TrainConfig
from mhpmodels.evaluation.evaluate import evaluate
from mhpmodels.files import checkpoint
from mhpmodels.inference.pieces import Inference
from mhpmodels.prediction.trained import check_classes, labels_of

SMALL = "--base-size 48 --crop-size 32 --batch-size 4 --epochs 2 --workers 1 --engine mxnet --seed 3"
MIXED = f"{SMALL} --remap common --mix 1,1,2 --sample rare --class-weights"


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    root = tmp_path_factory.mktemp("mixed")
    sources = {
        "v1": write_folder(root / "v1", images=16, size=SIZE, seed=1000),
        "v2": write_v2(root / "v2", {"train": list(range(101, 110)), "val": [120], "test": [130]}),
        "cihp": write_cihp(root / "cihp", {"train": list(range(201, 207)), "val": [220], "test": [230]}),
    }
    for name, source in sources.items():
        mhpdata.pack(source, root / "rec" / name, size=0)
    return {name: root / "rec" / name for name in sources}


@pytest.fixture
def data(packed):
    return " ".join(f"--data {folder}" for folder in packed.values())


@pytest.fixture
def hooks(monkeypatch, tmp_path):
    """Return hooks of the NumPy engine for every run of the test, which has its own working folder."""
    hooks, trained = {}, mhpmodels.training.train.train
    opener = {"open_engine": lambda config: NumpyEngine(config, **hooks)}
    monkeypatch.setattr(mhpmodels.training.train, "train", lambda *a, **k: trained(*a, **k, **opener))
    monkeypatch.setattr(mhpmodels.training.launch, "launch_ranks", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    return hooks


def invoke(text):
    return CliRunner().invoke(mhptools.train.main, shlex.split(text))


def steps(folder):
    return [line.split(",")[:6] for line in (folder / "steps.csv").read_text().splitlines()]


def test_a_mixed_run_its_config_and_its_exact_resume(hooks, packed, data, tmp_path):
    done = invoke(f"{data} {MIXED} --save-dir whole")
    assert done.exit_code == 0, done.output
    config = checkpoint.read(tmp_path / "whole").config
    assert (config.data.folder, config.data.also) == (str(packed["v1"]), (str(packed["v2"]), str(packed["cihp"])))
    assert (config.mix.weights, config.mix.sample, config.mix.remap, config.network.classes) == (
        (1, 1, 2),
        "rare",
        "common",
        len(COMMON),
    )
    assert labels_of(config) is COMMON
    sets = [(folder, "train") for folder in packed.values()]
    expected = class_weights(sets, mix=mhpdata.Mix(remap="common", weights=(1, 1, 2)))
    np.testing.assert_allclose(config.loss.class_weights, expected, rtol=1e-6)
    assert TrainConfig.from_json(config.to_json()) == config

    assert invoke(f"{data} {MIXED} --save-dir again").exit_code == 0
    assert steps(tmp_path / "again") == steps(tmp_path / "whole")
    refused = invoke("--resume whole --mix 1,1,1")
    assert (
        refused.exit_code == 2
        and "--mix: (1.0, 1.0, 1.0); expected (1.0, 1.0, 2.0), the value of the resumed run" in refused.output
    )


def test_a_signal_in_a_mixed_run_and_going_on_give_the_same_losses(hooks, data, tmp_path):
    assert invoke(f"{data} {MIXED} --save-dir whole").exit_code == 0
    hooks["before_step"] = lambda count, _: os.kill(os.getpid(), signal.SIGTERM) if count == 2 else None
    assert invoke(f"{data} {MIXED} --save-dir cut").exit_code == 143
    hooks.clear()
    assert invoke("--resume cut").exit_code == 0
    assert steps(tmp_path / "cut") == steps(tmp_path / "whole")


def test_a_table_of_ones_own_is_kept_in_the_config(hooks, packed, tmp_path):
    table = json.loads(common().to_json())
    table["classes"][1] = "headgear"
    for names in table["maps"].values():
        for old, new in names.items():
            names[old] = "headgear" if new == "hat" else new
    (tmp_path / "mine.json").write_text(json.dumps(table))
    done = invoke(f"--data {packed['cihp']} {SMALL} --remap mine.json --save-dir run --class-weights")
    assert done.exit_code == 0, done.output
    (tmp_path / "mine.json").unlink()
    config = checkpoint.read(tmp_path / "run").config
    assert config.network.class_names[1] == "headgear" and labels_of(config).flip_pairs == COMMON.flip_pairs
    assert invoke("--resume run").exit_code == 0


@pytest.mark.parametrize(
    "more,message",
    [
        ("--mix 1,2 --remap common", "3 numbers"),
        ("--mix 1,x,2 --remap common", "numbers such as 1,1,2"),
        ("", "59 classes of mhp-v2"),
        ("--remap nowhere.json", "missing; expected common, a label set, or a JSON file"),
    ],
)
def test_what_is_refused(hooks, data, more, message):
    done = invoke(f"{data} {SMALL} {more}")
    assert done.exit_code == 2 and message in done.output, done.output


def test_class_weights_cannot_come_later(hooks, packed):
    assert invoke(f"--data {packed['v2']} {SMALL} --save-dir run").exit_code == 0
    refused = invoke("--resume run --class-weights")
    assert refused.exit_code == 2 and "--class-weights: not used by the run to resume." in refused.output


def test_a_split_without_labels_is_not_trained_on(hooks, packed):
    done = invoke(f"--data {packed['v2']} {SMALL} --train-split test")
    assert done.exit_code == 2 and "split test: no labels" in done.output


def test_the_classes_of_a_checkpoint():
    assert labels_of(TrainConfig()) is MHP_V1 and labels_of(TrainConfig.of(classes=18)) is MHP_V1
    assert labels_of(TrainConfig.of(classes=59)) is MHP_V2 and labels_of(TrainConfig.of(classes=20)) is CIHP
    named = TrainConfig.of(classes=3, class_names=("background", "a", "b"), flip_pairs=((1, 2),))
    assert labels_of(named).flip_pairs == ((1, 2),)
    with pytest.raises(OptionError, match="2 names for 3 classes"):
        TrainConfig.of(classes=3, class_names=("background", "a"))
    with pytest.raises(OptionError, match=r"class_weights.*19 numbers"):
        TrainConfig.of(class_weights=(1.0,))


def test_a_checkpoint_of_other_classes_is_not_evaluated(packed):
    v1, cihp = (read_manifest(packed[name]) for name in ("v1", "cihp"))
    for config in (TrainConfig(), TrainConfig.of(classes=18)):
        check_classes(config, v1)
        with pytest.raises(
            OptionError, match="20 classes of cihp; expected the classes of the checkpoint: background, hat, hair"
        ):
            check_classes(config, cihp)
    check_classes(TrainConfig.of(classes=20), cihp)
    mixed = TrainConfig.of(classes=17, class_names=COMMON.names, flip_pairs=COMMON.flip_pairs, remap="common")
    for manifest in (v1, cihp):
        check_classes(mixed, manifest)
        with pytest.raises(OptionError, match="the classes of the checkpoint"):
            check_classes(mixed.changed(remap=None), manifest)


@pytest.mark.parametrize("mode", ["crop", "whole", "source"])
def test_evaluation_compares_with_labels_of_the_table(packed, mode):
    network = ByColour(len(COMMON))
    found = evaluate(Inference(network, len(COMMON), 8), packed["cihp"], mode=mode, size=32, remap="common")
    assert found.classes == COMMON.names
    if mode != "source":
        return
    (sample,) = mhpdata.open(packed["cihp"], "val")
    table = common().table("cihp", CIHP)
    assert found.confusion.labelled == np.count_nonzero(table[sample.labels] != 255)
    counts = np.bincount(table[sample.labels].ravel(), minlength=256)[: len(COMMON)]
    assert found.confusion.matrix.sum(1).tolist() == counts.tolist()
