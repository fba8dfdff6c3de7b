"""Values by name: attributes and keys, created and rebuilt as frameworks do."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict

import numpy as np
import pytest

from mhpdata.loading.batch import Batch
from mhpdata.named import Named


class Pair(Named):
    first: int
    second: int | None
    apart: list[int]

    APART = frozenset({"apart"})


def test_attributes_and_keys():
    pair = Pair(1, second=2, apart=[3])
    assert (pair.first, pair["second"], pair.apart) == (1, 2, [3])
    assert dict(pair) == {**pair} == {"first": 1, "second": 2} and len(pair) == 2 and "apart" not in pair
    assert repr(pair) == "Pair(first=1, second=2)"


def test_what_is_none_is_no_key():
    pair = Pair(1)
    assert pair.second is None and list(pair) == ["first"] and pair.get("second") is None
    with pytest.raises(KeyError):
        pair["second"]


@pytest.mark.parametrize("make", [dict, OrderedDict, lambda pair: pair])
def test_another_is_made_from_a_mapping(make):
    again = type(pair := Pair(1, 2, [3]))(make(pair))
    assert dict(again) == dict(pair) and again.apart is None


def test_read_only_and_wrong_names():
    pair = Pair(1)
    for wrong in (lambda: setattr(pair, "first", 2), lambda: delattr(pair, "first")):
        with pytest.raises(AttributeError, match="read-only"):
            wrong()
    for wrong in (lambda: Pair(third=3), lambda: Pair(1, first=1), lambda: Pair(1, 2, 3, 4)):
        with pytest.raises(TypeError, match=r"Pair\(\) takes first, second, apart"):
            wrong()


def test_copies_and_pickles_are_whole():
    batch = Batch(np.zeros((1, 2)), None, np.arange(3))
    for again in (copy.copy(batch), copy.deepcopy(batch), pickle.loads(pickle.dumps(batch))):
        assert type(again) is Batch and list(again) == ["images", "indices"]
        np.testing.assert_array_equal(again.indices, batch.indices)
    assert repr(batch) == "Batch(images=float64 (1, 2), indices=int64 (3,))"
