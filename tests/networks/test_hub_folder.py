"""Folders in the form of Hugging Face's hub: SegFormer gives transformers' logits; damaged folders are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mhpdata.errors import CheckpointError, OptionError
from mhpdata.images.resize import resize_image
from mhpmodels.config import TrainConfig
from mhpmodels.inference.pieces import input_size
from mhpmodels.networks.known import facts_line
from mhpmodels.networks.preprocessing import Preprocessing

torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")
pytest.importorskip("transformers", reason="transformers is not installed here; environment A has it")

from hub_folders import ATR, PREPROCESSOR, as_pickle, change, rewrite, segformer, write  # noqa: E402
from torch.nn.functional import interpolate  # noqa: E402

from mhpmodels.networks.hf.folder import open_folder, preprocessing_of  # noqa: E402
from mhpmodels.prediction.convert import convert  # noqa: E402
from mhpmodels.prediction.hub import labels_named  # noqa: E402
from mhpmodels.prediction.origin import describe  # noqa: E402
from mhpmodels.prediction.trained import _open_engine, inference_of, label_table_of, open_trained, short_side  # noqa: E402
from mhpmodels.prediction.trained import preprocessing_of as input_of  # noqa: E402


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def model():
    return segformer()


@pytest.fixture
def folder(tmp_path, model):
    return write(tmp_path / "clothes", model)


def theirs(model, x):
    """Return transformers' logits, resized as its image processor does."""
    with torch.no_grad():
        return interpolate(model(x).logits, x.shape[2:], mode="bilinear", align_corners=False)


@pytest.mark.parametrize("size", [(64, 96), (75, 70)])
def test_the_logits_are_those_of_transformers(folder, model, size):
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    expected = theirs(model, x)
    opened = open_folder(folder)
    with torch.no_grad():
        found = opened.network.eval()(x)
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    assert opened.names == ATR and opened.kind == "segformer"


def test_a_folder_predicts_images_with_its_own_normalisation_and_labels(folder, model):
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), np.uint8)
    engine = open_trained(folder, {})
    assert input_of(engine) == Preprocessing((0.5, 0.4, 0.3), (0.2, 0.25, 0.3), size=(64, 96), multiple=32)
    assert label_table_of(engine).name == "atr" and engine.config.network.class_names[9:11] == (
        "left-shoe",
        "right-shoe",
    )
    assert engine.config.network.flip_pairs == ((9, 10), (12, 13), (14, 15))
    mean, deviation = (torch.tensor(PREPROCESSOR[key])[:, None, None] for key in ("image_mean", "image_std"))
    x = (torch.tensor(images).permute(0, 3, 1, 2) / 255 - mean) / deviation
    np.testing.assert_allclose(engine.predict(images), theirs(model, x).numpy(), rtol=0, atol=1e-5)
    engine.close()


@pytest.mark.parametrize("form", ["pickle", "shards", "half"])
def test_other_forms_of_weights_give_the_same_network(tmp_path, model, form):
    folder = write(tmp_path / "a", model, **({"max_shard_size": "20KB"} if form == "shards" else {}))
    if form == "pickle":
        as_pickle(folder)
    if form == "half":
        rewrite(folder / "model.safetensors", lambda t: t.update({n: x.half() for n, x in t.items() if x.ndim}))
    assert form != "shards" or len(list(folder.glob("*.safetensors"))) > 2
    own = open_folder(folder).network.state_dict()
    for name, tensor in model.state_dict().items():
        expected = tensor.half().float() if form == "half" and tensor.ndim else tensor
        assert own[f"network.{name}"].dtype == tensor.dtype
        assert torch.equal(own[f"network.{name}"], expected), name


FOREIGN = [
    ({"hidden_sizes": [8, 16, 16, 10**6]}, "hidden_sizes: 1000000; expected a whole number from 1 to 4096"),
    ({"depths": [1, 1, 10**6, 1]}, "depths: 1000000; expected a whole number from 1 to 64"),
    ({"depths": [64] * 4, "hidden_sizes": [4096] * 4}, "describes about"),
    (
        {"patch_sizes": [31] * 4, "hidden_sizes": [2048] * 4, "num_attention_heads": [1] * 4},
        r"describes 1\.\de\+10 weights",
    ),
    ({"hidden_sizes": [9, 16, 16, 25]}, "25 channels for 3 attention heads"),
    ({"depths": "1" * 4}, "expected a list of 4 whole numbers"),
    ({"depths": [1, 1, 1]}, "expected a list of 4 whole numbers"),
    ({"drop_path_rate": float("nan")}, "drop_path_rate: nan; expected a number from 0 to 1"),
    ({"hidden_act": "os.system"}, "hidden_act: os.system; expected gelu, "),
    ({"num_channels": 4}, "num_channels: 4; expected 3"),
    ({"reshape_last_stage": 1}, "reshape_last_stage: 1; expected True"),
    ({"model_type": "llama"}, "model_type is 'llama'; expected segformer"),
    ({"model_type": ["segformer"]}, "model_type is"),
    ({"id2label": {"0": "a", "2": "b"}}, "not numbered in order"),
    ({"id2label": None}, "names no classes"),
    ({"id2label": {str(i): f"c{i}" for i in range(300)}}, "names no classes"),
    ({"hidden_sizes": [8, 16, 16, 48]}, r"is \(.*24.*\), not \(.*48.*\)"),
    ({"depths": [1, 1, 3, 1]}, "is missing"),
]


