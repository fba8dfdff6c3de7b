"""Pretrained backbones from a file or the store; another depth or network is rejected."""

from __future__ import annotations

import hashlib
import zipfile

import numpy as np
import pytest

from mhpdata.errors import CheckpointError, EngineError
from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import open_engine
from mhpmodels.files.params import to_gluon_names, write_params
from mhpmodels.networks.architecture import Architecture, build_network

torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")

from torch_tiny import CLASSES, config  # noqa: E402

from mhpmodels.engines.torch import backbone  # noqa: E402


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """Return a resnet18 with GluonCV's names and a classifier, as in its store."""
    torch.manual_seed(5)
    network = build_network(Architecture("psp", "resnet18", CLASSES), dropout=0.0)
    state = {n: t.numpy() for n, t in network.state_dict().items() if n.partition(".")[0] in network.base_names}
    path = tmp_path_factory.mktemp("store") / "resnet18.params"
    write_params(path, to_gluon_names({**state, "fc.weight": np.zeros((10, 512), np.float32)}))
    return path, state


def check_pretrained(source, state):
    engine = open_engine(TrainConfig.of(engine="torch", backbone="resnet18", crop_size=32, pretrained_base=source))
    for name, tensor in engine._network.state_dict().items():
        if name in state and "num_batches" not in name:
            np.testing.assert_array_equal(tensor.numpy(), state[name])
    engine.close()


def test_a_backbone_from_a_file(pretrained):
    check_pretrained(str(pretrained[0]), pretrained[1])


def test_a_backbone_of_another_depth(pretrained):
    with pytest.raises(CheckpointError, match=r"resnet34_v1b"):
        open_engine(
            TrainConfig.of(engine="torch", backbone="resnet34", crop_size=32, pretrained_base=str(pretrained[0]))
        )


def test_a_network_of_ones_own_loads_its_own_backbone(pretrained):
    with pytest.raises(EngineError, match="user-defined network"):
        open_engine(config(pretrained_base=str(pretrained[0])))


def test_a_backbone_from_the_store(pretrained, tmp_path, monkeypatch):
    """The file is downloaded once, from a local folder as repository."""
    path, state = pretrained
    digest = hashlib.sha1(path.read_bytes()).hexdigest()
    monkeypatch.setitem(backbone.STORE, "resnet18", ("resnet18_v1b", digest))
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MXNET_GLUON_REPO", tmp_path.as_uri() + "/")
    with pytest.raises(EngineError, match=r"cannot be downloaded .* extract resnet18_v1b-"):
        check_pretrained("store", state)
    folder = tmp_path / "gluon" / "models"
    folder.mkdir(parents=True)
    name = f"resnet18_v1b-{digest[:8]}"
    with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
        archive.write(path, f"{name}.params")
    check_pretrained("store", state)
    (folder / f"{name}.zip").unlink()
    check_pretrained("store", state)
    assert [p.name for p in (tmp_path / "home" / "models").iterdir()] == [f"{name}.params"]
    (tmp_path / "home" / "models" / f"{name}.params").write_bytes(b"other")
    with pytest.raises(EngineError, match="SHA-1"):
        check_pretrained("store", state)
