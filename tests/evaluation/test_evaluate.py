"""Evaluation in its three modes, compared with slow twins, one image at a time; extreme sizes."""

from __future__ import annotations

import json
from dataclasses import replace

import naive_metrics
import numpy as np
import pytest
from folder import PARTS, encode, photo, write_list
from loading import open_loader
from networks import ByColour, BySide

import mhpdata
from mhpdata import Choose
from mhpdata.errors import EngineError, ImageError, OptionError, RecordError
from mhpdata.images.nearest_pixel import resize_labels
from mhpdata.images.resize import resize_image
from mhpdata.images.size import packed_size
from mhpdata.labels import MHP_V1
from mhpdata.masks.merge import merge
from mhpdata.options import OVERLAPS
from mhpmodels.evaluation.evaluate import evaluate, validate
from mhpmodels.evaluation.metrics import Confusion
from mhpmodels.evaluation.results import table
from mhpmodels.evaluation.truth import merged_labels, person_runs, true_persons
from mhpmodels.inference.pieces import LARGEST, SCALES, Inference, input_size
from mhpmodels.inference.rescale import labels_at

SIZES = [(61, 83), (30, 30), (16, 40), (200, 33), (5, 3), (40, 16), (1, 9), (9, 1)]
"""Sizes of the val images: larger and smaller than the crop of 32, square, one pixel."""


def write_dataset(root, sizes=SIZES):
    """Write the same images for every split; persons overlap with different labels, and labels reach every edge."""
    for name in ("images", "annotations"):
        (root / name).mkdir(parents=True)
    names = [f"{i:04d}" for i in range(1, 2 * len(sizes) + 1)]
    write_list(root / "train_list.txt", ["9001", "9002", "9003"])
    write_list(root / "val_list.txt", names[: len(sizes)])
    write_list(root / "test_list.txt", names[len(sizes) :])
    rng = np.random.default_rng(0)
    for i, name in enumerate([*names, "9001", "9002", "9003"]):
        size = sizes[i % len(sizes)]
        again = 0 if name == "9001" else i  # a copy of the first val image
        (root / "images" / f"{name}.jpg").write_bytes(encode(".jpg", photo(again, size)))
        for person in (1, 2):
            mask = rng.choice([0, *PARTS], size).astype(np.uint8)
            (root / "annotations" / f"{name}_02_{person:02d}.png").write_bytes(encode(".png", mask))
    return root


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Return {size: folder}: packed at short side 32 by the rule "last", and at source size."""
    root = tmp_path_factory.mktemp("evaluate")
    source = write_dataset(root / "LV-MHP-v1")
    folders = {}
    for size in 32, 0:
        folders[size] = root / f"rec-{size}"
        mhpdata.pack(source, folders[size], size=size, overlap="last", image="raw", workers=1)
    return folders


def inference(**options):
    return Inference(**{"predict": ByColour(), "classes": 19, "multiple": 8, **options})


def alone(image):
    """Return the labels of each pixel by itself."""
    return ByColour(19, 1)(image[None])[0]


def expected(pairs):
    """Return the slow twins' figures for (predicted, labels)."""
    matrix = np.zeros((19, 19), int)
    for predicted, labels in pairs:
        matrix += naive_metrics.confusion(predicted, labels, 19)
    return matrix.tolist()


def check(found, pairs):
    matrix = expected(pairs)
    assert found.confusion.matrix.tolist() == matrix
    assert found.confusion.pix_acc == float(naive_metrics.pix_acc(matrix))
    assert found.confusion.miou == pytest.approx(float(naive_metrics.miou(matrix)), rel=1e-14)


@pytest.mark.parametrize("packed_at", [32, 0])
def test_whole_images_at_the_short_side(packed, packed_at):
    found = evaluate(inference(), packed[packed_at], mode="whole", size=32)
    pairs = []
    for sample in mhpdata.open(packed[packed_at], "val"):
        size = packed_size(*sample.record.source_size, 32)
        merged = merge(sample.masks, "last").labels
        pairs.append((alone(resize_image(sample.image, size)).argmax(0), resize_labels(merged, size)))
        if packed_at == 32:
            np.testing.assert_array_equal(sample.labels, pairs[-1][1])
    check(found, pairs)
    assert (found.images, found.mode, found.size, found.in_pieces, found.seen) == (len(SIZES), "whole", 32, 0, 1)
    assert found.milliseconds > 0


@pytest.mark.parametrize("packed_at", [32, 0])
def test_source_size_labels_are_as_annotated(packed, packed_at):
    found = evaluate(inference(), packed[packed_at], mode="source", size=32, threads=2)
    pairs = []
    for sample, size in zip(mhpdata.open(packed[packed_at], "val"), SIZES, strict=True):
        assert sample.record.source_size == size
        logits = alone(resize_image(sample.image, packed_size(*size, 32)))
        labels = labels_at(logits, size) if logits.shape[1:] != size else logits.argmax(0)
        pairs.append((labels, merge(sample.masks, "last").labels))
    check(found, pairs)
    assert found.confusion.labelled == sum(h * w for h, w in SIZES)


