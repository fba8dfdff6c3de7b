"""Weights of others in their true shapes and files: fetched by name from a mirror, then opened by mhp's commands.

The weights are random; names of files, tensors and fields are those of the published ones.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from folder import encode, photo
from range_server import serving
from training import write_rec

import mhptools.fetch
import mhptools.predict
import mhptools.train
from mhpdata.fetching.published import WEIGHTS
from mhpdata.label_sets.built_in import table_of
from mhpmodels.files import checkpoint
from mhpmodels.files.png import decode_labels
from mhpmodels.files.provenance import WeightFile

torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")
transformers = pytest.importorskip("transformers", reason="transformers is not installed here; environment A has it")

from hub_folders import ATR, write  # noqa: E402
from schp_weights import weight  # noqa: E402

from mhpmodels.networks.hf.library import silent  # noqa: E402
from mhpmodels.networks.schp.network import SCHP  # noqa: E402
from mhpmodels.prediction.trained import label_table_of, open_trained  # noqa: E402

pytestmark = pytest.mark.slow
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZE = (45, 70)
B0 = {"hidden_sizes": [32, 64, 160, 256], "depths": [2, 2, 2, 2], "decoder_hidden_size": 256}
B2 = {"hidden_sizes": [64, 128, 320, 512], "depths": [3, 4, 6, 3], "decoder_hidden_size": 768}
PREPROCESSOR = {
    "do_normalize": True,
    "do_reduce_labels": False,
    "do_resize": True,
    "feature_extractor_type": "SegformerFeatureExtractor",
    "image_mean": list(MEAN),
    "image_std": list(DEVIATION),
    "resample": 2,
    "size": {"height": 512, "width": 512},
}


def call(command, *arguments):
    done = CliRunner().invoke(command.main, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def published(monkeypatch, name, mirror):
    """Serve a folder in place of the publishers, whose checksums give way to those of its files."""
    files = []
    for file in WEIGHTS[name].files:
        path = mirror / file.name.rpartition("/")[2]
        known = {"digest": f"sha256:{digest(path)}"} if file.digest else {}
        files.append(file._replace(size=path.stat().st_size if file.size else 0, **known))
    monkeypatch.setitem(WEIGHTS, name, WEIGHTS[name]._replace(files=tuple(files)))
    with serving(mirror) as server:
        yield server.url


def fetch(monkeypatch, name, mirror, out):
    """Fetch weights by the command; check that all files are the mirror's, under the names of the table."""
    with published(monkeypatch, name, mirror) as url:
        done = call(mhptools.fetch, name, "--accept-licence", "--out", out, "--url", url, "--json")
    found = json.loads(done.stdout)["files"]
    assert [file["path"] for file in found] == [str(out / file.name) for file in WEIGHTS[name].files]
    assert [file["checked"] for file in found] == [bool(file.digest) for file in WEIGHTS[name].files]
    assert [file["sha256"] for file in found] == [
        digest(mirror / file.name.split("/")[-1]) for file in WEIGHTS[name].files
    ]
    assert WEIGHTS[name].licence in done.stderr
    assert sorted(path for path in out.rglob("*") if path.is_file()) == sorted(
        out / file.name for file in WEIGHTS[name].files
    )


def predict(path, tmp_path, classes):
    """Return the label map that mhp predict writes of one image, and what the command prints."""
    (tmp_path / "holiday.jpg").write_bytes(encode(".jpg", photo(0, SIZE)))
    given = ("--no-cuda", "--out", tmp_path / "pred", "--overlay", "--legend", tmp_path / "holiday.jpg")
    done = call(mhptools.predict, "--checkpoint", path, *given)
    return decode_labels((tmp_path / "pred/holiday.png").read_bytes(), "holiday", SIZE, classes), done.stdout


def normalised(image, bgr=False):
    """Return a network's input, float32 (1, 3, H, W), for uint8 RGB (H, W, 3)."""
    mean, deviation = (np.array(one, np.float64) for one in (MEAN, DEVIATION))
    x = (image / 255 - mean) / deviation
    return torch.from_numpy((x[..., ::-1] if bgr else x).transpose(2, 0, 1)[None].astype(np.float32))


def logits_of(path, image):
    """Return the logits of the opened weights, and their label table."""
    engine = open_trained(path, {})
    try:
        return engine.predict(image[None]), label_table_of(engine)
    finally:
        engine.close()


def noise(side):
    return np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)


def labels_of(model, image, size):
    """Return transformers' own label map of an image, at its size."""
    resized = cv2.resize(image, (512, 512), interpolation=cv2.INTER_LINEAR)
    with torch.no_grad():
        logits = model(normalised(resized)).logits
    logits = torch.nn.functional.interpolate(logits, (512, 512), mode="bilinear", align_corners=False)
    return torch.nn.functional.interpolate(logits, size, mode="bilinear", align_corners=False)[0].argmax(0).numpy()