@pytest.mark.parametrize(("values", "message"), FOREIGN)
def test_a_config_that_cannot_be_right_is_refused(folder, values, message):
    change(folder / "config.json", **values)
    with pytest.raises(CheckpointError, match=message):
        open_folder(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "is not JSON"), ("[" * 10**5, "is not JSON"), ("[]", "is not a JSON object"), (None, "missing")],
)
def test_a_damaged_config_is_refused(folder, text, message):
    path = folder / "config.json"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(CheckpointError, match=message):
        open_folder(folder)


def test_fields_that_would_load_code_do_not_reach_transformers(folder, model):
    change(folder / "config.json", auto_map={"AutoModel": "evil.Model"}, attn_implementation="someone/kernels")
    change(folder / "config.json", quantization_config={"quant_method": "gptq"}, _attn_implementation="someone/kernels")
    assert open_folder(folder).network.network.segformer.config._attn_implementation in ("sdpa", "eager")


def weights(folder):
    return folder / "model.safetensors"


def test_weights_that_cannot_be_right_are_refused(tmp_path, model):
    def broken(name, spoil, message):
        folder = write(tmp_path / name, model)
        spoil(folder)
        with pytest.raises(CheckpointError, match=message):
            open_folder(folder)

    broken("none", lambda f: weights(f).unlink(), "holds no weights")
    broken("cut", lambda f: weights(f).write_bytes(weights(f).read_bytes()[:-100]), "cannot be read")
    broken("empty", lambda f: weights(f).write_bytes(b""), "cannot be read")
    nan = {"decode_head.classifier.bias": torch.full((18,), torch.nan)}
    broken("nan", lambda f: rewrite(weights(f), lambda t: t.update(nan)), "has infinities or NaN")
    broken("short", lambda f: rewrite(weights(f), lambda t: t.pop("decode_head.classifier.bias")), "bias is missing")

    class Code:
        def __reduce__(self):
            return print, ("executed",)

    def pickled(folder):
        weights(folder).unlink()
        torch.save({"a": Code()}, folder / "pytorch_model.bin")

    broken("code", pickled, "pytorch_model.bin: cannot be read")


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", "a/b.safetensors", ".safetensors", "x.bin"])
def test_an_index_names_files_of_the_folder_only(folder, name):
    weights(folder).rename(folder.parent / "model.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": name}}))
    with pytest.raises(CheckpointError, match="names the file"):
        open_folder(folder)


def test_links_lead_only_to_the_cache_of_the_hub(tmp_path, folder):
    outside = tmp_path / "elsewhere"
    for path in sorted(folder.iterdir()):
        path.rename(outside)
        path.symlink_to(outside)
        with pytest.raises(CheckpointError, match=f"{path.name}: is a link to"):
            open_folder(folder)
        path.unlink()
        outside.rename(path)
    snapshot = tmp_path / "models--a--b/snapshots/1234"
    (tmp_path / "models--a--b/blobs").mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for path in folder.iterdir():
        path.resolve().rename(tmp_path / "models--a--b/blobs" / path.name)
        (snapshot / path.name).symlink_to(f"../../blobs/{path.name}")
    assert open_folder(snapshot).names == ATR


