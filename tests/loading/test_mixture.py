"""Several sets in one loader: labels of one set of classes, shares, exact resume, leaks."""

import json
import shutil
from collections import Counter

import numpy as np
import pytest
from folder import write_folder
from loading import open_loader
from releases import SIZE, labels_of, red, write_cihp, write_v2

import mhpdata
from mhpdata import CentreCrop, Mix, Whole
from mhpdata.errors import LeakError, OptionError
from mhpdata.labels import COMMON
from mhpdata.loading.loader import Loader
from mhpdata.loading.weights import UNIT, class_weights, image_weights
from mhpdata.remap import common

OPTIONS = {"batch_size": 4, "base_size": 48, "size": 32, "threads": 2}
V2_IDS = {"train": list(range(101, 110)), "val": [120], "test": [130]}
CIHP_IDS = {"train": list(range(201, 213)), "val": [220], "test": [230]}


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Make {layout: packed folder}: 9, 9 and 12 training images; one of v2 has a scarf and an umbrella."""
    root = tmp_path_factory.mktemp("mixture")
    v2 = write_v2(root / "v2", V2_IDS)
    (v2 / "train" / "parsing_annos" / "105_01_01.png").write_bytes(red(labels_of(3, 50, 51)))
    sources = {
        "v1": write_folder(root / "v1", images=16, size=SIZE, seed=1000),
        "v2": v2,
        "cihp": write_cihp(root / "cihp", CIHP_IDS),
    }
    for name, source in sources.items():
        mhpdata.pack(source, root / "rec" / name, size=0)
    return {name: root / "rec" / name for name in sources}


@pytest.fixture
def sets(packed):
    return [(folder, "train") for folder in packed.values()]


def epoch(loader):
    return [(b.images.tobytes(), b.labels.tobytes(), b.indices.tolist()) for b in loader]


def test_an_epoch_has_every_sample_of_every_set_once(packed, sets):
    ours = open_loader(sets, remap="common", **OPTIONS)
    seen = [int(i) for batch in ours for i in batch.indices]
    counts = [mhpdata.open(folder, "train").manifest.splits["train"].records for folder in packed.values()]
    assert counts == [9, 9, 12] and sorted(seen) == list(range(30))
    assert (ours.classes, ours.flip_pairs) == (COMMON.names, COMMON.flip_pairs)
    assert ours.name(0) == f"{packed['v1']}/train/0001" and ours.name(9) == f"{packed['v2']}/train/101"
    assert ours.name(18) == f"{packed['cihp']}/train/0000201"


def test_labels_are_those_of_the_table_and_swap_sides_after_it(packed, sets):
    plain = {"scales": (1.0, 1.0), "base_size": SIZE[1], "size": 64, "blur_prob": 0.0, "batch_size": 1}
    tables = [common().table(m.layout, m.labels) for m in (mhpdata.open(*one).manifest for one in sets)]
    truth = [(tables[k], sample.labels) for k, one in enumerate(sets) for sample in mhpdata.open(*one)]
    for flip in (0.0, 1.0):
        for batch in open_loader(sets, flip_prob=flip, remap="common", threads=1, **plain):
            table, labels = truth[int(batch.indices[0])]
            expected = table[labels] if not flip else COMMON.mirrored[table[labels[:, ::-1]]]
            np.testing.assert_array_equal(batch.labels[0, : SIZE[0], : SIZE[1]], expected)


def test_a_table_acts_on_a_single_set_too(packed):
    sample = mhpdata.open(packed["cihp"], "val")[0]
    manifest = mhpdata.open(packed["cihp"], "val").manifest
    (batch,) = Loader(packed["cihp"], "val", 1, view=Whole(), mix=Mix(remap="common"))
    np.testing.assert_array_equal(batch.labels[0], common().table("cihp", manifest.labels)[sample.labels])


@pytest.mark.parametrize("options", [{}, {"weights": (1, 2, 3)}, {"weights": (3, 1, 1), "sample": "rare"}])
def test_bytes_do_not_depend_on_threads_and_resume_is_exact(sets, options):
    def make(**more):
        return open_loader(sets, remap="common", seed=5, **{**OPTIONS, **options, **more})

    one, two = make(threads=1), make(threads=3)
    first = epoch(one)
    assert first == epoch(two)
    second = epoch(one)
    assert first != second
    again = make()
    again.set_epoch(1)
    batches = iter(again)
    taken = [next(batches) for _ in range(3)]
    state = again.state_dict()
    del taken, batches
    resumed = make(threads=1)
    resumed.load_state_dict(state)
    assert epoch(resumed) == second[3:]
    ranks = [make(rank=rank, world_size=2, batch_size=2) for rank in range(2)]
    shared = Counter(int(i) for rank in ranks for batch in rank for i in batch.indices)
    assert shared == Counter(i for _, _, indices in first for i in indices)


def test_sets_come_in_proportion_to_their_weights_and_repeats_have_draws_of_their_own(sets):
    ours = open_loader(sets, remap="common", weights=(1, 1, 8), **{**OPTIONS, "batch_size": 30})
    totals = Counter()
    for _ in range(4):
        (batch,) = ours
        indices = batch.indices.tolist()
        counts = Counter(ours.name(i).split("/")[-3] for i in indices)
        assert sum(counts.values()) == 30
        assert [counts[name] for name in ("v1", "v2", "cihp")] == [3, 3, 24]
        totals += Counter(indices)
        images = {image.tobytes() for image in batch.images}
        assert len(images) == 30, "each image twice, with different crops"
    assert all(totals[i] == 8 for i in range(18, 30)), "each of 12 samples twice per epoch"


def test_rare_classes_come_more_often(packed, sets):
    ours = open_loader(packed["v2"], "train", sample="rare", **OPTIONS)
    counts = Counter(int(i) for _ in range(40) for batch in ours for i in batch.indices)
    rare = 4  # 105, the only image with scarf and umbrella
    assert len(counts) == 9 and sum(counts.values()) == 9 * 40
    assert counts[rare] > 1.5 * np.mean([counts[i] for i in range(9) if i != rare])


def test_image_weights_by_hand(packed):
    ours = open_loader(packed["v2"], "train", **OPTIONS)
    found = image_weights(ours._data, ours._plan.samples, True, None)
    # face in 9 of 9 images, 58 in 8, 50 and 51 in 1: the median share is (1/9 + 8/9) / 2
    factor = np.sqrt(0.5 / (1 / 9))
    assert found.tolist() == [UNIT] * 4 + [round(factor * UNIT)] + [UNIT] * 4


def test_sampling_works_without_what_an_older_manifest_lacks(packed, tmp_path):
    rec = shutil.copytree(packed["v2"], tmp_path / "rec")
    (rec / "manifest.json").write_text(_without_counts((rec / "manifest.json").read_text()))
    options = {"sample": "rare", "seed": 3, **OPTIONS}
    assert epoch(open_loader(rec, "train", **options)) == epoch(open_loader(packed["v2"], "train", **options))


def _without_counts(text):
    """Write a manifest like the first mhp: version 1, without image digests and classes of records."""
    content = json.loads(text) | {"version": 1}
    for split in content["splits"].values():
        for shard in split["shards"]:
            del shard["photos"], shard["sources"], shard["classes"]
    return json.dumps(content)


# Class weights.


def test_class_weights_are_enets_with_a_mean_of_one(packed):
    manifest = mhpdata.open(packed["v2"], "train").manifest
    pixels = np.array(manifest.splits["train"].statistics.class_pixels, float)
    p = pixels / pixels.sum()
    expected = 1 / np.log(1.02 + p)
    found = class_weights(packed["v2"])
    assert found.dtype == np.float32 and len(found) == 59
    np.testing.assert_allclose(found, expected / (p * expected).sum(), rtol=1e-6)
    assert (p * found).sum() == pytest.approx(1)
    order = np.argsort(-pixels, kind="stable")
    assert found[51] > found[58] and (np.diff(found[order]) >= 0).all(), "the rarer the heavier"
    assert mhpdata.class_weights is class_weights


def test_class_weights_of_a_mixture(packed, sets):
    found = class_weights(sets, mix=Mix(remap="common", weights=(1, 0.001, 0.001)))
    alone = class_weights(packed["v1"], mix=Mix(remap="common"))
    assert len(found) == len(COMMON)
    present = alone < alone.max()
    np.testing.assert_allclose(found[present], alone[present], rtol=0.05)
    with pytest.raises(OptionError, match="no labelled pixel"):
        class_weights(packed["v2"], "test")


# Incompatible sets and options.


def test_sets_of_different_classes_need_a_table(packed, sets):
    with pytest.raises(OptionError, match="19 classes of mhp-v1 and 59 classes of mhp-v2 and 20 classes of cihp"):
        open_loader(sets, **OPTIONS)
    two = [(packed["v1"], "train"), (packed["v1"], "val")]
    assert len(open_loader(two, **OPTIONS).classes) == 19


@pytest.mark.parametrize("weights", [(1, 1), (1, 1, 0), (1, 1, -1), (1, 1, float("nan"))])
def test_weights_that_are_none(sets, weights):
    with pytest.raises(OptionError, match="number above 0"):
        open_loader(sets, remap="common", weights=weights, **OPTIONS)


def test_options_that_do_not_go_together(packed, sets):
    with pytest.raises(OptionError, match=r"with view=CentreCrop\(\.\.\.\); expected in training only"):
        open_loader(sets, view=CentreCrop(32), remap="common", sample="rare", **OPTIONS)
    with pytest.raises(OptionError, match="'often'; expected all or rare"):
        open_loader(sets, remap="common", sample="often", **OPTIONS)
    with pytest.raises(OptionError, match="no dataset"):
        open_loader([], **OPTIONS)
    with pytest.raises(OptionError, match="1 collections; expected 3, one per set"):
        open_loader(sets, remap="common", names=[["0001"]], **OPTIONS)
    with pytest.raises(OptionError, match=r"no labels in .*v2, test, and labels in other splits"):
        open_loader([(packed["v1"], "train"), (packed["v2"], "test")], remap="common", **OPTIONS)


def test_names_of_each_set(sets):
    ours = open_loader(sets, remap="common", names=[["0002"], None, ["0000212", "0000201"]], **OPTIONS)
    assert sorted(int(i) for batch in ours for i in batch.indices) == [1, *range(9, 18), 18, 29]
    ours = open_loader(sets, remap="common", where=lambda name: name.endswith("05"), **OPTIONS)
    assert sorted(int(i) for batch in ours for i in batch.indices) == [4, 13, 22]


# Leaks.


@pytest.fixture(scope="module")
def leaking(packed, tmp_path_factory):
    """Pack v2 again with its training images 102 and 107 replaced by v1's 0013 (test) and 0010 (val)."""
    root = tmp_path_factory.mktemp("leaks")
    source = packed["v1"].parent.parent
    v2 = shutil.copytree(source / "v2", root / "v2")
    for name, twin in ((102, "0013"), (107, "0010")):
        shutil.copy(source / "v1" / "images" / f"{twin}.jpg", v2 / "train" / "images" / f"{name}.jpg")
    mhpdata.pack(v2, root / "rec", size=0)
    return root / "rec"


