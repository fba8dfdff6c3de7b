"""An empty split, or a selection without images, is an error everywhere, unless it is requested."""

from __future__ import annotations

import shutil

import pytest
from click.testing import CliRunner
from folder import write_list
from loading import open_loader
from networks import ByColour
from releases import IDS, write_cihp, write_v2
from training import small_config
from verified import edit_manifest

import mhpdata
from mhpdata import CentreCrop
from mhpdata.errors import FolderError, OptionError
from mhpdata.measuring.bench import bench_loader
from mhpmodels.evaluation.evaluate import evaluate
from mhpmodels.inference.pieces import Inference
from mhpmodels.prediction.options import Options
from mhpmodels.prediction.predict import predict_split
from mhpmodels.scoring.score import score
from mhpmodels.training.feed import Feed
from mhptools import pack, verify

SMALL = {"batch_size": 2, "base_size": 48, "size": 32, "threads": 1}


@pytest.fixture(scope="module")
def rec(source, tmp_path_factory):
    """Pack with an empty test split, which mhp 0.1 did by default; read-only."""
    root = shutil.copytree(source, tmp_path_factory.mktemp("empty") / "source")
    write_list(root / "test_list.txt", [])
    mhpdata.pack(root, root.parent / "rec", size=64, workers=1, allow_empty=True)
    return root.parent / "rec"


@pytest.mark.parametrize("write", [write_v2, write_cihp])
def test_a_list_without_images_is_an_error_in_other_layouts(write, tmp_path):
    root = write(tmp_path / "source", {**IDS, "val": []})
    folder = root / ("val/images" if write is write_v2 else "Validation/Images")
    folder.parent.joinpath("parsing_annos" if write is write_v2 else "Category_ids").mkdir()
    if write is write_cihp:
        (folder.parent / "Human_ids").mkdir()
    with pytest.raises(FolderError, match="source: split val is empty; expected at least one image in each split"):
        mhpdata.pack(root, tmp_path / "rec", size=0)
    assert list(mhpdata.pack(root, tmp_path / "rec", size=0, splits=["train", "test"]).splits) == ["train", "test"]


def test_an_empty_list_is_an_error_of_pack_and_verify(source, tmp_path):
    root, out = shutil.copytree(source, tmp_path / "source"), str(tmp_path / "rec")
    (root / "test_list.txt").write_text("")
    run, arguments = CliRunner().invoke, ["--src", str(root)]
    for options in ([], ["--split", "test"], ["--on-error", "skip"]):
        done = run(pack.main, [*arguments, "--out", out, "--size", "64", *options])
        assert done.exit_code == 1 and f"FolderError: {root}: split test is empty" in done.output
        assert "pass --split train --split val; to pack the split without images, pass --allow-empty" in done.output
        assert not (tmp_path / "rec").exists(), "told before anything is written"
    checked = run(verify.main, arguments)
    assert checked.exit_code == 1 and f"FolderError: {root}: split test is empty" in checked.output
    assert run(verify.main, [*arguments, "--allow-empty"]).exit_code == 0
    assert run(pack.main, [*arguments, "--out", out, "--size", "64", "--allow-empty"]).exit_code == 0
    checked = run(verify.main, [out])
    assert checked.exit_code == 1 and "split test is empty; expected at least one record" in checked.output
    assert "Pack again with --overwrite --split train --split val;" in checked.output
    assert run(verify.main, [out, "--allow-empty"]).exit_code == 0


def test_a_list_that_is_missing_leaves_its_split_empty(source, tmp_path):
    root = shutil.copytree(source, tmp_path / "source")
    (root / "test_list.txt").unlink()
    with pytest.raises(FolderError, match=r"missing.* pass --split for each other split, and --on-error skip"):
        mhpdata.pack(root, tmp_path / "rec")
    with pytest.raises(FolderError, match=r"split test has no images, as test_list.txt is missing; expected"):
        mhpdata.pack(root, tmp_path / "rec", on_error="skip")
    assert len(mhpdata.verify_source(root, workers=1).findings) == 1
    mhpdata.pack(root, tmp_path / "rec", size=64, on_error="skip", splits=["train", "val"], workers=1)


def test_a_pack_with_an_empty_split_is_read_where_that_is_not_used(rec):
    assert len(mhpdata.open(rec, "train")) == 5 and len(mhpdata.open(rec, "test", allow_empty=True)) == 0
    assert sum(len(batch.indices) for batch in open_loader(rec, "train", **SMALL)) == 5
    ours = open_loader([(rec, "train"), (rec, "val")], **SMALL)  # they are compared with test, which is empty
    assert sum(len(batch.indices) for batch in ours) == 6


