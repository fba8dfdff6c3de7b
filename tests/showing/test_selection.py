"""Selection of samples for a contact sheet."""

import pytest

from mhpdata.errors import OptionError
from mhpmodels.showing.selection import Selection


def test_samples_are_spread_evenly():
    names = [str(i) for i in range(100)]
    assert Selection().choose(names) == (8, 25, 41, 58, 75, 91)
    assert Selection().choose(names[:4]) == (0, 1, 2, 3)
    assert Selection(count=1).choose(names) == (50,)


def test_samples_by_seed_index_and_name():
    names = [f"{i:04}" for i in range(50)]
    drawn = Selection(seed=3).choose(names)
    assert drawn == Selection(seed=3).choose(names) == tuple(sorted(set(drawn))) and len(drawn) == 6
    assert drawn != Selection(seed=4).choose(names)
    assert Selection(indices=[17, 3]).choose(names) == (17, 3)
    assert Selection(names=["0009", "0001"]).choose(names) == (9, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"indices": [5]}, r"index: 5; expected 0\.\.4"),
        ({"indices": [-1]}, r"index: -1; expected 0\.\.4"),
        ({"names": ["0006"]}, "name: '0006'; expected a name in the split. Pass 000"),
        ({"count": 0}, r"count: 0; expected 1\.\."),
        ({"indices": [0] * 65}, "at most 64"),
        ({"indices": [1], "names": ["0001"]}, "in two ways"),
        ({"indices": [1], "count": 3}, "in two ways"),
        ({"names": ["0001"], "seed": 0}, "in two ways"),
    ],
)
def test_samples_that_are_not_there(options, message):
    with pytest.raises(OptionError, match=message):
        Selection(**options).choose([f"{i:04}" for i in range(5)])
