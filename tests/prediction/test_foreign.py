"""SCHP's weights in open_trained, mhp predict and mhp eval: sizes, label sets, conversions, what is refused."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from folder import write_folder

import mhpdata
from mhpdata.errors import CheckpointError, OptionError
from mhpdata.label_sets.built_in import table_of
from mhpdata.label_sets.naming import conversion_between, lookup
from mhptools.eval import main as eval_command
from mhptools.predict import main as predict_command

torch = pytest.importorskip("torch")

from schp_weights import weight  # noqa: E402

from mhpmodels.files.png import decode_labels  # noqa: E402
from mhpmodels.networks import known  # noqa: E402
from mhpmodels.networks.preprocessing import Preprocessing  # noqa: E402
from mhpmodels.networks.schp.network import SCHP  # noqa: E402
from mhpmodels.prediction.foreign import Hints, foreign_config  # noqa: E402
from mhpmodels.prediction.trained import inference_of, label_table_of, open_trained, short_side  # noqa: E402


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Return a file of SCHP's weights for ATR's 18 classes, in the form of the published ones."""
    with torch.device("meta"):
        network = SCHP(18)
    state = {
        f"module.{name}": torch.from_numpy(weight(name, tuple(t.shape))) for name, t in network.state_dict().items()
    }
    path = tmp_path_factory.mktemp("schp") / "atr.pth"
    torch.save({"state_dict": state, "cycle_n": 4}, path)
    return path


@pytest.fixture
def small(monkeypatch):
    """Let the known weights take small images, which cost less."""
    one = known.KNOWN["schp-atr"]
    values = {**vars(one), "preprocessing": Preprocessing(bgr=True, size=(65, 65), fit="pad")}
    monkeypatch.setitem(known.KNOWN, "schp-atr", known.Known(**values))


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    mhpdata.pack(write_folder(root / "v1", images=8, size=(40, 60)), root / "rec", size=32, image="raw", workers=1)
    return root / "rec"


def run(command, *arguments):
    return CliRunner().invoke(command, list(map(str, arguments)))


def test_weights_bring_their_label_set_size_and_licence(weights):
    engine = open_trained(weights, {})
    assert label_table_of(engine) is table_of("atr") and short_side(engine, None) == 0
    facts = engine.describe()["weights"]
    assert (facts["name"], facts["preprocessing"]["size"], facts["preprocessing"]["channels"]) == (
        "schp-atr",
        [512, 512],
        "BGR",
    )
    assert "trained on ATR, see the terms" in facts["licence"] and "301523-atr.pth" in facts["source"]
    assert engine.describe()["parameters"] > 66e6
    engine.close()
    engine.close()


