"""Evaluation and prediction with real networks give the labels and figures of GluonCV from the same weights."""

from __future__ import annotations

import gc
import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from folder import write_folder

import mhpdata
from mhpdata import Choose
from mhpdata.labels import MHP_V1
from mhpmodels.engines.engine import installed
from mhpmodels.evaluation.evaluate import evaluate
from mhpmodels.prediction.options import Options
from mhpmodels.prediction.predict import predict_split
from mhpmodels.prediction.trained import inference_of, open_trained

pytestmark = [
    pytest.mark.skipif("mxnet" not in installed(), reason="MXNet and GluonCV are not installed here"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # raised by MXNet, at its import and later
]


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Pack two val images of 64 x 96 at 72, where the long side is not a multiple of 32."""
    root = tmp_path_factory.mktemp("gluoncv")
    write_folder(root / "LV-MHP-v1", images=12, size=(66, 96))
    mhpdata.pack(root / "LV-MHP-v1", root / "rec", size=72, image="raw", workers=1)
    assert mhpdata.open(root / "rec", "val")[0].labels.shape == (72, 104)
    return root / "rec"


@pytest.fixture(scope="module")
def mx():
    return importlib.import_module("mhpmodels.engines.mxnet.libraries").mx


@pytest.fixture(scope="module", params=["icnet", pytest.param("psp", marks=pytest.mark.slow)])
def networks(request, mx, tmp_path_factory):
    """Return an engine with a .params file of GluonCV, and GluonCV's own network: (N, 3, H, W) to logits."""
    gc.collect()  # free the networks of the previous parameter
    zoo = importlib.import_module("gluoncv.model_zoo.segbase")
    options = {"backbone": "resnet50", "pretrained_base": False, "crop_size": 64, "aux": False}
    mx.random.seed(1)
    network = zoo.get_segmentation_model(request.param, dataset="mhpv1", **options)
    network.initialize(force_reinit=True)  # GluonCV has initialised only its heads
    network.predict(mx.nd.zeros((1, 3, 64, 64)))  # the first call determines the shapes
    path = tmp_path_factory.mktemp("weights") / "random.params"
    network.save_parameters(str(path))

    def theirs(images):
        return network.predict(mx.nd.array(images)).asnumpy()

    engine = open_trained(path, {"model": request.param, "crop_size": 64, "base_size": 72, "engine": "mxnet"})
    yield engine, theirs
    engine.close()


def as_gluoncv_takes_it(mx, image):
    """Apply GluonCV's ToTensor and Normalize."""
    transforms = mx.gluon.data.vision.transforms
    steps = [transforms.ToTensor(), transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])]
    return transforms.Compose(steps)(mx.nd.array(image, dtype="uint8")).asnumpy()[None]


def test_whole_images_score_as_gluoncvs_network_and_metric_say(mx, networks, packed):
    engine, theirs = networks
    metric = importlib.import_module("gluoncv.utils.metrics.segmentation").SegmentationMetric(19)
    inference = inference_of(engine, MHP_V1.flip_pairs)
    for sample in mhpdata.open(packed, "val"):
        logits = theirs(as_gluoncv_takes_it(mx, sample.image))
        scores = inference(sample.image)
        np.testing.assert_allclose(scores, logits[0], rtol=1e-3, atol=1e-4 * np.abs(logits).max())
        metric.update(mx.nd.array(sample.labels[None], dtype="int32"), mx.nd.array(logits))
        best = np.sort(logits[0], axis=0)
        clear = best[-1] - best[-2] > 1e-3 * np.abs(best).max()
        assert clear.mean() > 0.5
        np.testing.assert_array_equal(scores.argmax(0)[clear], logits[0].argmax(0)[clear])
    found = evaluate(inference, packed, "val", mode="whole", size=72)
    pix_acc, miou = metric.get()
    assert found.confusion.pix_acc == pytest.approx(float(pix_acc), abs=1e-3)
    assert found.confusion.miou == pytest.approx(float(miou), abs=1e-3)


def test_crops_in_batches_are_the_same_crops_one_by_one(networks, packed):
    engine, _ = networks
    one, two = (evaluate(inference_of(engine, ()), packed, mode="crop", size=64, batch_size=n) for n in (1, 2))
    assert one.confusion.labelled == two.confusion.labelled == 2 * 64 * 64
    assert np.abs(one.confusion.matrix - two.confusion.matrix).sum() <= 0.002 * one.confusion.labelled


def test_mirror_images_scales_windows_and_small_sizes_run(networks, packed):
    scaled = inference_of(networks[0], MHP_V1.flip_pairs, multi_scale=True, window=96)
    found = evaluate(
        replace(scaled, scales=(0.5, 1.0)), packed, mode="source", size=72, choose=Choose(protocol="gluoncv")
    )
    assert found.images == 1 and found.in_pieces == 1 and found.confusion.labelled == 66 * 96
    for size in (1, 1), (1, 70), (33, 40):
        scores = inference_of(networks[0], ())(np.zeros((*size, 3), np.uint8))
        assert scores.shape == (19, *size) and np.isfinite(scores).all()


def test_predicted_files_hold_the_network_s_labels(networks, packed, tmp_path):
    image = pytest.importorskip("PIL.Image")
    inference = inference_of(networks[0], MHP_V1.flip_pairs)
    done = predict_split(inference, packed, "val", tmp_path, None, Options(size=72))
    assert [Path(path).name for path in done.labels] == ["0008.png", "0009.png"]
    with image.open(done.labels[0]) as file:
        labels = np.array(file)
    assert labels.shape == (66, 96) and len(np.unique(labels)) > 1
