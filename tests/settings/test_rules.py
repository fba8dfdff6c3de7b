"""Options declared as fields: each is checked by its rule, and stored as the rule returns it."""

import dataclasses
import inspect

import numpy as np
import pytest

import mhpdata
from mhpdata import CentreCrop, Choose, Loader, Mix, Output, Share, TrainCrop, Whole
from mhpdata.errors import OptionError
from mhpdata.settings.rules import Each, Number, OrNone, Switch, Text, options_of

CLASSES = (TrainCrop, CentreCrop, Whole, Choose, Mix, Share, Output)


@pytest.mark.parametrize("kind", CLASSES)
def test_options_are_frozen_and_their_defaults_pass_their_rules(kind):
    made = kind()
    assert kind(**{name: getattr(made, name) for name in options_of(kind) if kind is not Share}) == made
    for name, (about, _) in options_of(kind).items():
        assert about.help.endswith((".", "]")) and about.flag
        assert f"\n    {name}: {about.help}" in inspect.getdoc(kind)
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(made, name, 1)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (TrainCrop, {"size": 0}),
        (TrainCrop, {"base_size": 32768}),
        (TrainCrop, {"scales": (2.0, 1.0)}),
        (TrainCrop, {"scales": "12"}),
        (TrainCrop, {"scales": (0.5, True)}),
        (TrainCrop, {"flip_prob": float("nan")}),
        (TrainCrop, {"gray_prob": "0.5"}),
        (TrainCrop, {"swap_sides": 1}),
        (TrainCrop, {"pad_label": 256}),
        (CentreCrop, {"size": 48.0}),
        (Choose, {"names": "0001"}),
        (Choose, {"names": 3}),
        (Choose, {"where": "0001"}),
        (Choose, {"limit": -1}),
        (Choose, {"protocol": "coco"}),
        (Choose, {"leaks": "keep"}),
        (Mix, {"weights": (1, 0)}),
        (Mix, {"weights": 2}),
        (Mix, {"sample": "often"}),
        (Mix, {"remap": 3}),
        (Output, {"dtype": "float64"}),
        (Output, {"overlap": "largest"}),
        (Output, {"transform": 3}),
    ],
    ids=str,
)
def test_an_invalid_value_is_refused_by_the_name_of_its_field(kind, options):
    with pytest.raises(OptionError, match=f"^{next(iter(options))}: "):
        kind(**options)


def test_numbers_of_numpy_are_kept_as_python_s_own():
    view = TrainCrop(flip_prob=np.float32(0.25), scales=np.array([0.5, 1.5]))
    assert view == TrainCrop(flip_prob=0.25, scales=(0.5, 1.5)) and type(view.flip_prob) is float
    assert Mix(weights=np.array([1.0, 2.0])).weights == (1.0, 2.0)


def test_names_are_kept_whole():
    """An iterator is empty at its second use."""
    assert Choose(names=iter(["0001", "0002"])).names == ("0001", "0002")
    assert Choose(names=[iter(["0001"]), None]).names == (("0001",), None)


def test_the_crops_of_gluoncv_change_two_options():
    crop = TrainCrop(480, flip_prob=0.1)
    assert crop.as_gluoncv() == dataclasses.replace(crop, swap_sides=False, pad_label=0)


def test_rules_by_hand():
    assert OrNone(Number()).take("x", None, 1.0) is None
    with pytest.raises(OptionError, match=r"x: the text '1'; .*Pass the number without quotes"):
        Number().take("x", "1", 0.5)
    with pytest.raises(OptionError, match=r"x: 1 number; expected 3 numbers\. Pass, for example, \(1, 1, 2\)"):
        Each(Number(), 3).take("x", (1,), None)
    with pytest.raises(OptionError, match="x: the text '12'; expected several values"):
        Each(Text()).take("x", "12", None)
    with pytest.raises(OptionError, match="x: nothing"):
        Switch().take("x", None, False)


def test_a_loader_takes_options_of_the_right_class(tmp_path):
    for name, value in {"view": 768, "choose": ["0001"], "mix": Output(), "share": 3, "output": "uint8"}.items():
        with pytest.raises(OptionError, match=rf"^{name}: .*expected \w+\(\.\.\.\)"):
            Loader(tmp_path, **{name: value})
    with pytest.raises(TypeError, match="augment"):
        Loader(tmp_path, augment=False)


def test_the_names_are_exported():
    for kind in CLASSES:
        assert getattr(mhpdata, kind.__name__) is kind and kind.__name__ in mhpdata.__all__