def test_centre_crops_are_what_training_validates(packed):
    found = evaluate(inference(), packed[32], mode="crop", size=32, batch_size=3)
    options = {"view": mhpdata.CentreCrop(32), "threads": 1}
    told = []
    again = validate(ByColour(), open_loader(packed[32], "val", 5, **options), 19, told.append)
    assert (found.confusion.matrix == again.matrix).all() and told == [5, 3]
    pairs = []
    for batch in open_loader(packed[32], "val", 1, dtype="uint8", **options):
        pairs.append((alone(batch.images[0]).argmax(0), batch.labels[0]))
    check(found, pairs)
    assert found.confusion.labelled == len(SIZES) * 32 * 32, "a centre crop has no padding"


@pytest.mark.parametrize("mode", ["crop", "whole", "source"])
def test_several_scales_and_mirror_images(packed, mode):
    options = {"scales": SCALES, "mirror": True, "flip_pairs": MHP_V1.flip_pairs}
    around = inference(**options)
    found = evaluate(around, packed[32], mode=mode, size=32)
    assert found.multi_scale
    pairs = []
    for sample in mhpdata.open(packed[32], "val"):
        if mode == "crop":
            continue
        scores = around(sample.image)
        predicted = scores.argmax(0) if mode == "whole" else labels_at(scores, sample.record.source_size)
        pairs.append((predicted, sample.labels if mode == "whole" else merge(sample.masks, "last").labels))
    if mode == "crop":
        for batch in mhpdata.Loader(
            packed[32], "val", 1, view=mhpdata.CentreCrop(32), output=mhpdata.Output(dtype="uint8")
        ):
            pairs.append((around(batch.images[0]).argmax(0), batch.labels[0]))
    check(found, pairs)


def test_an_image_too_large_for_one_piece_is_counted(packed):
    found = evaluate(inference(window=64), packed[32], mode="whole", size=32)
    whole = evaluate(inference(), packed[32], mode="whole", size=32)
    assert (found.confusion.matrix == whole.confusion.matrix).all()
    assert found.in_pieces == sum(max(packed_size(*size, 32)) > 64 for size in SIZES) > 0
    assert "scored in windows" in table(found)


def test_protocols_and_copies(packed):
    one = evaluate(inference(), packed[32], size=32, choose=Choose(protocol="gluoncv"))
    assert one.images == len(SIZES) - 1 and one.seen == 0, "the first has the copy"
    two = evaluate(inference(), packed[32], size=32, choose=Choose(leak_free=True))
    assert two.images == len(SIZES), "val has no copy in test"
    assert "not comparable with GluonCV's published results" in table(one)
    assert "1 of these images has a byte-identical copy in train" in table(two)
    three = evaluate(inference(), packed[32], size=32, choose=Choose(unseen=True))
    assert (three.images, three.seen) == (len(SIZES) - 1, 0)
    train = evaluate(inference(), packed[32], "train", size=32, choose=Choose(leak_free=True))
    assert train.images == 2 and train.seen == 0


def test_a_network_with_fewer_outputs_never_says_the_rest(packed):
    """Checkpoints of GluonCV's MHP recipe have 18 channels for labels 0 to 18."""
    found = evaluate(Inference(ByColour(11), 11, 8), packed[32], size=32)
    assert found.confusion.matrix[:, 11:].sum() == 0 < found.confusion.matrix[11:].sum()
    assert (found.confusion.iou[11:] == 0).all() and len(found.confusion.iou) == 19
    assert " 11 face            0.0000  no network output" in table(found).splitlines()
    with pytest.raises(OptionError, match=r"the network: has 20 outputs; expected at most 19"):
        evaluate(Inference(ByColour(20), 20, 8), packed[32], size=32)


def test_text_and_json_say_the_same(packed):
    found = evaluate(Inference(BySide(), 19, 8), packed[32], size=32)
    content = json.loads(json.dumps(found.as_dict()))
    assert content["pixAcc"] == found.confusion.pix_acc and content["mIoU"] == found.confusion.miou
    assert content["IoU"]["left arm"] == found.confusion.iou[14]
    assert content["absent"] == [MHP_V1.names[c] for c in np.flatnonzero(found.confusion.absent)] != []
    assert content["images"] == len(SIZES) and content["protocol"] == "official"
    lines = table(found).splitlines()
    assert f"pixAcc: {content['pixAcc']:.4f}, mIoU: {content['mIoU']:.4f}" in lines
    assert [line.split()[0] for line in lines[2:21]] == [str(c) for c in range(19)]
    assert sum("absent, counts 0" in line for line in lines) == len(content["absent"])


