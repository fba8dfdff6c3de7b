"""Facts about records: the same as counted pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from boxes import write_packed
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import mhpdata
from mhpdata.labels import IGNORE
from mhpdata.masks.mask_runs import mask_runs
from mhpmodels.browsing.facts import Person, extent, facts_of


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    return write_packed(tmp_path_factory.mktemp("facts"))


def naive_extent(mask):
    ys, xs = np.nonzero((mask != 0) & (mask != IGNORE))
    if not len(ys):
        return Person(0, 0, 0)
    return Person(len(ys), int(np.ptp(ys)) + 1, int(np.ptp(xs)) + 1)


@settings(deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([0, 0, 0, 3, 255])))
def test_the_extent_of_a_mask_is_that_of_its_pixels(mask):
    assert extent(mask_runs(mask)) == naive_extent(mask)


def test_facts_are_those_of_the_decoded_sample(rec):
    split = mhpdata.open(rec, "train")
    for index, sample in enumerate(split):
        facts, record = facts_of(split, index), sample.record
        assert (facts.split, facts.name, facts.size) == ("train", sample.name, sample.image.shape[:2])
        assert facts.persons == tuple(map(naive_extent, sample.masks))
        assert facts.class_pixels.tolist() == np.bincount(sample.labels.reshape(-1), minlength=256).tolist()
        assert (facts.gray, facts.contested, facts.conflicting) == (record.gray, record.contested, record.conflicting)
        assert facts.source_size == record.source_size and facts.labelled
    assert [facts_of(split, i).gray for i in range(len(split))] == [False, True, False]