def test_an_evaluated_image_of_another_set_in_training_is_an_error_with_the_list(packed, leaking):
    sets = [(packed["v1"], "train"), (leaking, "train")]
    with pytest.raises(
        LeakError, match="2 images shared by training and evaluation splits of other datasets"
    ) as caught:
        open_loader(sets, remap="common", **OPTIONS)
    listed = str(caught.value).splitlines()[1:]
    assert [line.strip() for line in listed] == [
        f"{leaking}, train/102 is {packed['v1']}, test/0013",
        f"{leaking}, train/107 is {packed['v1']}, val/0010",
    ]
    ours = open_loader(sets, remap="common", leaks="skip", **OPTIONS)
    names = {ours.name(int(i)).rsplit("/", 1)[1] for batch in ours for i in batch.indices}
    assert len(names) == 16 and not {"102", "107"} & names


def test_leaks_are_looked_for_in_training_across_folders_only(packed, leaking):
    assert len(open_loader(leaking, "train", **OPTIONS)) == 3
    both = [(packed["v1"], "train"), (leaking, "val")]
    assert len(open_loader(both, remap="common", **OPTIONS)) == 3
    evaluated = [(packed["v1"], "val"), (leaking, "train")]
    assert len(open_loader(evaluated, view=CentreCrop(32), remap="common", **OPTIONS)) == 3
    with pytest.raises(LeakError, match="1 image shared by"):
        open_loader(evaluated, remap="common", **OPTIONS)  # val of v1 is a training split here, its test is not