def test_the_preprocessing_follows_each_field(tmp_path):
    def of(**values):
        return preprocessing_of({**PREPROCESSOR, **values}, tmp_path)

    assert of(do_resize=False).size is None and of(size=128).size == (128, 128)
    assert of(do_resize=False).short == 0 and of(size=128).short is None
    assert of(do_normalize=False).mean == (0, 0, 0) and of(do_normalize=False).deviation == (1, 1, 1)
    pixels = np.array([[[[10, 100, 250]]]], np.uint8)
    for values, scale in (({"rescale_factor": 1 / 127.5}, 1 / 127.5), ({"do_rescale": False}, 1.0)):
        expected = (pixels[0, 0, 0] * scale - PREPROCESSOR["image_mean"]) / PREPROCESSOR["image_std"]
        np.testing.assert_allclose(of(**values).normalise(pixels)[0, :, 0, 0], expected, rtol=1e-4)
    for values, message in [
        ({"size": {"height": 0, "width": 5}}, "size: .*from 32 to 4096"),
        ({"size": {"shortest_edge": 5}}, "size, shortest_edge: 5.*from 32 to 4096"),
        ({"image_std": [1, 0, 2]}, "image_std: .*above 0"),
        ({"image_mean": [1, 2]}, "image_mean: .*3 numbers"),
        ({"image_std": [1, "a", 2]}, "image_std: a"),
        ({"image_std": [0, 1, 1]}, "image_std: .*numbers above 0"),
        ({"rescale_factor": 0}, "rescale_factor: 0"),
        ({"do_center_crop": True}, "do_center_crop"),
    ]:
        with pytest.raises(CheckpointError, match=message):
            of(**values)


def test_without_a_preprocessor_or_names_the_caller_says_them(tmp_path, model):
    from mhpmodels.prediction.foreign import Hints

    folder = write(tmp_path / "a", segformer([f"LABEL_{i}" for i in range(18)]), None)
    with pytest.raises(CheckpointError, match=r"has no preprocessor_config\.json.*--preprocessing"):
        open_trained(folder, {})
    with pytest.raises(OptionError, match="labels: not given"):
        open_trained(folder, {}, hints=Hints(preprocessing="imagenet"))
    engine = open_trained(folder, {}, hints=Hints(preprocessing="imagenet", labels="atr"))
    assert label_table_of(engine).name == "atr"
    engine.close()
    with pytest.raises(OptionError, match="preprocessing: half"):
        open_trained(write(tmp_path / "b", model), {}, hints=Hints(preprocessing="half"))


def test_names_of_no_known_set_stay_as_they_are(tmp_path):
    table = labels_named(("Background", "Left Wing", "Right Wing"), tmp_path)
    assert table.labels.names == ("Background", "Left Wing", "Right Wing")


@pytest.mark.parametrize(
    ("values", "short", "line"),
    [
        ({"size": {"shortest_edge": 64, "longest_edge": 640}}, 64, "input short side 64, multiples of 32"),
        ({"do_resize": False}, 0, "input of the image's own size, multiples of 32"),
    ],
)
def test_images_without_a_fixed_size_go_in_as_the_folder_says(tmp_path, model, values, short, line):
    engine = open_trained(write(tmp_path / "a", model, {**PREPROCESSOR, **values}), {})
    assert short_side(engine, None) == short and short_side(engine, 100) == 100
    assert line in facts_line(engine.describe()["weights"])
    image = np.random.default_rng(0).integers(0, 256, (128, 192, 3), np.uint8)
    size = input_size(image.shape[:2], short, "a") if short else image.shape[:2]
    assert size == ((64, 96) if short else (128, 192))
    pixels = resize_image(image, size)
    found = inference_of(engine, ())(pixels)
    x = (pixels / 255 - PREPROCESSOR["image_mean"]) / PREPROCESSOR["image_std"]
    expected = theirs(model, torch.tensor(x.transpose(2, 0, 1)[None], dtype=torch.float32))
    np.testing.assert_allclose(found, expected[0].numpy(), rtol=1e-4, atol=1e-4)
    engine.close()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_one_file_of_a_folder_is_no_network(folder, name):
    with pytest.raises(CheckpointError, match=f"{name}: is one file .*Pass the folder: {folder}"):
        open_trained(folder / name, {})


def test_a_folder_is_neither_converted_nor_described(folder, tmp_path):
    for use in (lambda: describe(folder), lambda: convert(folder, tmp_path / "a.onnx")):
        with pytest.raises(CheckpointError, match=r"is a folder in the form of Hugging Face.*mhp predict --checkpoint"):
            use()


def test_a_damaged_description_in_a_run_names_the_json_of_the_run(tmp_path):
    described = json.dumps({"model_type": "segformer", "depths": [0, 1, 1, 1]})
    config = TrainConfig.of(
        model="segformer", backbone="/gone/mit", described=described, engine="torch", contexts=0, batch_size=1, ngpus=0
    )
    with pytest.raises(CheckpointError, match=r"run/best\.json, described, depths: 0"):
        _open_engine(config, tmp_path / "run/best.pt")
