"""--pretrained: from a mirror of GluonCV's store with random weights to predictions, evaluation and a new run."""

from __future__ import annotations

import hashlib
import json
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner
from folder import encode, photo, write_folder
from range_server import serving

import mhpdata
import mhpmodels.training.train
import mhptools.eval
import mhptools.fetch
import mhptools.predict
import mhptools.train
from mhpdata.errors import CheckpointError, OptionError
from mhpdata.fetching.published import WEIGHTS
from mhpmodels.files.params import to_gluon_names, write_params
from mhpmodels.networks.architecture import Architecture, build_network
from mhpmodels.prediction.pretrained import PRETRAINED, find_pretrained

torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")

NAME = PRETRAINED[0]


def publish(folder, backbone, monkeypatch):
    """Write an archive of the store with random weights, and their digest into the table."""
    torch.manual_seed(2)
    network = build_network(Architecture("icnet", backbone, 19), dropout=0.0)
    arrays = {name: tensor.numpy() for name, tensor in network.state_dict().items() if "num_batches" not in name}
    write_params(folder / "weights", to_gluon_names(arrays))
    digest = hashlib.sha1((folder / "weights").read_bytes()).hexdigest()
    (file,) = WEIGHTS[NAME].files
    file = file._replace(digest=f"sha1:{digest}", name=f"{NAME}-{digest[:8]}.params")
    monkeypatch.setitem(WEIGHTS, NAME, WEIGHTS[NAME]._replace(files=(file,)))
    with zipfile.ZipFile(folder / file.remote_name, "w") as archive:
        archive.write(folder / "weights", file.name)
    (folder / "weights").unlink()
    return network, file.name


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Return the folder that is GluonCV's on this machine; it does not exist yet."""
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


def run(command, *arguments):
    return CliRunner().invoke(command.main, [str(argument) for argument in arguments])


def fetched(tmp_path, store, backbone, monkeypatch):
    (tmp_path / "mirror").mkdir()
    network, name = publish(tmp_path / "mirror", backbone, monkeypatch)
    with serving(tmp_path / "mirror") as server:
        done = run(mhptools.fetch, NAME, "--accept-licence", "--out", store, "--url", server.url)
    assert done.exit_code == 0, done.output
    return network, store / name


def predict(tmp_path, out, *weights):
    (tmp_path / "holiday.jpg").write_bytes(encode(".jpg", photo(0, (64, 80))))
    given = ("--base-size", 64, "--engine", "torch", "--no-cuda", "--out", tmp_path / out, tmp_path / "holiday.jpg")
    done = run(mhptools.predict, *weights, *given)
    assert done.exit_code == 0, done.output
    return (tmp_path / out / "holiday.png").read_bytes()


def test_from_the_store_to_predictions_evaluation_and_training(tmp_path, store, monkeypatch):
    source = write_folder(tmp_path / "LV-MHP-v1", images=8, size=(48, 64))
    mhpdata.pack(source, tmp_path / "rec", size=48)
    missing = run(mhptools.predict, "--pretrained", NAME, "--out", tmp_path / "pred", "--data", tmp_path / "rec")
    assert f"mhp fetch {NAME} --accept-licence --out {store}" in missing.stderr and missing.exit_code == 2
    _, path = fetched(tmp_path, store, "resnet18", monkeypatch)
    own = ("--model", "icnet", "--backbone", "resnet18")
    expected = predict(tmp_path, "given", "--checkpoint", path, *own)
    assert predict(tmp_path, "named", "--pretrained", NAME) == expected
    assert predict(tmp_path, "path", "--pretrained", path) == expected
    data = ("--data", tmp_path / "rec", "--base-size", 64, "--engine", "torch", "--no-cuda")
    results = [
        run(mhptools.eval, *weights, *data, "--json")
        for weights in (("--pretrained", NAME), ("--checkpoint", path, *own))
    ]
    named, given = (json.loads(result.stdout) for result in results)
    assert named["mIoU"] == given["mIoU"] and named["checkpoint"] == given["checkpoint"] == str(path)
    seen = {}

    def stop(config, out, *, weights, **others):
        seen.update(config=config, weights=weights)
        raise OptionError("the test", "has seen enough")

    monkeypatch.setattr(mhpmodels.training.train, "train", stop)
    assert run(mhptools.train, "--pretrained", NAME, *data, "--crop-size", 32).exit_code == 2
    assert seen["weights"] == str(path)
    assert (seen["config"].network.model, seen["config"].network.backbone) == ("icnet", "resnet18")
    twice = run(mhptools.train, "--pretrained", NAME, "--weights", path, *data)
    assert twice.exit_code == 2 and "Omit --weights" in twice.stderr
    twice = run(mhptools.eval, "--pretrained", NAME, "--checkpoint", path, *data)
    assert twice.exit_code == 2 and "either --checkpoint" in twice.stderr


def test_a_wrong_file_an_unknown_name_and_options_that_contradict(tmp_path, store, monkeypatch):
    _, path = fetched(tmp_path, store, "resnet18", monkeypatch)
    with pytest.raises(OptionError, match="backbone: resnet50; expected resnet18"):
        find_pretrained(NAME, {"backbone": "resnet50"})
    with pytest.raises(OptionError, match=f"'other'; expected {NAME}"):
        find_pretrained("other")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=rf"SHA-1 is .*Delete {path}"):
        find_pretrained(NAME)


@pytest.mark.slow
def test_weights_of_the_published_shapes(tmp_path, store, monkeypatch):
    """ICNet with resnet50 and 19 classes: 190 MB through the mirror, and the logits of the network that was written."""
    from mhpmodels.prediction.trained import open_trained

    network, _ = fetched(tmp_path, store, "resnet50", monkeypatch)
    found = find_pretrained(NAME)
    assert found.fields.items() >= {"model": "icnet", "backbone": "resnet50", "classes": 19}.items()
    engine = open_trained(found.path, {**found.fields, "engine": "torch"})
    images = np.random.default_rng(0).normal(0, 1, (1, 3, 64, 64)).astype(np.float32)
    with torch.no_grad():
        (expected,) = network.eval()(torch.from_numpy(images))
    np.testing.assert_allclose(engine.predict(images), expected.numpy(), rtol=1e-4, atol=1e-4)
    engine.close()
