"""examples/albumentations_dataset.py in .venv/albumentations (make slow)."""

from __future__ import annotations

import json
import subprocess

import pytest
from places import ROOT

LOOK = """
import json, sys
sys.path.insert(0, sys.argv[1])
import albumentations, numpy as np, torch
from albumentations_dataset import Augmented, Mirror
from importlib.metadata import distributions
from torch.utils.data import DataLoader

data = Augmented(sys.argv[2], "train", 48)
batches = list(DataLoader(data, batch_size=1, num_workers=2))
again = list(DataLoader(data, batch_size=1, num_workers=2))
sample = data.samples[0]
mirror = albumentations.Compose([Mirror(data.samples.manifest.labels.mirrored, p=1)])
turned = mirror(image=sample.image, mask=sample.labels)
print(json.dumps({
    "shapes": [[list(x.shape), list(y.shape), str(x.dtype), str(y.dtype)] for x, y in batches],
    "same": [bool(torch.equal(a[0], b[0])) for a, b in zip(batches, again)],
    "image": bool((turned["image"] == sample.image[:, ::-1]).all()),
    "before": np.bincount(sample.labels.ravel(), minlength=256).tolist(),
    "after": np.bincount(turned["mask"].ravel(), minlength=256).tolist(),
    "cv2": [d.metadata["Name"] for d in distributions() if (d.metadata["Name"] or "").startswith("opencv")],
}))
"""


@pytest.fixture(scope="module")
def python():
    path = ROOT / ".venv" / "albumentations" / "bin" / "python"
    assert path.exists(), f"{path}: missing; make slow makes it"
    return path


def run(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_the_dataset(python, small):
    found = json.loads(run(python, "-c", LOOK, ROOT / "examples", small))
    assert found["shapes"] == [[[1, 3, 48, 48], [1, 48, 48], "torch.float32", "torch.int64"]] * 5
    assert not all(found["same"]), "other draws in each epoch"
    assert found["cv2"] == ["opencv-python"]
    assert found["image"]
    before, after = found["before"], found["after"]
    swapped = {9: 10, 10: 9, 12: 13, 13: 12, 14: 15, 15: 14}
    assert before[14] != before[15], "the image has a left arm"
    assert after == [before[swapped.get(label, label)] for label in range(256)]


@pytest.mark.slow
def test_the_example_runs(python, small):
    lines = run(python, ROOT / "examples" / "albumentations_dataset.py", small, 48).splitlines()
    assert [line.split(") (")[0] for line in lines] == ["(4, 3, 48, 48", "(1, 3, 48, 48"]