def test_only_what_is_trained_on_can_leak(packed, leaking):
    sets = [(packed["v1"], "train"), (leaking, "train")]
    kept = [name for name in mhpdata.open(leaking, "train").names if name not in ("102", "107")]
    without = epoch(open_loader(sets, remap="common", leaks="skip", **OPTIONS))
    for subset in (
        {"names": [None, kept]},
        {"names": iter([None, iter(kept)])},
        {"where": lambda name: name not in ("102", "107")},
    ):
        assert epoch(open_loader(sets, remap="common", **subset, **OPTIONS)) == without
    assert len(open_loader(sets, remap="common", limit=10, **OPTIONS)) == 3  # only 101 of the second set
    with pytest.raises(LeakError, match="1 image shared by"):
        open_loader(sets, remap="common", limit=11, **OPTIONS)
    with pytest.raises(LeakError, match="1 image shared by"):
        open_loader(sets, remap="common", names=[None, [*kept, "107"]], **OPTIONS)
    skipping = open_loader(sets, remap="common", leaks="skip", limit=11, **OPTIONS)
    assert sorted(int(i) for batch in skipping for i in batch.indices) == [*range(10), 11]


def test_leaks_are_found_without_hashes_in_the_manifest(packed, leaking, tmp_path):
    old = shutil.copytree(packed["v1"], tmp_path / "old")
    (old / "manifest.json").write_text(_without_counts((old / "manifest.json").read_text()))
    with pytest.raises(LeakError, match="2 images"):
        open_loader([(old, "train"), (leaking, "train")], remap="common", **OPTIONS)
