"""Mask2Former with the torch engine: its targets, parts of a batch, non-finite steps, backbones and export."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")
pytest.importorskip("transformers", reason="transformers is not installed here; environment A has it")

from torch_weights import weights  # noqa: E402

from mhpdata.errors import CheckpointError, EngineError  # noqa: E402
from mhpmodels.config import TrainConfig  # noqa: E402
from mhpmodels.prediction.convert import convert  # noqa: E402

CLASSES, SIZE = 4, 64


def config(**options):
    fixed = {"engine": "torch", "model": "mask2former", "backbone": "tiny", "classes": CLASSES, "crop_size": SIZE}
    return TrainConfig.of(**{**fixed, "batch_size": 2, "optimizer": "adamw", "lr": 1e-3, "head_rate": 1.0, **options})


def batch():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, 3, SIZE, SIZE)).astype(np.float32)
    labels, masks = np.zeros((2, SIZE, SIZE), np.uint8), np.zeros((2, 2, SIZE, SIZE), np.uint8)
    labels[:, 10:40, 5:30], labels[0, 20:60, 30:60], labels[:, -5:] = 1, 3, 255
    masks[:, 0, 10:40, 5:30], masks[0, 1, 20:60, 30:60] = 1, 3
    return images, labels, masks


def test_a_batch_in_parts_has_the_same_loss_up_to_the_points(opened):
    images, labels, masks = batch()
    whole, parts = opened(config()), opened(config(accumulate=2))
    steps = [engine.train_step(images, labels, 0.0, 1, masks) for engine in (whole, parts, parts)]
    assert steps[1] == steps[2] and steps[0].applied
    assert steps[1].loss == pytest.approx(steps[0].loss, rel=0.05)
    assert steps[1].gradient == pytest.approx(steps[0].gradient, rel=0.3)
    alone = whole.train_step(images, labels, 0.0, 1).loss
    assert np.isfinite(alone) and alone != steps[0].loss, "without persons"
    nothing = whole.train_step(images, np.full_like(labels, 255), 1e-3, 1, masks)
    assert nothing.applied and np.isfinite(nothing.loss)


def test_a_step_changes_the_loss_and_a_non_finite_one_nothing(opened, tmp_path):
    images, labels, masks = batch()
    engine = opened(config(ema=0.5))
    losses = [engine.train_step(images, labels, 1e-3, seed, masks).loss for seed in range(4)]
    assert losses[-1] < losses[0]
    before = weights(engine)
    images[0, 0, 3, 3] = np.nan
    step = engine.train_step(images, labels, 1e-3, 9, masks)
    assert not step.applied and not np.isfinite(step.loss)
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(engine).items())
    assert engine.predict_persons(np.zeros((1, SIZE, 96, 3), np.uint8)).shape == (1, CLASSES + 2, SIZE, 96)
    with pytest.raises(EngineError, match=r'targets: float32.*uint8.*persons="masks"'):
        engine.train_step(images, labels, 1e-3, 9, masks.astype(np.float32))
    with pytest.raises(EngineError, match=r"uint8 \(2, 2, 64, 64\)"):
        engine.train_step(images, labels, 1e-3, 9, masks[..., :32].copy())


def test_it_is_not_exported(opened, tmp_path):
    from mhpmodels.files import checkpoint_writer
    from mhpmodels.files.checkpoint import Position

    path = checkpoint_writer.save(tmp_path, opened(config()), Position(epoch=1), {"epoch": 1}, None)
    with pytest.raises(CheckpointError, match="images of one size only"):
        convert(path, tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()
