"""Golden files of mhp 0.2, tests/golden/0.2: what a user of 0.2 has on the disk, and later versions must read.

They were made once by the code of 0.2.0, in environment A::

    PYTHONPATH=.:tests/support python tests/support/make_golden_02.py OUT

====================== =============================================================================================
rec                    16 images of ``folder.write_folder``, packed as RecordIO with JPEGs
numpy                  a run of three epochs, stopped after the last step of the second
torch                  the same with heads of persons (own_networks:with_persons), stopped one step earlier
pred, persons          predictions of the torch run's network on the test split: label maps; the form of submissions
coco                   the test split, exported
own                    a dataset of one's own (data), its label file of the form persons, and the packed folder of both
curves.json            results of the uninterrupted runs
score.json             mhp score's results for pred and persons
origin.txt             mhp convert --info of the torch run
====================== =============================================================================================

Packed folders of format 2 in every store are in tests/golden/2 (make_golden.py).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from make_golden_01 import losses, source, stopping
from own import write_own

import mhpdata
from mhpmodels.config import TrainConfig
from mhpmodels.training.train import train

FOLDERS = ("rec", "numpy", "torch", "pred", "persons", "coco", "own")
SCORED = ("--data", "rec", "--split", "test", "--json")


def run_config(name: str) -> TrainConfig:
    """Train three epochs with three steps each. Paths are relative, as the run is resumed from the folder above rec."""
    small = {"data": "rec", "base_size": 48, "crop_size": 32, "batch_size": 3, "lr": 0.1, "epochs": 3, "workers": 1}
    small |= {"blur_prob": 0.0, "test_batch_size": 2}
    if name == "torch":
        persons = {"model": "own_networks:with_persons", "persons": True, "optimizer": "adam", "head_rate": 1.0}
        return TrainConfig.of(**{**small, **persons, "engine": "torch", "lr": 0.02})
    return TrainConfig.of(**small)


def pack_own(labels: Path, out: Path) -> None:
    """Pack the dataset beside a label file."""
    from mhptools.pack import main as pack

    printed(pack, "--src", str(labels.parent / "data"), "--labels", str(labels), "--out", str(out), "--size", "48")


def printed(command: Callable[..., object], *arguments: str) -> str:
    """Run a command in this process and return its stdout."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        command(list(arguments), standalone_mode=False)
    return said.getvalue()


def main() -> None:
    """Write everything to the folder given on the command line."""
    from mhptools.convert import main as convert
    from mhptools.export import main as export
    from mhptools.predict import main as predict
    from mhptools.score import main as score

    out = Path(sys.argv[1]).resolve()
    out.mkdir()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        mhpdata.pack(source(Path()), "rec", workers=1, size=48)
        pack_own(write_own(Path("own"), "persons", images=4), Path("own/rec"))
        shutil.rmtree("own/release")
        curves = {}
        for name, stop_at in (("numpy", 5), ("torch", 4)):
            whole = train(run_config(name), f"{name}-whole", open_engine=stopping(name))
            curves[name] = {"steps": losses(whole.folder), "best": whole.best.name}
            train(run_config(name), name, open_engine=stopping(name, stop_at))
        (out / "curves.json").write_text(json.dumps(curves, indent=1) + "\n")
        of = ["--checkpoint", "torch", "--data", "rec", "--split", "test", "--base-size", "48"]
        printed(predict, *of, "--out", "pred", "--overlay")
        printed(predict, *of, "--out", "persons", "--persons")
        printed(export, "rec", "--to", "coco", "--out", "coco", "--split", "test")
        scores = {name: json.loads(printed(score, *SCORED, "--pred", name)) for name in ("pred", "persons")}
        (out / "score.json").write_text(json.dumps(scores, indent=1) + "\n")
        (out / "origin.txt").write_text(printed(convert, "--info", "torch"))
        for name in FOLDERS:
            shutil.copytree(name, out / name)


if __name__ == "__main__":
    main()
