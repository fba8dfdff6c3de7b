"""Small runs of the loop with a NumPy engine, and their results."""

from dataclasses import replace

import numpy as np
from folder import write_folder
from numpy_engine import NumpyEngine

import mhpdata
from mhpmodels.config import TrainConfig
from mhpmodels.training.tables import read_epochs, read_steps
from mhpmodels.training.train import train

STEPS = 4  # per epoch: 9 training samples in batches of 2


def write_rec(root):
    """Make a packed folder of 9 train, 3 val and 4 test samples."""
    source = write_folder(root / "LV-MHP-v1", images=16, size=(48, 64))
    mhpdata.pack(source, root / "rec", size=0)
    return root / "rec"


def small_config(rec):
    return TrainConfig.of(
        data=str(rec), base_size=48, crop_size=32, batch_size=2, lr=1.0, epochs=3, workers=1, blur_prob=0.0, max_skips=3
    )


def run(config, out, resume=None, **hooks):
    options = {name: hooks.pop(name) for name in ("weights", "start_epoch", "tensorboard", "restart") if name in hooks}
    return train(config, out, resume=resume, open_engine=lambda c: NumpyEngine(c, **hooks), **options)


def curve(out):
    """Return all results of a run, without seconds, which differ."""
    steps = [replace(row, seconds=0, waited=0) for row in read_steps(out)]
    epochs = [replace(row, seconds=0) for row in read_epochs(out)]
    return repr((steps, epochs))


def whole_run(rec, out):
    """Train without interruption; return outcome and curve."""
    outcome = run(small_config(rec), out)
    return outcome, curve(outcome.folder)


def weights(path):
    return np.load(path)


def check_equal(outcome, whole):
    """Assert that the run has the results of the uninterrupted one."""
    assert curve(outcome.folder) == whole[1]
    assert outcome.signal is None
    np.testing.assert_array_equal(weights(outcome.last), weights(whole[0].last))
    np.testing.assert_array_equal(
        weights(outcome.last.with_suffix(".state")), weights(whole[0].last.with_suffix(".state"))
    )
    assert outcome.best.name == whole[0].best.name
