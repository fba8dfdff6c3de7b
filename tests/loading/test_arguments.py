"""Arguments of a wrong type are errors that name the argument, before a folder is opened."""

import numpy as np
import pytest

import mhpdata
from mhpdata.errors import OptionError


@pytest.mark.parametrize(
    ("place", "arguments"),
    [
        ("seed", {"seed": -1}),
        ("seed", {"seed": 0.0}),
        ("seed", {"seed": None}),
        ("drop_last", {"drop_last": "no"}),
        ("drop_last", {"drop_last": 1}),
        ("folder", {"folder": None}),
        ("folder", {"folder": 3}),
        ("folder", {"folder": np.array(3)}),
        ("folder", {"folder": ["rec", "train"]}),
        ("folder", {"folder": [("rec", "train", 0)]}),
        ("folder", {"folder": [("rec", None)]}),
    ],
)
def test_the_loader_names_the_argument_that_is_wrong(place, arguments):
    with pytest.raises(OptionError) as found:
        mhpdata.Loader(**{"folder": "rec", **arguments})
    assert found.value.place == place


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (mhpdata.Output, "dtype", np.dtype("float32")),
        (mhpdata.Output, "dtype", np.float32),
        (mhpdata.Output, "dtype", np.array("float32")),
        (mhpdata.Mix, "weights", np.array(1.0)),
        (mhpdata.Mix, "weights", "12"),
        (mhpdata.Choose, "names", np.array("a")),
        (mhpdata.Choose, "names", [1, 2]),
        (mhpdata.Choose, "names", [["a"], [2]]),
        (mhpdata.Choose, "names", [["a"], [["b"]]]),
    ],
)
def test_an_option_names_what_is_wrong(kind, name, value):
    with pytest.raises(OptionError) as found:
        kind(**{name: value})
    assert found.value.place == name


def test_names_are_kept_as_tuples():
    assert mhpdata.Choose(names=np.array(["a", "b"])).names == ("a", "b")
    assert mhpdata.Choose(names=[["a"], None, ("b", "c")]).names == (("a",), None, ("b", "c"))