def test_predictions_are_written_in_the_networks_label_set_or_in_another(weights, small, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (45, 70, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image[..., ::-1])
    own = run(predict_command, "--checkpoint", weights, "--out", tmp_path / "own", tmp_path / "a.png")
    assert own.exit_code == 0, own.output
    assert "Network: schp-atr, 18 classes of atr; input 65 x 65, pad, BGR" in own.stdout
    assert "Licence: code MIT; none stated for the weights" in own.stdout
    engine = open_trained(weights, {})
    labels = inference_of(engine, ())(image).argmax(0)
    engine.close()
    written = decode_labels((tmp_path / "own/a.png").read_bytes(), "a", (45, 70), 18)
    np.testing.assert_array_equal(written, labels)
    assert len(np.unique(labels)) > 1
    other = run(
        predict_command, "--checkpoint", weights, "--out", tmp_path / "cihp", tmp_path / "a.png", "--to", "cihp"
    )
    assert other.exit_code == 0, other.output
    one = conversion_between(table_of("atr"), table_of("cihp"))
    converted = decode_labels((tmp_path / "cihp/a.png").read_bytes(), "a", (45, 70), 20)
    np.testing.assert_array_equal(converted, lookup(one)[labels])
    assert "Labels of atr, converted to those of cihp." in other.stdout and ", ".join(one.lost) in other.stdout


@pytest.mark.parametrize("mode", ["crop", "whole"])
def test_eval_compares_with_data_of_another_label_set(weights, small, packed, mode):
    arguments = ("--data", packed, "--checkpoint", weights, "--split", "val", "--mode", mode, "--crop-size", 64)
    done = run(eval_command, *arguments, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    one = conversion_between(table_of("atr"), table_of("mhp-v1"))
    assert found["converted"]["maps"]["atr"] == one.table and found["converted"]["empty"] == one.empty
    assert all(found["IoU"][name] == 0 for name in one.empty)
    kept = [value for name, value in found["IoU"].items() if name not in one.empty]
    assert found["converted"]["mIoU_predicted"] == pytest.approx(np.mean(kept))
    assert found["engine"]["weights"]["labels"] == "atr"
    predicted = np.array(found["confusion"]).sum(0)
    assert not predicted[[name in one.empty for name in table_of("mhp-v1").labels.names]].any()
    if mode == "whole":
        text = run(eval_command, *arguments).stdout
        assert "at source size, logits from the network's own input size" in text
        assert f"mIoU of the {len(kept)} classes that the network predicts" in text


def test_a_network_without_a_table_is_refused(weights, small, packed, tmp_path):
    file = tmp_path / "parts.json"
    file.write_text(json.dumps({"name": "parts", "classes": ["background", *(f"part {k}" for k in range(17))]}))
    done = run(eval_command, "--data", packed, "--checkpoint", weights, "--split", "val", "--labels", file)
    assert done.exit_code == 2 and "no class of parts has a counterpart in mhp-v1" in done.output


def test_label_sets_of_weights_that_are_not_known(weights, tmp_path):
    with pytest.raises(OptionError, match="lip has 20 classes; expected 18"):
        open_trained(weights, {}, hints=Hints(labels="lip"))
    tensors = torch.load(weights, weights_only=True)["state_dict"]
    for name in ("decoder.conv4", "fushion.3"):
        for kind in ("weight", "bias"):
            tensors[f"module.{name}.{kind}"] = tensors[f"module.{name}.{kind}"][:13].clone()
    torch.save({"state_dict": tensors}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="SCHP's weights with 13 outputs, and no label set") as caught:
        open_trained(tmp_path / "a.pth", {})
    assert "Pass --labels" in caught.value.remedy
    engine = open_trained(tmp_path / "a.pth", {}, hints=Hints(labels="viton-13"))
    facts = engine.describe()["weights"]
    assert label_table_of(engine) is table_of("viton-13") and facts["name"] == "schp"
    assert facts["licence"] == facts["source"] == "not known to mhp"


@pytest.mark.parametrize("given", [{"model": "psp"}, {"classes": 18}, {"engine": "mxnet"}])
def test_options_that_the_weights_determine_are_refused(given):
    assert foreign_config({"engine": "torch", "base_size": 64}, table_of("atr")).view.base_size == 64
    with pytest.raises(OptionError, match="for another program's weights") as caught:
        foreign_config(given, table_of("atr"))
    assert caught.value.remedy == f"Omit --{next(iter(given))}; the weights say it."


def test_mhps_own_weights_take_no_label_set(tmp_path):
    path = tmp_path / "a.pth"
    torch.save({"conv.weight": torch.zeros(3)}, path)
    with pytest.raises(OptionError, match="bare weights") as caught:
        open_trained(path, {}, hints=Hints(labels="lip"))
    assert "pass --model, --backbone and --classes" in caught.value.remedy
    with pytest.raises(CheckpointError, match="missing"):
        open_trained(tmp_path / "b.pth", {}, hints=Hints(labels="lip"))
    path.with_suffix(".json").write_text("{}")
    with pytest.raises(OptionError, match="the network describes itself"):
        open_trained(path, {}, hints=Hints(labels="lip"))
