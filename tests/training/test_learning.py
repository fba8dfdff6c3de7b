"""Training on the CPU: networks learn from shards, curves repeat, and no run is lost to NaN.

make slow runs these tests. They use the flags and the table of benchmarks/learning.py.
"""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from places import ROOT

import mhpdata
from mhpdata.errors import NonFiniteError
from mhpdata.imagenet import DEVIATION, MEAN
from mhpdata.synth.writing.folder import synthesize
from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import ENGINES, installed, open_engine
from mhpmodels.files import checkpoint
from mhpmodels.files.params import read_params
from mhpmodels.models import GLUONCV
from mhpmodels.training.tables import read_epochs, read_steps
from mhpmodels.training.train import train

BENCHMARK = ROOT / "benchmarks" / "learning.py"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("model", GLUONCV),
]
each_engine = pytest.mark.parametrize(
    "engine",
    [
        pytest.param(name, marks=pytest.mark.skipif(name not in installed(), reason=f"{name} is not here"))
        for name in ENGINES
    ],
)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Return the benchmark's folder, in which finished runs are reused."""
    return tmp_path_factory.mktemp("learning")


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    """Pack 60 small images: 36 train, 12 val, 12 test."""
    root = tmp_path_factory.mktemp("few")
    synthesize(root / "MHP_v1", images=60, seed=0, scale=0.25)
    mhpdata.pack(root / "MHP_v1", root / "rec", size=128)
    return root / "rec"


def finish(command):
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr[-2000:]


def learned(work, engine, model):
    """Return the benchmark's row."""
    finish([sys.executable, BENCHMARK, "--engine", engine, "--model", model, "--work", work, "--out", work])
    (row,) = json.loads((work / f"learning_{engine}.json").read_text())["rows"]
    return row


@each_engine
def test_a_network_learns(work, engine, model):
    row = learned(work, engine, model)
    assert row["mIoU"] >= 20
    assert row["mIoU"] >= 4 * row["background everywhere"]


def test_all_engines_reach_the_same(work, model):
    reached = [learned(work, engine, model)["mIoU"] for engine in installed()]
    if len(reached) < 2:
        pytest.skip("one engine is installed here")
    assert max(reached) - min(reached) <= 2


# --- reproducibility


def command(rec, out, flags):
    return [sys.executable, "-m", "mhptools.train", "--data", str(rec), "--save-dir", str(out), *flags.split()]


def curve(folder):
    steps = [replace(row, seconds=0, waited=0) for row in read_steps(folder)]
    return repr((steps, [replace(row, seconds=0) for row in read_epochs(folder)]))


@each_engine
def test_the_curve_repeats_and_survives_kills(rec, tmp_path, engine, model):
    flags = f"--engine {engine} --model {model} --backbone resnet18 --base-size 64 --crop-size 64 --batch-size 4"
    flags += " --epochs 3 --lr 0.01"
    first, second, killed = (tmp_path / name for name in ("first", "second", "killed"))
    finish(command(rec, first, flags))
    finish(command(rec, second, flags))
    assert curve(second) == curve(first)
    moments = random.Random(0)
    length = len(read_steps(first)) // 3
    for epoch in range(3):
        begun = killed.exists() and checkpoint.listing(killed)
        if killed.exists() and not begun:
            killed.rename(tmp_path / "lost")  # it was killed before its first checkpoint
        resume = f"--resume {killed}" if begun else flags
        kill(command(rec, killed, resume), killed / "steps.csv", epoch * length + moments.randrange(1, length // 2))
    finish(command(rec, killed, f"--resume {killed}"))
    assert curve(killed) == curve(first)
    ends = [checkpoint.read(folder) for folder in (first, killed)]
    assert ends[0].weights.read_bytes() == ends[1].weights.read_bytes()
    assert ends[0].state.read_bytes() == ends[1].state.read_bytes()


def kill(arguments, table, rows):
    """Kill the command when its table has ``rows`` rows, early enough that it cannot finish."""
    child = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while True:
        try:
            _, error = child.communicate(timeout=0.02)
        except subprocess.TimeoutExpired:
            if table.exists() and table.read_bytes().count(b"\n") > rows:
                child.kill()
        else:
            assert child.returncode == -signal.SIGKILL, error[-2000:]
            return


# --- NaN losses of the GluonCV recipe


class Spoiled:
    """An engine that gets damaged batches in place of some, and a signal after 40 steps."""

    def __init__(self, engine):
        self._engine, self._calls = engine, 0

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def train_step(self, images, labels, rate, seed):
        kind, self._calls = self._calls % 6, self._calls + 1
        images, labels = np.array(images), np.array(labels)
        if kind in (1, 3):  # black, normalised as in the loader
            images[:] = -(np.array(MEAN) / np.array(DEVIATION)).astype(np.float32)[:, None, None]
        if kind in (2, 3):
            labels[:] = 255
        if kind == 4:  # one value everywhere, far from 0: a variance of 0 beside a large mean
            images[:] = 1e3
        if self._calls == 40:
            os.kill(os.getpid(), signal.SIGINT)
        return self._engine.train_step(images, labels, rate, seed)


def arrays(path):
    if path.suffix == ".params":
        return read_params(path)
    from mhpmodels.engines.torch.weights import read_weights

    return {name: tensor.numpy() for name, tensor in read_weights(path).items()}


@each_engine
@pytest.mark.parametrize(
    "options",
    [
        {"lr": 1e-3, "syncbn": True},
        {"lr": 5e-4, "optimizer": "adam"},
        {"lr": 5e-4, "batch_size": 1},
        {"lr": 1e-3, "batch_size": 1, "syncbn": True},
    ],
)
def test_what_the_notes_lost_stays_finite_or_is_named(rec, tmp_path, engine, model, options):
    shared = {"data": str(rec), "model": model, "backbone": "resnet18", "base_size": 96, "crop_size": 96}
    shared |= {"engine": engine, "batch_size": 4, "epochs": 9, "validate": False}
    config, out = TrainConfig.of(**{**shared, **options}), tmp_path / "run"
    try:
        train(config, out, open_engine=lambda c: Spoiled(open_engine(c)))
    except NonFiniteError as error:
        assert "last samples: " in str(error)
    rows = read_steps(out)
    skipped = [row for row in rows if not row.applied]
    assert all(math.isfinite(row.loss) and math.isfinite(row.gradient) for row in rows if row.applied)
    assert (out / "train.log").read_text().count("step skipped; samples ") == len(skipped)
    assert all(np.isfinite(array).all() for array in arrays(checkpoint.read(out).weights).values())
    print(f"{model}, {engine}, {options}: {len(rows)} steps, {len(skipped)} skipped, last loss {rows[-1].loss:.3f}")