@pytest.mark.parametrize(("name", "labels", "side"), [("schp-lip", "lip", 473), ("schp-atr", "atr", 512)])
def test_schp(name, labels, side, tmp_path, monkeypatch):
    """SCHP as its authors save it, 267 MB: {"state_dict": {"module.NAME": tensor}}."""
    table = table_of(labels)
    classes = len(table.labels.names)
    with torch.device("meta"):
        network = SCHP(classes)
    tensors = {n: torch.from_numpy(weight(n, tuple(t.shape))) for n, t in network.state_dict().items()}
    (file,) = WEIGHTS[name].files
    mirror, out = tmp_path / "mirror", tmp_path / "weights"
    mirror.mkdir()
    torch.save({"state_dict": {f"module.{n}": t for n, t in tensors.items()}}, mirror / file.name)
    # The table has the true size; the rest is the numbering of batches and the zip archive's names.
    assert abs((mirror / file.name).stat().st_size - file.size) < 200_000
    fetch(monkeypatch, name, mirror, out)
    found, said = predict(out / file.name, tmp_path, classes)
    assert f"Network: {name}, {classes} classes of {labels}; input {side} x {side}, pad, BGR" in said
    assert len(np.unique(found)) > 1 and (tmp_path / "pred/pictures/holiday.jpg").is_file()
    logits, known = logits_of(out / file.name, noise(side))
    network = SCHP(classes).eval()
    network.load_state_dict(tensors)
    with torch.no_grad():
        expected = network(normalised(noise(side), bgr=True)).numpy()
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-3)
    assert known is table


def segformer(kind, **fields):
    """Return a network of transformers with random weights, large enough for different labels."""
    with torch.random.fork_rng(devices=[]), silent():
        torch.manual_seed(3)
        model = kind(transformers.SegformerConfig(**fields)).eval()
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=(2 / parameter[0].numel()) ** 0.5)
    return model


def test_segformer_b2(tmp_path, monkeypatch):
    """SegFormer B2 with the 18 classes of ATR, 109 MB; the folder that mhp fetch makes is what mhp predict opens."""
    names = dict(enumerate(ATR))
    kind = transformers.SegformerForSemanticSegmentation
    model = segformer(kind, **B2, id2label=names, label2id={text: label for label, text in names.items()})
    mirror, out = write(tmp_path / "mirror", model, PREPROCESSOR), tmp_path / "weights"
    *_, file = WEIGHTS["segformer_b2_clothes"].files
    assert abs((mirror / "model.safetensors").stat().st_size - file.size) < 100_000
    fetch(monkeypatch, "segformer_b2_clothes", mirror, out)
    found, said = predict(out / "segformer_b2_clothes", tmp_path, 18)
    assert "Network: segformer, 18 classes of atr; input 512 x 512" in said
    image = cv2.imread(str(tmp_path / "holiday.jpg"))[..., ::-1]
    expected = labels_of(model, np.ascontiguousarray(image), SIZE)
    assert len(np.unique(expected)) > 1 and (found == expected).mean() > 0.98  # the resizing of images differs a little
    logits, known = logits_of(out / "segformer_b2_clothes", noise(512))
    with torch.no_grad():
        coarse = model(normalised(noise(512))).logits
    expected = torch.nn.functional.interpolate(coarse, (512, 512), mode="bilinear", align_corners=False).numpy()
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-3)
    assert known is table_of("atr")


def test_mit_b0_begins_a_training(tmp_path, monkeypatch):
    """NVIDIA's encoder, in the file of a classifier of ImageNet's 1000 classes; no preprocessor is fetched with it."""
    model = segformer(transformers.SegformerForImageClassification, **B0, num_labels=1000)
    mirror, out = write(tmp_path / "mirror", model, None), tmp_path / "weights"
    fetch(monkeypatch, "mit-b0", mirror, out)
    folder = out / "mit-b0"
    given = ("--data", write_rec(tmp_path), "--engine", "torch", "--no-cuda", "--model", "segformer", "-j", 1)
    steps = ("--base-size", 64, "--crop-size", 64, "--batch-size", 3, "--epochs", 1, "--optimizer", "adamw")
    for backbone in ("mit_b0", folder):
        run = tmp_path / "runs" / getattr(backbone, "name", backbone)
        network = ("--backbone", backbone, "--pretrained-base", folder)
        call(mhptools.train, *given, *network, *steps, "--lr", 1e-9, "--save-dir", run)
        trained = checkpoint.listing(run)[-1]
        weights = torch.load(trained.weights, weights_only=True)
        encoder = {f"segformer.{name}": tensor for name, tensor in model.segformer.state_dict().items()}
        assert encoder.keys() == {name for name in weights if name.startswith("segformer.")}
        for name, tensor in encoder.items():
            torch.testing.assert_close(weights[name], tensor, rtol=0, atol=1e-6, msg=name)
        (origin,) = trained.provenance
        file = folder / "model.safetensors"
        assert origin.backbone == WeightFile("mit-b0/model.safetensors", file.stat().st_size, digest(file))
    found, _ = predict(run, tmp_path, 19)
    assert found.max() < 19
