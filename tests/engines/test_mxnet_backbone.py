"""The backbones of the MXNet engine: all of GluonCV's, random or pretrained."""

from __future__ import annotations

import math
from importlib import import_module

import numpy as np
import pytest

from mhpdata.errors import CheckpointError, EngineError
from mhpmodels.engines.engine import installed, open_engine

if "mxnet" not in installed():
    pytest.skip("MXNet is not installed here; environment A has it", allow_module_level=True)

from mxnet_small import SIZE, batch, config, weights

from mhpmodels.engines.mxnet.backbone import CHANNELS
from mhpmodels.engines.mxnet.libraries import mx
from mhpmodels.engines.mxnet.network import HEADS


@pytest.fixture(scope="module", params=SIZE)
def engine(request):
    engine = open_engine(config(request.param))
    yield engine
    engine.close()


@pytest.mark.parametrize(("model", "backbone"), [("psp", "resnet34"), ("icnet", "resnest50")])
def test_other_backbones_train(model, backbone):
    engine = open_engine(config(model, backbone=backbone))
    step = engine.train_step(*batch(SIZE[model]), 0.001, 0)
    assert step.applied and math.isfinite(step.loss)
    engine.close()


@pytest.mark.slow
@pytest.mark.parametrize("backbone", CHANNELS)
def test_every_backbone_predicts(backbone):
    for model in SIZE:
        engine = open_engine(config(model, backbone=backbone), training=False)
        assert np.isfinite(engine.predict(batch(SIZE[model], 1)[0])).all()
        engine.close()


def test_a_pretrained_backbone_from_a_file(engine, tmp_path):
    alone = import_module("gluoncv.model_zoo.resnetv1b").resnet18_v1b(dilated=True)
    alone.initialize(mx.init.Xavier())
    alone(mx.nd.zeros((1, 3, 32, 32)))
    alone.save_parameters(str(tmp_path / "resnet18_v1b.params"))
    theirs = {name: parameter.data().asnumpy() for name, parameter in alone._collect_params_with_prefix().items()}
    taught = open_engine(engine.config.changed(pretrained_base=str(tmp_path / "resnet18_v1b.params")))
    ours, drawn = weights(taught), weights(engine)
    backbone = [name for name in ours if not name.startswith(HEADS[engine.config.network.model])]
    assert set(backbone) == {name for name in theirs if not name.startswith("fc.")}
    assert all((ours[name] == theirs[name]).all() for name in backbone)
    assert any((ours[name] != drawn[name]).any() for name in backbone)
    taught.close()


def test_a_backbone_that_is_another(engine, tmp_path):
    path = tmp_path / "whole.params"
    engine.save(path)
    with pytest.raises(CheckpointError, match="Pass a file of resnet34_v1b"):
        open_engine(engine.config.changed(backbone="resnet34", pretrained_base=str(path)))
    with pytest.raises(CheckpointError, match=r"nowhere\.params: missing; expected"):
        open_engine(engine.config.changed(pretrained_base=str(tmp_path / "nowhere.params")))


def test_a_store_that_cannot_be_reached(monkeypatch):
    def get_model_file(name, tag):
        raise OSError(f"no network for {name}")

    monkeypatch.setattr(import_module("gluoncv.model_zoo.model_store"), "get_model_file", get_model_file)
    with pytest.raises(
        EngineError, match=r"resnet18_v1b cannot be downloaded.*no network.*extract resnet18_v1b-\w+\.params"
    ):
        open_engine(config("psp", pretrained_base="store"))
    predicting = open_engine(config("psp", pretrained_base="store"), training=False)
    predicting.close()