def test_a_manifest_without_splits_is_wrong(rec, tmp_path):
    copy = shutil.copytree(rec, tmp_path / "rec", ignore=shutil.ignore_patterns("*-0*"))
    edit_manifest(copy, lambda content: content["splits"].clear())
    assert "manifest.json: no splits; expected at least one" in mhpdata.verify_packed(copy).text()


EMPTY = r"split: 'test' of .*rec is empty; expected a split with samples\. Pass train or val\."


def test_an_empty_split_is_an_error_to_everybody_who_uses_it(rec, tmp_path):
    inference = Inference(ByColour(), 19, 8)
    (tmp_path / "pred").mkdir()
    for use in (
        lambda: mhpdata.open(rec, "test"),
        lambda: open_loader(rec, "test", **SMALL),
        lambda: open_loader([(rec, "train"), (rec, "test")], **SMALL),
        lambda: mhpdata.class_weights(rec, "test"),
        lambda: bench_loader(rec, "test", threads=(1,)),
        lambda: evaluate(inference, rec, "test", size=32),
        lambda: score(rec, tmp_path / "pred", "test"),
        lambda: predict_split(inference, rec, "test", tmp_path / "out", None, Options(size=32, threads=1)),
    ):
        with pytest.raises(OptionError, match=EMPTY):
            use()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"names": []}, "names: leaves no sample of .*rec, split train; expected at least one. Leave names out"),
        ({"names": iter(())}, "names: leaves no sample"),
        ({"where": lambda name: name == "nobody"}, "where: leaves no sample of .* which have names such as '0001'"),
        ({"names": ["0001"], "where": lambda name: name != "0001"}, "where: leaves no sample"),
        ({"limit": 1, "drop_last": True}, "batch_size: 2, where 1 sample leaves no full batch; .* Pass 1"),
        (
            {"rank": 0, "world_size": 3, "drop_last": True},
            "2, where 5 samples for 3 ranks leave .* on each rank, .* Pass 1 or less",
        ),
        ({"rank": 0, "world_size": 6, "drop_last": True}, "Start at most 5 processes; in Python pass drop_last=False"),
    ],
)
def test_options_that_leave_nothing_are_an_error(rec, options, says):
    with pytest.raises(OptionError, match=says):
        open_loader(rec, "train", **{**SMALL, **options})


def test_nothing_is_given_where_it_is_asked_for(rec):
    assert list(open_loader(rec, "train", limit=0, **SMALL)) == []
    assert len(open_loader(rec, "train", limit=0, drop_last=True, **SMALL)) == 0
    ranks = [open_loader(rec, "train", view=CentreCrop(32), rank=rank, world_size=6, **SMALL) for rank in range(6)]
    given = [[len(batch.indices) for batch in rank] for rank in ranks]
    assert given == [[1]] * 5 + [[0]], "all ranks have as many steps, and together every sample"


def test_a_set_of_which_nothing_is_left_is_an_error(rec, source, tmp_path):
    """Each of several sets must contribute images, both by names and after images evaluated elsewhere are dropped."""
    other = shutil.copytree(source, tmp_path / "source")
    write_list(other / "train_list.txt", ["0006"])  # the images of val in rec
    mhpdata.pack(other, tmp_path / "other", size=64, workers=1, splits=["train"])
    sets = [(rec, "train"), (tmp_path / "other", "train")]
    with pytest.raises(OptionError, match=r"leaks: leaves no sample of .*other, split train; .* Leave this set out"):
        open_loader(sets, leaks="skip", **SMALL)
    with pytest.raises(OptionError, match=r"names: leaves no sample of .*other, split train"):
        open_loader(sets, names=[None, []], **SMALL)
    assert len(open_loader(sets[:1], leaks="skip", **SMALL)) == 3


def test_training_says_which_option_leaves_nothing(rec, source, tmp_path):
    config = small_config(rec)
    for changed, says in (
        ({"val_split": "test"}, r"split test: no images; .* another --train-split or --val-split"),
        ({"train_split": "test"}, r"split test: no images"),
        (
            {"batch_size": 64},
            r"batch_size: 64, where 5 samples leave no full batch; .*batch, as smaller .*\. Pass a --batch-size",
        ),
    ):
        with pytest.raises(OptionError, match=says):
            Feed(config.changed(**changed))
    root = shutil.copytree(source, tmp_path / "source")
    shutil.copy(root / "images/0007.jpg", root / "images/0006.jpg")
    mhpdata.pack(root, tmp_path / "rec", size=64, workers=1)
    with pytest.raises(OptionError, match=r"split val: no images.* or omit --val-protocol and --leak-free"):
        Feed(small_config(tmp_path / "rec").changed(leak_free=True))
