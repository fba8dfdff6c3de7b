"""Folders with Mask2Former: labels are those of transformers' post-processing; queries of its persons are persons."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")
pytest.importorskip("transformers", reason="transformers is not installed here; environment A has it")

from hub_folders import PREPROCESSOR, change, write  # noqa: E402
from mask2former_tiny import OPTIONS, inner, varied  # noqa: E402

from mhpdata.errors import CheckpointError, OptionError  # noqa: E402
from mhpmodels.networks.hf.folder import open_folder, preprocessing_of  # noqa: E402
from mhpmodels.networks.mask2former.network import Mask2Former, build_mask2former  # noqa: E402
from mhpmodels.networks.mask2former.scores import person_maps  # noqa: E402
from mhpmodels.prediction.trained import inference_of, label_table_of, open_trained  # noqa: E402

NAMES = ("background", "person", "hat", "hair", "bag")


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def model(names=NAMES):
    labels = dict(enumerate(names))
    theirs = inner(id2label=labels, label2id={name: label for label, name in labels.items()}, num_labels=len(names))
    varied(theirs.class_predictor, theirs.model.transformer_module.decoder)
    return theirs


def test_labels_and_persons_are_those_of_transformers(tmp_path):
    from transformers import Mask2FormerImageProcessorPil

    theirs = model()
    size = {"height": 384, "width": 384}  # the size of transformers' semantic inference
    engine = open_trained(write(tmp_path / "parts", theirs, {**PREPROCESSOR, "size": size}), {})
    images = np.random.default_rng(0).integers(0, 256, (1, 384, 384, 3), np.uint8)
    mean, deviation = (np.array(PREPROCESSOR[name], np.float32) for name in ("image_mean", "image_std"))
    x = torch.from_numpy((images / np.float32(255) - mean) / deviation).permute(0, 3, 1, 2).contiguous()
    with torch.no_grad():
        expected = theirs(x)
    (segments,) = Mask2FormerImageProcessorPil().post_process_semantic_segmentation(expected)
    found = engine.predict_persons(images)
    assert found.shape == (1, len(NAMES) + 2, 384, 384) and len(segments.unique()) > 1
    assert np.mean(found[0, :-2].argmax(0) != segments.numpy()) < 1e-4, "up to rounding of the normalisation"
    np.testing.assert_array_equal(engine.predict(images), found[:, :-2])
    probability = expected.class_queries_logits[0].softmax(-1)[:, 1]
    maps = person_maps(probability, expected.masks_queries_logits[0], (384, 384)).numpy()
    assert np.mean(maps[0] != found[0, -2]) < 1e-4
    assert label_table_of(engine).labels.names == NAMES
    inference = inference_of(engine, (), persons=True)
    fitted = inference(np.zeros((50, 70, 3), np.uint8))
    assert fitted.shape == (len(NAMES) + 2, 50, 70)
    assert set(np.unique(fitted[-2])) <= set(range(13)), "owners are numbers of persons, not interpolated"
    engine.close()


def test_without_a_class_of_persons_there_are_only_labels(tmp_path):
    folder = write(tmp_path / "parts", model(("background", "face", "hat", "hair", "bag")))
    engine = open_trained(folder, {})
    with pytest.raises(OptionError, match="predicts labels only"):
        inference_of(engine, (), persons=True)
    assert inference_of(engine, ())(np.zeros((64, 64, 3), np.uint8)).shape == (5, 64, 64)
    engine.close()


def test_a_backbone_is_loaded_from_a_classifier(tmp_path):
    from transformers import ConvNextV2Config, ConvNextV2ForImageClassification

    fields = {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]}
    theirs = ConvNextV2ForImageClassification(ConvNextV2Config(**fields))
    folder = write(tmp_path / "base", theirs, None)
    from mhpmodels.hub_folder import read_config

    network = build_mask2former(str(folder), 3, None, read_config(folder))
    own = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.load_base(str(folder))
    given = {f"encoder.{name.removeprefix('convnextv2.')}": t for name, t in theirs.state_dict().items()}
    loaded = network.state_dict()
    same = [name for name in loaded if name in given]
    assert len(same) > 40 and all(torch.equal(loaded[name], given[name]) for name in same)
    stem = "encoder.embeddings.patch_embeddings.weight"
    assert stem in same and not torch.equal(own[stem], given[stem])
    assert all(torch.equal(own[name], loaded[name]) for name in loaded if name not in given)


def test_a_whole_network_begins_another_one_with_other_classes(tmp_path):
    folder = write(tmp_path / "parts", model(), None)
    network = Mask2Former(inner(seed=1, num_labels=9), 8, 8)
    own = network.class_predictor.weight.clone()
    network.load_base(str(folder))
    expected = open_folder(folder).network.state_dict()
    loaded = {name: t for name, t in network.state_dict().items() if not name.startswith("class_predictor.")}
    assert all(torch.equal(expected[name], tensor) for name, tensor in loaded.items())
    assert torch.equal(network.class_predictor.weight, own)
    with pytest.raises(CheckpointError, match=r"is missing|is \("):
        Mask2Former(inner(num_queries=7), 4, 4).load_base(str(folder))


def test_what_a_folder_must_not_ask_for(tmp_path):
    folder = write(tmp_path / "parts", model())
    for values, message in (
        ({"hidden_dim": 33}, "hidden_dim: 33; expected a multiple of"),
        ({"num_queries": 10**6}, "num_queries"),
        (
            {
                **dict.fromkeys(("hidden_dim", "feature_size", "mask_feature_size"), 2048),
                "decoder_layers": 64,
                "dim_feedforward": 8192,
            },
            r"describes \d.* weights",
        ),
        ({"backbone_config": None}, "has no backbone_config"),
        ({"backbone_config": {"model_type": "resnet"}}, "model_type is 'resnet'"),
        ({"backbone_config": {**OPTIONS["backbone_config"], "hidden_sizes": [8, 8, 16, 32]}}, "does not fit"),
    ):
        text = (folder / "config.json").read_text()
        change(folder / "config.json", **values)
        with pytest.raises(CheckpointError, match=message):
            open_trained(folder, {})
        (folder / "config.json").write_text(text)
    open_trained(folder, {}).close()


def test_a_shortest_edge_leaves_the_size_to_mhp():
    given = {**PREPROCESSOR, "size": {"shortest_edge": 800, "longest_edge": 1333}, "size_divisor": 32}
    found = preprocessing_of(given, "here")
    assert found.size is None and found.multiple == 32
