"""torch's DataLoader over a split: forked or spawned workers give the same samples as this process."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import mhpdata
from mhpdata.options import FORMATS

torch_data = pytest.importorskip("torch.utils.data", reason="torch is not installed here; environment A has it")


@pytest.fixture(scope="module")
def packed(source, tmp_path_factory):
    """Return the tiny folder in every format, by the format's name."""
    out = {format: tmp_path_factory.mktemp("packed") / "rec" for format in FORMATS}
    for format in FORMATS:
        mhpdata.pack(source, out[format], size=64, format=format, workers=1)
    return out


def as_arrays(batch):
    """Return arrays for a worker to send, since a record's views cannot be pickled."""
    return [(sample.name, sample.index, sample.image, sample.labels, sample.persons) for sample in batch]


def check(got, ours):
    assert got[:2] == (ours.name, ours.index)
    for array, wanted in zip(got[2:], (ours.image, ours.labels, ours.persons), strict=True):
        np.testing.assert_array_equal(array, wanted)


# A spawned worker imports torch again, which takes seconds, so this runs once.
@pytest.mark.parametrize(("format", "start"), [("recordio", "fork"), ("recordio", "spawn"), ("hdf5", "fork")])
def test_workers_give_our_samples(format, start, packed):
    samples = mhpdata.open(packed[format], "train")
    _ = samples[0]  # the files are open before the workers start
    loader = torch_data.DataLoader(
        samples, batch_size=2, num_workers=2, multiprocessing_context=start, collate_fn=as_arrays
    )
    got = [sample for batch in loader for sample in batch]
    assert len(got) == len(samples) == 5
    for sample, ours in zip(got, samples, strict=True):
        check(sample, ours)


def test_torchs_own_collate_takes_samples(packed):
    samples = mhpdata.open(packed["recordio"], "train")
    seen = 0
    for batch, ours in zip(torch_data.DataLoader(samples), samples, strict=True):
        assert batch["name"] == [ours.name] and batch.index.tolist() == [ours.index]
        for key in ("image", "labels", "persons"):
            np.testing.assert_array_equal(batch[key][0].numpy(), getattr(ours, key))
        seen += 1
    assert seen == 5


def test_workers_send_collated_and_whole_samples(packed):
    samples = mhpdata.open(packed["recordio"], "train")
    options = {"num_workers": 1, "multiprocessing_context": "fork"}
    for batch, ours in zip(torch_data.DataLoader(samples, **options), samples, strict=True):
        np.testing.assert_array_equal(batch.image[0].numpy(), ours.image)
    for (sample,), ours in zip(torch_data.DataLoader(samples, collate_fn=list, **options), samples, strict=True):
        check((sample.name, sample.index, sample.image, sample.labels, sample.persons), ours)
        for mask, wanted in zip(sample.masks, ours.masks, strict=True):
            np.testing.assert_array_equal(mask, wanted)


@pytest.mark.parametrize("format", FORMATS)
def test_a_pickled_split_opens_its_files_anew(format, packed):
    samples = mhpdata.open(packed[format], "train")
    again = pickle.loads(pickle.dumps(samples))
    assert again.names == samples.names
    for sample, ours in zip(as_arrays(again), samples, strict=True):
        check(sample, ours)
