"""Kernels compiled in advance are exactly those that the loader calls, each once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import mhpdata

AHEAD = """
import sys
import mhpdata
from mhpdata.kernels import jit
from mhpdata.drawing import ahead

def signatures():
    return {f"{k.__module__}.{k.__name__}": len(k.signatures) for k in jit._kernels if k.signatures}

for task in ahead.draw_labels, ahead.decode, ahead.draw:
    task()
before = signatures()
for packed in sys.argv[1:]:
    for dtype, view in (
        ("float32", mhpdata.TrainCrop(64, 64)),
        ("uint8", mhpdata.TrainCrop(64, 64, blur_prob=1.0)),
        ("float16", mhpdata.TrainCrop(64, 64, gray_prob=1.0)),
        ("float32", mhpdata.CentreCrop(64)),
    ):
        loader = mhpdata.Loader(packed, "train", batch_size=2, view=view, output=mhpdata.Output(dtype=dtype))
        for batch in loader:
            del batch
        loader.close()
print({name: count for name, count in signatures().items() if count != before.get(name)})
"""


@pytest.fixture(scope="module")
def packs(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packs")
    for image in "jpeg", "yuv420", "raw":
        mhpdata.pack(source, folder / image, image=image, size=64, workers=1)
    mhpdata.pack(source, folder / "verbatim", size=0, workers=1)
    return [folder / name for name in ("jpeg", "yuv420", "raw", "verbatim")]


@pytest.mark.compiled
def test_a_loader_compiles_nothing_after_what_was_compiled_ahead(packs):
    """The check of a record's runs is an exception, as it belongs to another room."""
    done = subprocess.run(
        [sys.executable, "-c", AHEAD, *map(str, packs)],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "{'mhpdata.masks.joint_runs._find_fault': 1}"
