"""The recipes of LV-MHP v2 and CIHP, from the download to the scores, on small synthetic datasets of the same form."""

import importlib
import json
import shlex
from importlib.util import find_spec

import pytest
from click.testing import CliRunner
from recipes import recipes

from mhpdata.synth.writing.folder import synthesize
from mhpmodels.files import checkpoint

SMALLER = {
    "pack": "--size 64 --workers 1",
    "train": "--backbone resnet18 --ngpus 0 --epochs 1 --base-size 64 --crop-size 48 --batch-size 2 --workers 1",
    "eval": "--no-cuda --workers 1",
    "predict": "--no-cuda --workers 1",
    "score": "--workers 1 --json",
}
"""Options that make a run small, by command; the last one of equal options counts."""
DOWNLOAD = "--pretrained-base store "
"""Option that downloads weights, which no test can do."""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("torch") is None, reason="needs the extra torch")
@pytest.mark.parametrize(
    ("layout", "source", "rec"), [("mhp-v2", "LV-MHP-v2", "rec-v2/"), ("cihp", "CIHP", "rec-cihp/")]
)
def test_a_recipe_runs_from_the_download_to_the_scores(layout, source, rec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    synthesize(tmp_path / source, 10, 0, 1, scale=0.15, layout=layout)
    commands = [(name, given) for name, given in recipes() if rec in given or given == f"--src {source}"]
    assert [name for name, _ in commands] == ["verify", "pack", "verify", "train", "eval", "predict", "score"]
    for name, given in commands:
        main = importlib.import_module(f"mhptools.{name}").main
        typed = shlex.split(f"{given.replace(DOWNLOAD, '')} {SMALLER.get(name, '')}")
        done = CliRunner().invoke(main, typed)
        assert done.exit_code == 0, f"{name}: {done.output}"
    scores = json.loads(done.stdout)
    assert {"mIoU", "AP^p_vol", "PCP", "AP^r_vol"} <= scores.keys()
    (run,) = (tmp_path / "runs").iterdir()
    (origin,) = checkpoint.read(run).provenance
    assert origin.command.startswith(f"mhp train --data {rec} ") and origin.data[0].layout == layout
    assert origin.data[0].content == scores["content"]
