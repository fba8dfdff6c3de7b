"""An engine without a framework: a linear classifier of each pixel, for tests of the loop.

The features of a pixel are its three channels, its position and 1. It uses momentum SGD on the mean cross-entropy of
the labelled pixels; dropout of whole channels from the step's seed, so that a wrong seed shows in the loss.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np

from mhpdata.errors import CheckpointError
from mhpmodels.engines.engine import Step


class NumpyEngine:
    """Fulfils ``mhpmodels.engines.engine.Engine``.

    Args:
        config: Config of the run.
        rank, world_size: Reported as given; nothing is exchanged.
        before_step, before_predict, before_save: Hooks, called with the number of earlier calls and the arguments of
            this one; a return value of ``before_step`` replaces the loss.
    """

    name = "mxnet"

    def __init__(self, config, rank=0, world_size=1, before_step=None, before_predict=None, before_save=None):
        self.config, self.rank, self.world_size = config, rank, world_size
        rng = np.random.default_rng(config.run.seed)
        self.weights = rng.normal(0, 0.01, (config.network.classes, 6)).astype(np.float32)
        self.velocity = np.zeros_like(self.weights)
        self._before = {"step": before_step, "predict": before_predict, "save": before_save}
        self._calls = dict.fromkeys(self._before, 0)
        self.closed = False

    def train_step(self, images, labels, rate, seed):
        forced = self._call("step", images)
        features = self._features(images)
        features[:, :3] *= np.random.default_rng(seed).random((1, 3, 1, 1)) < 0.9
        logits = np.einsum("kf,nfhw->nkhw", self.weights, features)
        logits -= logits.max(1, keepdims=True)
        logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        n, h, w = np.nonzero(labels != 255)
        true = labels[n, h, w]
        error = np.exp(logs).transpose(0, 2, 3, 1)[n, h, w]
        error[np.arange(len(true)), true] -= 1
        gradient = error.T @ features.transpose(0, 2, 3, 1)[n, h, w] / max(len(true), 1)
        loss = float(-logs[n, true, h, w].sum() / max(len(true), 1)) if forced is None else forced
        norm = float(np.linalg.norm(gradient))
        if not np.isfinite(loss) or not np.isfinite(norm):
            return Step(loss, norm, applied=False)
        self.velocity = np.float32(self.config.optim.momentum) * self.velocity + gradient.astype(np.float32)
        self.weights = self.weights - np.float32(rate) * self.velocity
        return Step(loss, norm, applied=True)

    def predict(self, images):
        self._call("predict", images)
        return np.einsum("kf,nfhw->nkhw", self.weights, self._features(images)).astype(np.float32)

    def prefetch(self, loader):
        return loader

    def broadcast(self, value):
        return value

    def save(self, path):
        self._call("save", path)
        _write(path, self.weights)

    def load(self, path):
        self.weights = _read(path)

    def save_state(self, path):
        self._call("save", path)
        _write(path, self.velocity)

    def load_state(self, path):
        self.velocity = _read(path)

    def describe(self):
        return {"framework": "numpy", "parameters": self.weights.size}

    def close(self):
        self.closed = True

    def _call(self, what, argument):
        self._calls[what] += 1
        hook = self._before[what]
        return hook and hook(self._calls[what] - 1, argument)

    def _features(self, images):
        count, _, height, width = images.shape
        place = np.indices((height, width), np.float32) / max(height, width)
        place = np.broadcast_to(place, (count, 2, height, width))
        return np.concatenate([images, place, np.ones((count, 1, height, width), np.float32)], 1)


def kill_at(call: int):
    """Return a hook that ends the process like SIGKILL at that call."""
    return lambda count, _: os.kill(os.getpid(), signal.SIGKILL) if count == call else None


def _write(path, array):
    with Path(path).open("wb") as file:
        np.save(file, array)


def _read(path):
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise CheckpointError(path, "is no array") from error
