"""Mask2Former through mhp's own training: logs, resume, eval, predict and score; and, slow, learning four images."""

from __future__ import annotations

import time
from contextlib import closing

import numpy as np
import pytest
from click.testing import CliRunner
from training import write_rec

torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")
pytest.importorskip("transformers", reason="transformers is not installed here; environment A has it")

import mhpdata  # noqa: E402
from mhpdata.errors import ImageError, MhpError  # noqa: E402
from mhpdata.labels import IGNORE  # noqa: E402
from mhpdata.synth.writing.folder import synthesize  # noqa: E402
from mhpmodels.config import TrainConfig  # noqa: E402
from mhpmodels.engines.engine import open_engine  # noqa: E402
from mhpmodels.evaluation.evaluate import evaluate  # noqa: E402
from mhpmodels.files import checkpoint  # noqa: E402
from mhpmodels.persons import queries  # noqa: E402
from mhpmodels.persons.queries import find_people  # noqa: E402
from mhpmodels.prediction.options import Options  # noqa: E402
from mhpmodels.prediction.predict import predict_split  # noqa: E402
from mhpmodels.prediction.trained import inference_of, labels_of, open_trained  # noqa: E402
from mhpmodels.scoring.score import score  # noqa: E402
from mhpmodels.training.tables import read_steps  # noqa: E402
from mhpmodels.training.train import train  # noqa: E402
from mhptools.eval import main as eval_command  # noqa: E402


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    return write_rec(tmp_path_factory.mktemp("queries"))


def config(rec, **options):
    fixed = {"engine": "torch", "model": "mask2former", "backbone": "tiny", "data": str(rec), "workers": 1}
    sizes = {"base_size": 64, "crop_size": 64, "batch_size": 3, "epochs": 2, "seed": 1}
    rates = {"optimizer": "adamw", "lr": 1e-3, "head_rate": 1.0, "clip_grad": 1.0}
    return TrainConfig.of(**{**fixed, **sizes, **rates, **options})


@pytest.fixture(scope="module")
def run(rec, tmp_path_factory):
    return train(config(rec, save_every=1), tmp_path_factory.mktemp("runs") / "run")


