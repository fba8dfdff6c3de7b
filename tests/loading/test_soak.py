"""A short soak test of the loader; make soak runs an hour."""

from pathlib import Path

import pytest
from folder import write_folder
from soak import soak

import mhpdata

SMALL = {"split": "train", "batch_size": 4, "base_size": 64, "size": 48, "threads": 2}


@pytest.mark.parametrize("image", ["jpeg", "yuv420"])
def test_batches_that_are_held_stay_as_they_are_and_memory_is_flat(tmp_path: Path, image):
    source = write_folder(tmp_path / "LV-MHP-v1", images=32, size=(61, 83))
    mhpdata.pack(source, tmp_path / "rec", image=image, size=0)
    done = soak(tmp_path / "rec", 0, epochs=100, **SMALL)
    assert done["held"] > 10
    assert done["resumed"] > 0
    assert done["made again"] == done["epochs"] == 100
    assert done["MB, last quarter"] < done["MB, second quarter"] + 8
