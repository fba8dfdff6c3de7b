"""A run with heads of persons, from packed folder to scores: two stages, logs, eval, predict and score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from training import write_rec

pytest.importorskip("torch", reason="torch is not installed here; environment A has it")

import torch

from mhpmodels.config import TrainConfig
from mhpmodels.evaluation.evaluate import evaluate
from mhpmodels.files import checkpoint
from mhpmodels.files.checkpoint import Position
from mhpmodels.persons import grouping
from mhpmodels.persons.masks import FIGURES
from mhpmodels.prediction.options import Options
from mhpmodels.prediction.predict import predict_split
from mhpmodels.prediction.trained import inference_of, labels_of, open_trained
from mhpmodels.scoring.score import score
from mhpmodels.training import bundle
from mhpmodels.training.bundle import Moment, replay, save_bundle
from mhpmodels.training.runlog import RunLog
from mhpmodels.training.tables import EPOCHS, EpochRow, read_epochs, read_steps
from mhpmodels.training.train import train


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    return write_rec(tmp_path_factory.mktemp("persons"))


def config(rec, **options):
    fixed = {"engine": "torch", "model": "own_networks:with_persons", "persons": True, "data": str(rec)}
    sizes = {"base_size": 48, "crop_size": 32, "batch_size": 3, "blur_prob": 0.0, "workers": 1, "epochs": 4}
    return TrainConfig.of(**{**fixed, **sizes, "lr": 0.02, "optimizer": "adam", "head_rate": 1.0, **options})


@pytest.fixture(scope="module")
def run(rec, tmp_path_factory):
    return train(config(rec, save_every=1), tmp_path_factory.mktemp("runs") / "run")


def test_tensorboard_shows_the_figures_of_persons(tmp_path):
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed here; the extra viz has it")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    row = EpochRow(0, 4, 0.5, 0.8, 0.3, 0, 1.0, (0.25,), tuple(i / 8 for i in range(6)))
    with RunLog(tmp_path, ("background",), tensorboard=True, quiet=True, persons=True) as log:
        log.epoch(row)
    assert read_epochs(tmp_path) == [row]
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [events.Scalars(name)[0].value for name in FIGURES] == list(row.persons)


def heads(path):
    return {name: t for name, t in torch.load(path, weights_only=True).items() if name.startswith("persons.")}


def test_heads_train_in_the_second_stage_only(run):
    first, second, last = (checkpoint.listing(run.folder)[k].weights for k in (0, 1, -1))
    before, between, after = map(heads, (first, second, last))
    assert before and all(torch.equal(before[name], between[name]) for name in before)
    assert not any(torch.equal(between[name], after[name]) for name in before)
    losses = [row.loss for row in read_steps(run.folder)]
    assert len(losses) == 12 and np.mean(losses[6:9]) > np.mean(losses[-3:])
    log = (run.folder / "train.log").read_text()
    assert log.count("validation AP^p_vol: ") == 4 and "PQ: " in log
    rows = read_epochs(run.folder)
    assert all(len(row.iou) == 19 and len(row.persons) == 6 for row in rows)
    header = (run.folder / EPOCHS).read_text().splitlines()[0]
    assert header.endswith("AP^p_vol,AP^p at .5,PCP at .5,mask AP at .5,PQ,right number")
    assert checkpoint.read(run.folder).score["AP^p_vol"] == rows[-1].persons[0]


def test_the_log_says_when_the_heads_begin_and_the_best_is_one_after_it(run):
    log = (run.folder / "train.log").read_text()
    begin = log.index("Epoch 2: from here on, the heads of persons train")
    assert log.index("Epoch 1 done") < begin < log.index("Epoch 2 iteration 0001")
    assert [c.persons_trained for c in checkpoint.listing(run.folder)] == [False, False, True, True]
    assert checkpoint.best(run.folder).weights == run.best
    assert run.best.name.startswith(("epoch_0002", "epoch_0003"))


def test_before_the_heads_train_the_best_is_any_and_its_persons_come_with_a_warning(rec, run, tmp_path, caplog):
    for one in checkpoint.listing(run.folder)[:2]:
        for file in run.folder.glob(f"{one.weights.stem}.*"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    first, second = checkpoint.listing(tmp_path)
    assert checkpoint.best(tmp_path).weights == (second if second.miou > first.miou else first).weights
    for folder, warned in ((run.folder, False), (tmp_path, True)):
        engine = open_trained(folder, {})
        inference_of(engine, ())
        assert "heads of persons" not in caplog.text
        inference_of(engine, (), persons=True)
        engine.close()
        assert ("saved before its run trained the heads of persons" in caplog.text) == warned


def test_whether_a_checkpoint_within_an_epoch_has_trained_heads(run):
    last = checkpoint.read(run.folder)  # 4 epochs of 3 steps; the heads train from step 6, or from step 2
    for epoch, iteration, after, trained in (
        (2, 0, 0.5, False),
        (2, 1, 0.5, True),
        (0, 2, 0.15, False),
        (0, 3, 0.15, True),
    ):
        at = Position(epoch, iteration, 3 * epoch + iteration)
        one = replace(last, position=at, config=last.config.changed(persons_after=after))
        assert one.persons_trained == trained


def test_an_interrupted_run_goes_on_in_the_second_stage(rec, run, tmp_path):
    third = checkpoint.listing(run.folder)[2]
    for file in run.folder.glob(f"{third.weights.stem}.*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    again = train(config(rec, save_every=1), tmp_path, resume=tmp_path / third.weights.name)
    assert again.last.read_bytes() == run.last.read_bytes()


def test_eval_agrees_with_the_scores_of_the_written_predictions(rec, run, tmp_path, monkeypatch):
    monkeypatch.setattr(grouping.group, "__defaults__", (0.0, None, 5, False))
    engine = open_trained(run.folder, {})
    labels = labels_of(engine.config)
    inference = inference_of(engine, labels.flip_pairs, persons=True)
    found = {mode: evaluate(inference, rec, "val", mode=mode, size=48) for mode in ("source", "whole", "crop")}
    options = Options(size=48, persons=True, threads=1)
    predict_split(inference, rec, "val", tmp_path / "pred", None, options, labels)
    scored = score(rec, tmp_path / "pred", "val")
    assert found["source"].persons.predictions > 0
    assert scored.persons.predictions == found["source"].persons.predictions
    np.testing.assert_array_equal(scored.persons.ap, found["source"].persons.ap)
    assert scored.masks == found["source"].masks
    for mode in ("whole", "crop"):
        assert found[mode].persons.persons == scored.persons.persons
        assert found[mode].as_dict()["AP^p_vol"] == found[mode].persons.ap_vol
    many = inference_of(engine, labels.flip_pairs, multi_scale=True, persons=True)
    averaged = evaluate(many, rec, "val", mode="source", size=48)
    predict_split(many, rec, "val", tmp_path / "many", None, options, labels)
    assert score(rec, tmp_path / "many", "val").masks == averaged.masks != found["source"].masks
    of_labels = evaluate(inference_of(engine, labels.flip_pairs, multi_scale=True), rec, "val", mode="source", size=48)
    np.testing.assert_array_equal(averaged.confusion.matrix, of_labels.confusion.matrix)
    plain = evaluate(inference_of(engine, labels.flip_pairs), rec, "val", mode="source", size=48)
    assert plain.persons is None and "PQ" not in plain.as_dict()
    np.testing.assert_array_equal(plain.confusion.matrix, found["source"].confusion.matrix)
    engine.close()


def test_a_skipped_step_of_the_second_stage_is_replayed_with_its_targets(rec, tmp_path):
    from mhpmodels.engines.engine import open_engine

    given = config(rec)
    engine = open_engine(given)
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(3, 3, 32, 32)).astype(np.float32), np.zeros((3, 32, 32), np.uint8)
    images[0, 0, 0, 0] = np.nan
    targets = rng.random((3, 4, 32, 32)).astype(np.float32)
    moment = Moment(0, 1, 0.1, 0, images, labels, np.arange(3), ("a", "b", "c"), targets)
    step = engine.train_step(images, labels, 0.1, 0, targets)
    assert not step.applied
    save_bundle(tmp_path / "bundle", moment, step, engine)
    _, read, _ = bundle._read(tmp_path / "bundle")
    np.testing.assert_array_equal(read.targets, targets)
    assert not replay(tmp_path / "bundle").after.applied
    save_bundle(tmp_path / "other", replace(moment, targets=None), step, engine)
    assert bundle._read(tmp_path / "other")[1].targets is None
    engine.close()
