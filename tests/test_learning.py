"""The whole, on the CPU: networks learn from shards, curves repeat, and what was lost to NaN is not.

Run by make slow. Each network learns within 15 minutes on two idle cores; how long it took is printed.
"""

from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import mhpdata
from mhpdata.errors import NonFiniteError
from mhpdata.synth import synthesize
from mhpmodels import checkpoint, engines
from mhpmodels.config import TrainConfig
from mhpmodels.feed import Feed
from mhpmodels.metrics import Confusion
from mhpmodels.params import read_params
from mhpmodels.runlog import read_epochs, read_steps
from mhpmodels.train import train

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("mxnet" not in engines.installed(), reason="engine mxnet is not installed here"),
]

SMALL = "--engine mxnet --backbone resnet18 --base-size 96 --crop-size 96 --batch-size 8 --blur-prob 0 --seed 0"
LEARNING = {
    "icnet": f"--model icnet {SMALL} --optimizer adam --lr 0.001 --head-rate 1 --epochs 40",
    "psp": f"--model psp {SMALL} --optimizer adam --lr 0.001 --head-rate 1 --epochs 30",
}


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    """340 small pictures of mhp-synth: 204 train, 69 val, 67 test."""
    root = tmp_path_factory.mktemp("learning")
    synthesize(root / "MHP_v1", images=340, seed=0, scale=0.25)
    mhpdata.pack(root / "MHP_v1", root / "rec", size=128)
    return root / "rec"


def command(rec, out, flags):
    return [sys.executable, "-m", "mhptools.train", "--data", str(rec), "--save-dir", str(out), *flags.split()]


def finish(arguments):
    child = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr[-2000:]
    return child.stdout


def curve(folder):
    steps = [replace(row, seconds=0, waited=0) for row in read_steps(folder)]
    return repr((steps, [replace(row, seconds=0) for row in read_epochs(folder)]))


@pytest.mark.parametrize("model", LEARNING)
def test_a_network_learns(rec, tmp_path, model):
    finish(command(rec, tmp_path / "run", LEARNING[model]))
    epochs = read_epochs(tmp_path / "run")
    feed = Feed(TrainConfig(data=str(rec), crop_size=96, batch_size=8))
    nothing = Confusion(19)
    for batch in feed.val:
        nothing.update(np.zeros_like(batch.labels), batch.labels)
    feed.close()
    best = max(row.miou for row in epochs)
    print(f"{model}: mIoU {best:.4f}, background everywhere {nothing.miou:.4f}")
    assert best >= 0.20
    assert best >= 4 * nothing.miou
    assert epochs[-1].loss < 0.5 * epochs[0].loss


@pytest.mark.parametrize("model", ["icnet", "psp"])
def test_the_curve_repeats_and_survives_kills(rec, tmp_path, model):
    flags = f"--model {model} {SMALL.replace('resnet18', 'resnet50')} --syncbn --epochs 3 --lr 0.01 --batch-size 4"
    first, second, killed = (tmp_path / name for name in ("first", "second", "killed"))
    finish(command(rec, first, flags))
    finish(command(rec, second, flags))
    assert curve(second) == curve(first)
    moments = random.Random(0)
    length = len(read_steps(first)) // 3
    at = [moments.randrange(1, length) + epoch * length for epoch in range(3)]
    for rows in at:
        begun = killed.exists() and checkpoint.listing(killed)
        if killed.exists() and not begun:
            killed.rename(tmp_path / "lost")  # killed before its first checkpoint
        resume = f"--resume {killed}" if begun else flags
        kill(command(rec, killed, resume), killed / "steps.csv", rows)
    finish(command(rec, killed, f"--resume {killed}"))
    assert curve(killed) == curve(first)
    for suffix in (".params", ".state"):
        files = [checkpoint.read(folder).weights.with_suffix(suffix) for folder in (first, killed)]
        assert files[0].read_bytes() == files[1].read_bytes()


def kill(arguments, table, rows):
    """Kill the command when its table has so many rows."""
    child = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while True:
        try:
            _, error = child.communicate(timeout=0.2)
        except subprocess.TimeoutExpired:
            if table.exists() and table.read_bytes().count(b"\n") > rows:
                child.kill()
        else:
            assert child.returncode == -signal.SIGKILL, error[-2000:]
            return


# --- what the notes lost to NaN


class Spoiled:
    """An engine that is handed spoilt batches in the place of some, and a signal after 40 steps."""

    def __init__(self, engine):
        self._engine, self._calls = engine, 0

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def train_step(self, images, labels, rate, seed):
        kind, self._calls = self._calls % 6, self._calls + 1
        images, labels = np.array(images), np.array(labels)
        if kind in (1, 3):  # black, as it comes from the loader
            images[:] = -(np.array(engines.MEAN) / np.array(engines.DEVIATION)).astype(np.float32)[:, None, None]
        if kind in (2, 3):
            labels[:] = 255
        if kind == 4:  # one value everywhere, far from 0: a variance of 0 beside a large mean
            images[:] = 1e3
        if self._calls == 40:
            os.kill(os.getpid(), signal.SIGINT)
        return self._engine.train_step(images, labels, rate, seed)


@pytest.mark.parametrize("model", ["icnet", "psp"])
@pytest.mark.parametrize(
    "options",
    [
        {"lr": 1e-3, "syncbn": True},
        {"lr": 5e-4, "optimizer": "adam"},
        {"lr": 5e-4, "batch_size": 1},
        {"lr": 1e-3, "batch_size": 1, "syncbn": True},
    ],
)
def test_what_the_notes_lost_stays_finite_or_is_named(rec, tmp_path, model, options):
    shared = {"data": str(rec), "model": model, "backbone": "resnet18", "base_size": 96, "crop_size": 96, "epochs": 9}
    config = TrainConfig(**{**shared, "batch_size": 8, "engine": "mxnet", "validate": False, **options})
    out = tmp_path / "run"
    try:
        train(config, out, open_engine=lambda c: Spoiled(engines.open_engine(c)))
    except NonFiniteError as error:
        assert "last samples: " in str(error)
    rows = read_steps(out)
    skipped = [row for row in rows if not row.applied]
    assert all(math.isfinite(row.loss) and math.isfinite(row.gradient) for row in rows if row.applied)
    assert (out / "train.log").read_text().count("step skipped; samples ") == len(skipped)
    weights = read_params(checkpoint.read(out).weights)
    assert all(np.isfinite(array).all() for array in weights.values())
    print(f"{model} {options}: {len(rows)} steps, {len(skipped)} skipped, last loss {rows[-1].loss:.3f}")
