"""MXNet's readers read a packed folder's images directly; our palette is GluonCV's."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import mhpdata
from mhpdata.labels import MHP_V1

SPLITS = {"train": 5, "val": 1, "test": 2}


@pytest.fixture(scope="module", params=[64, 0], ids=["encoded again", "as downloaded"])
def packed(request, source, tmp_path_factory):
    """Pack the tiny folder with images resized to a short side of 64, or stored verbatim (except the gray one)."""
    out = tmp_path_factory.mktemp("packed") / "rec"
    mhpdata.pack(source, out, size=request.param, workers=1)
    return out


@pytest.mark.parametrize("split", SPLITS)
def test_indexed_recordio_and_unpack_img(mx, packed, split):
    samples = mhpdata.open(packed, split)
    assert len(samples) == SPLITS[split]
    files = [str(packed / f"{split}-00000{suffix}") for suffix in (".idx", ".rec")]
    records = mx.recordio.MXIndexedRecordIO(*files, "r")
    assert records.keys == list(range(len(samples)))
    for index, sample in enumerate(samples):
        header, image = mx.recordio.unpack_img(records.read_idx(index))
        assert (header.flag, header.label, header.id, header.id2) == (0, 0.0, index, 0)
        np.testing.assert_array_equal(image[..., ::-1], sample.image)  # MXNet returns OpenCV's BGR
    records.close()


def test_image_record_iter(mx, packed):
    """The pixels equal ours exactly: both use libjpeg's accurate DCT and upsampling."""
    samples = mhpdata.open(packed, "train")
    height, width = samples[0].image.shape[:2]
    batches = mx.io.ImageRecordIter(
        path_imgrec=str(packed / "train-00000.rec"),
        path_imgidx=str(packed / "train-00000.idx"),
        data_shape=(3, height, width),
        batch_size=len(samples),
        preprocess_threads=1,
        verbose=False,
    )
    batch = next(batches)
    images = batch.data[0].asnumpy()
    assert images.dtype == np.float32 and batch.pad == 0
    np.testing.assert_array_equal(images.transpose(0, 2, 3, 1), [sample.image for sample in samples])
    np.testing.assert_array_equal(batch.label[0].asnumpy(), np.zeros(len(samples)))


PALETTE = """
import json, sys, warnings
warnings.simplefilter("ignore")
sys.modules["torch"] = None  # gluoncv refuses to be imported where torch >= 2 is importable
try:
    from gluoncv.utils.viz.segmentation import mhpv1pallete
except ImportError as error:
    print(json.dumps(str(error)))
else:
    print(json.dumps(list(mhpv1pallete)))
"""


def test_the_palette_is_gluoncvs(mx):
    done = subprocess.run([sys.executable, "-c", PALETTE], capture_output=True, text=True, check=True)
    theirs = json.loads(done.stdout.splitlines()[-1])
    if isinstance(theirs, str):
        pytest.skip(f"GluonCV is not installed here: {theirs}")
    np.testing.assert_array_equal(np.reshape(theirs[: 3 * len(MHP_V1)], (-1, 3)), MHP_V1.palette[: len(MHP_V1)])