def test_a_run_logs_its_loss_and_persons_and_resumes_exactly(rec, run, tmp_path):
    losses = [row.loss for row in read_steps(run.folder)]
    assert len(losses) == 6 and losses[-1] < losses[0]
    assert (run.folder / "train.log").read_text().count("validation AP^p_vol: ") == 2
    assert "AP^p_vol" in checkpoint.read(run.folder).score
    first = checkpoint.listing(run.folder)[0]
    for file in run.folder.glob(f"{first.weights.stem}.*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    again = train(config(rec, save_every=1), tmp_path, resume=tmp_path / first.weights.name)
    assert again.last.read_bytes() == run.last.read_bytes()
    assert again.last.with_suffix(".state").read_bytes() == run.last.with_suffix(".state").read_bytes()


def drawn(images):
    """Return label scores that follow the pixels, and two persons, the left and the right half."""
    scores = torch.full((len(images), 19, *images.shape[2:]), -9.0)
    scores[:, :3] = images
    maps, middle = torch.full((len(images), 2, *images.shape[2:]), 2.0), images.shape[3] // 2
    maps[:, 0, :, :middle], maps[:, 1], maps[:, 1, :, :middle] = 1.0, 0.4, 0.9
    return (scores,), maps


def test_eval_agrees_with_the_scores_of_the_written_predictions(rec, run, tmp_path, monkeypatch):
    monkeypatch.setattr(queries.collect, "__defaults__", (5, True))  # least, background
    engine = open_trained(run.folder, {})
    monkeypatch.setattr(engine._network, "forward", drawn)  # two epochs find nobody
    labels = labels_of(engine.config)
    inference = inference_of(engine, labels.flip_pairs, persons=True)
    found = evaluate(inference, rec, "val", mode="source", size=48)
    predict_split(inference, rec, "val", tmp_path / "pred", None, Options(size=48, persons=True, threads=1), labels)
    scored = score(rec, tmp_path / "pred", "val")
    assert scored.persons.predictions == found.persons.predictions > 0
    np.testing.assert_array_equal(scored.persons.ap, found.persons.ap)
    narrow = inference_of(engine, labels.flip_pairs, persons=True, window=96)
    with pytest.raises(ImageError, match=r"needs windows.*--window 160"):
        narrow(np.zeros((64, 150, 3), np.uint8))
    assert inference_of(engine, labels.flip_pairs, window=96)(np.zeros((64, 150, 3), np.uint8)).shape == (19, 64, 150)
    engine.close()


def test_eval_scores_labels_alone_where_persons_need_one_scale(rec, run):
    flags = ("--data", rec, "--checkpoint", run.folder, "--no-cuda", "--base-size", 32, "-j", 1)

    def done(*more):
        return CliRunner().invoke(eval_command, list(map(str, (*flags, *more))))

    many = done("--multi-scale")
    assert many.exit_code == 0, many.output
    assert "Persons are not scored: mask2former finds persons by queries, which takes one scale." in many.stdout
    assert "AP^p" not in many.stdout
    assert "AP^p" in done().stdout and "AP^p" not in done("--no-persons").stdout
    refused = done("--multi-scale", "--persons")
    assert refused.exit_code == 2 and "Omit --multi-scale" in refused.output


# four images in an epoch of one step; a whole image fits into each crop
FOUR = {"base_size": 128, "crop_size": 128, "batch_size": 4, "epochs": 360, "warmup_epochs": 30.0, "validate": False}
PLAIN = {"scales": (1.0, 1.0), "flip_prob": 0.0, "blur_prob": 0.0}


@pytest.mark.slow
def test_a_tiny_network_learns_four_images(tmp_path):
    """90 % of the masks of parts and of persons have an IoU above .5, within 15 minutes of CPU."""
    synthesize(tmp_path / "MHP_v1", images=6, seed=0)
    mhpdata.pack(tmp_path / "MHP_v1", tmp_path / "rec", size=128)
    begun, threads = time.process_time(), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        given = config(tmp_path / "rec", **FOUR, **PLAIN)
        outcome = train(given, tmp_path / "run")
    finally:
        torch.set_num_threads(threads)
    seconds = time.process_time() - begun
    engine = open_engine(given, training=False)
    assert engine.describe()["parameters"] < 7_000_000
    engine.load(outcome.last)
    output = mhpdata.Output(dtype="uint8", persons="masks")
    with closing(mhpdata.Loader(tmp_path / "rec", "train", 4, given.view, output=output, threads=1)) as loader:
        (batch,) = loader
        parts, persons, shares = found_masks(engine.predict_persons(batch.images), batch)
    engine.close()
    print(f"{seconds:.0f} s; IoU above .5: parts {np.mean(parts > 0.5):.3f} of {len(parts)},", end=" ")
    print(f"persons {np.mean(persons > 0.5):.3f} of {len(persons)}, parts of persons {np.mean(shares > 0.5):.3f}")
    assert seconds < 900
    assert np.mean(parts > 0.5) >= 0.9 and np.mean(persons > 0.5) >= 0.9
    # whole masks of persons overlap, but a pixel has one owner, so hidden parts of persons are not found
    assert np.mean(shares > 0.5) >= 0.6


def found_masks(scores, batch):
    """Return the best IoU of each true mask: of labels, of persons, and of the visible labels of persons."""
    parts, persons, shares = [], [], []
    for i, (logits, maps) in enumerate(zip(scores[:, :-2], scores[:, -2:], strict=True)):
        labels, known = batch.labels[i], batch.labels[i] != IGNORE
        predicted = np.where(known, logits.argmax(0), 0).astype(np.uint8)
        people = find_people(logits, maps, predicted)
        parts += [iou(predicted == c, labels == c) for c in np.unique(labels[known]) if c]
        for mask in batch.masks[i, : batch.counts[i]]:
            whole = (mask != 0) & known
            if whole.any():
                best = [iou(people.persons == k, whole) for k in range(1, len(people.scores) + 1)]
                persons.append(max(best, default=0.0))
                theirs = predicted * (people.persons == 1 + int(np.argmax(best))) if best else 0 * predicted
                visible = np.where(known & (mask == batch.labels[i]), mask, 0)
                shares += [iou(theirs == c, visible == c) for c in np.unique(visible) if c]
    return np.array(parts), np.array(persons), np.array(shares)


def iou(found, true):
    return (found & true).sum() / max(1, (found | true).sum())


def test_options_that_do_not_fit_are_refused(rec):
    assert config(rec, persons=False).network.persons, "always"
    with pytest.raises(MhpError, match="crop_size"):
        config(rec, crop_size=72)
    with pytest.raises(MhpError, match="engine torch"):
        config(rec, engine="mxnet", optimizer="adam")
    with pytest.raises(MhpError, match="backbone"):
        config(rec, backbone="resnet50")
    with pytest.raises(MhpError, match="dice_weight"):
        config(rec, dice_weight=1.0)
    with pytest.raises(MhpError, match=r"old_recipe.*mask2former"):
        config(rec, old_recipe=True)
