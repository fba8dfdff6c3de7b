"""Golden files of mhp 0.1, tests/golden/0.1: packed folders, runs and predictions that later versions must read.

They were made once by the code of commit e31db2e in environment A, with this script as of that time::

    git worktree add /tmp/mhp-0.1 e31db2e
    git show e13f53a:tests/make_golden_01.py > /tmp/mhp-0.1/tests/make_golden_01.py
    cd /tmp/mhp-0.1 && PYTHONPATH=.:tests python tests/support/make_golden_01.py OUT

====================== =============================================================================================
rec, yuv420, hdf5      16 images of ``folder.write_folder``: RecordIO with JPEGs, RecordIO with yuv420, HDF5
skipped                the same with one mask missing, packed with on_error="skip"
numpy                  a run of three epochs, stopped after the last step of the second
torch                  the same with torch_tiny:Small, stopped one step earlier
pred                   predictions of the torch run's network on the test split: labels, overlays, a legend
digests.json           SHA-256 of the decoded content of the packed folders
curves.json            results of the uninterrupted runs
score.json             mhp score's result for pred
====================== =============================================================================================
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import numpy as np
from folder import write_folder
from loading import open_loader
from numpy_engine import NumpyEngine

import mhpdata
from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import open_engine
from mhpmodels.training.tables import read_steps
from mhpmodels.training.train import train

PACKS = {
    "rec": {"size": 48},
    "yuv420": {"size": 48, "image": "yuv420", "overlap": "ignore"},
    "hdf5": {"size": 48, "format": "hdf5", "image": "raw", "splits": ["test"]},
}
LOADED = {"batch_size": 4, "base_size": 48, "size": 40, "blur_prob": 0.0, "seed": 3, "threads": 1}


def source(root: Path) -> Path:
    """Write the download to pack."""
    return write_folder(root / "LV-MHP-v1", images=16, size=(48, 64))


def digests(folder: Path, split: str) -> list[list[str]]:
    """Return each sample's name, and SHA-256 of its image, labels, persons and person masks, for a split."""
    found = []
    for sample in mhpdata.open(folder, split):
        arrays = [sample.image, sample.labels, sample.persons, np.stack(sample.masks)]
        found.append([sample.name, *(sha256(array) for array in arrays)])
    return found


def batches(folder: Path) -> list[list[str]]:
    """Return SHA-256 of images and labels, and the indices, of each training batch of an epoch."""
    loader = open_loader(folder, "train", **LOADED)
    return [[sha256(b.images), sha256(b.labels), " ".join(map(str, b.indices))] for b in loader]


def sha256(array: np.ndarray) -> str:
    """Return the SHA-256 of an array's bytes in C order."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def run_config(engine: str) -> TrainConfig:
    """Train three epochs with three steps each. Paths are relative, as the run is resumed from the folder above rec."""
    small = {"data": "rec", "base_size": 48, "crop_size": 32, "batch_size": 3, "lr": 0.1, "epochs": 3, "workers": 1}
    small |= {"blur_prob": 0.0, "test_batch_size": 2}
    if engine == "torch":
        return TrainConfig.of(engine="torch", model="torch_tiny:Small", ngpus=0, **small)
    return TrainConfig.of(**small)


def stopping(name: str, stop_at: int = -1):
    """Return a function that opens the run's engine; SIGTERM is sent at step ``stop_at``."""

    def stop(count, _):
        if count == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)

    if name == "numpy":
        return lambda config: NumpyEngine(config, before_step=stop)

    def opener(config):
        engine, steps = open_engine(config), iter(range(1000))
        step = engine.train_step
        engine.train_step = lambda *given: (stop(next(steps), None), step(*given))[1]
        return engine

    return opener


def losses(out: Path) -> list[list[float]]:
    """Return loss and gradient norm of each step."""
    return [[row.loss, row.gradient] for row in read_steps(out)]


def main() -> None:
    """Write everything to the folder given on the command line."""
    out = Path(sys.argv[1]).resolve()
    out.mkdir()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        download = source(Path())
        known = {}
        for name, options in PACKS.items():
            mhpdata.pack(download, name, workers=1, **options)
            splits = options.get("splits", ["train", "val", "test"])
            known[name] = {"samples": {split: digests(Path(name), split) for split in splits}}
            if "train" in splits:
                known[name]["batches"] = batches(Path(name))
        (download / "annotations/0003_02_02.png").unlink()
        mhpdata.pack(download, "skipped", workers=1, size=32, on_error="skip")
        known["skipped"] = {"samples": {"train": digests(Path("skipped"), "train")}}
        (out / "digests.json").write_text(json.dumps(known, indent=1) + "\n")
        curves = {}
        for name, stop_at in (("numpy", 5), ("torch", 4)):
            whole = train(run_config(name), f"{name}-whole", open_engine=stopping(name))
            curves[name] = {"steps": losses(whole.folder), "best": whole.best.name}
            train(run_config(name), name, open_engine=stopping(name, stop_at))
        (out / "curves.json").write_text(json.dumps(curves, indent=1) + "\n")
        from mhptools.predict import main as predict
        from mhptools.score import main as score

        arguments = ["--checkpoint", "torch", "--data", "rec", "--split", "test", "--out", "pred", "--overlay"]
        predict([*arguments, "--legend", "--base-size", "48"], standalone_mode=False)
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            score(["--data", "rec", "--split", "test", "--pred", "pred", "--json"], standalone_mode=False)
        (out / "score.json").write_text(said.getvalue())
        for name in (*PACKS, "skipped", "numpy", "torch", "pred"):
            shutil.copytree(name, out / name)


if __name__ == "__main__":
    main()