def unlabelled(folder, monkeypatch):
    """Return the packed folder with its records marked as unlabelled."""
    from mhpdata.storage.split import Split

    record = Split.record
    monkeypatch.setattr(
        Split, "record", lambda self, i: replace(record(self, i), runs=None, row_offsets=None, masks=[])
    )


@pytest.mark.parametrize("mode", ["crop", "whole", "source"])
def test_a_split_without_labels_is_an_error(packed, monkeypatch, mode):
    unlabelled(packed, monkeypatch)
    with pytest.raises(OptionError, match="no labels"):
        evaluate(inference(), packed[32], mode=mode, size=32)


def test_validate_of_unlabelled_left_out_and_no_images():
    """Labels of 255 are ignored; a rank without images in the last batch has an empty batch."""
    network = ByColour()
    images = np.zeros((2, 3, 8, 8), np.float32)
    batches = [
        mhpdata.Batch(images, np.full((2, 8, 8), 255, np.uint8), np.array([0, -1])),
        mhpdata.Batch(images[:0], np.zeros((0, 8, 8), np.uint8), np.array([], np.int64)),
        mhpdata.Batch(images, np.zeros((2, 8, 8), np.uint8), np.array([3, 4])),
    ]
    found = validate(network, batches, 19)
    assert found.labelled == 2 * 8 * 8 and len(network.shapes) == 2
    assert validate(network, [], 19).matrix.tolist() == Confusion(19).matrix.tolist()


def test_a_network_without_numbers_is_an_error(packed):
    def network(images):
        return np.full((1, 19, *images.shape[1:3]), np.nan, np.float32)

    for mode in "whole", "source":
        with pytest.raises(
            EngineError, match=r"my\.pt on .*val-00000\.\w+, record 0 \(\w+\): the network returned NaN"
        ):
            evaluate(Inference(network, 19, 8, source="my.pt"), packed[32], mode=mode, size=32)
    with pytest.raises(EngineError, match="NaN"):
        validate(lambda x: np.full((len(x), 19, *x.shape[2:]), np.nan, np.float32), one_batch(), 19)


def one_batch():
    return [mhpdata.Batch(np.zeros((1, 3, 8, 8), np.float32), np.zeros((1, 8, 8), np.uint8), np.array([0]))]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"mode": "all"}, "crop, whole or source"),
        ({"choose": Choose(limit=3)}, "limit: not supported in an evaluation"),
        ({"split": "vall"}, "'vall'"),
        ({"size": -1}, "size"),
    ],
)
def test_wrong_arguments(packed, options, match):
    with pytest.raises((OptionError, ImageError), match=match):
        evaluate(inference(), packed[32], **options)


def test_nothing_to_evaluate_is_an_error(tmp_path):
    source = write_dataset(tmp_path / "MHP", [(40, 40)])
    mhpdata.pack(source, tmp_path / "rec", size=0, workers=1)
    with pytest.raises(OptionError, match="no images"):
        evaluate(inference(), tmp_path / "rec", choose=Choose(protocol="gluoncv"))


def test_sizes_for_the_network():
    assert input_size((600, 800), 768, "x") == packed_size(600, 800, 768) == (768, 1024)
    assert input_size((1, 20), 768, "x") == (768, 15360)
    for narrow in (1, 9000), (9000, 1), (1, 65536), (10, 300):
        with pytest.raises(ImageError, match=r"image 7: .*pixels") as caught:
            input_size(narrow, 768, "image 7")
        assert ("--base-size" in caught.value.remedy) == (narrow == (10, 300))
    assert "pass --base-size 747 or less" in caught.value.remedy
    assert input_size((10, 300), 747, "image 7")
    assert 768 * 15360 <= LARGEST < 768 * 23040


@pytest.mark.parametrize("rule", OVERLAPS)
def test_masks_merged_and_drawn_are_as_annotated_and_damage_is_named(packed, rule):
    sample = mhpdata.open(packed[32], "val")[0]
    masks = person_runs(sample.record, "record 0")
    np.testing.assert_array_equal(merged_labels(masks, rule, SIZES[0]), merge(sample.masks, rule).labels)
    for size in SIZES[0], (7, 300):
        for mask, expected in zip(true_persons(masks, SIZES[0], size), sample.masks, strict=True):
            np.testing.assert_array_equal(mask, resize_labels(expected, size))
    damaged = replace(sample.record, masks=[sample.record.masks[0], b"no mask"])
    with pytest.raises(RecordError, match="record 0, mask of person 2"):
        person_runs(damaged, "record 0")
