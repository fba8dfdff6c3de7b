"""TrainConfig: checked, frozen, and the same after JSON."""

import dataclasses
import json

import pytest

from mhpdata.errors import OptionError
from mhpmodels.config import TrainConfig


def test_a_config_survives_json():
    config = TrainConfig(
        model="psp", lr=3e-5, clip_grad=10.0, branch_weights=(0.1, 0.2, 0.3), ngpus=8, pretrained_base="a"
    )
    assert TrainConfig.from_json(config.to_json()) == config
    assert hash(config) == hash(TrainConfig.from_json(config.to_json()))


def test_a_field_that_an_older_mhp_did_not_write_has_its_default():
    content = json.loads(TrainConfig(lr=0.5).to_json())
    del content["gray_prob"]
    assert TrainConfig.from_json(json.dumps(content)) == TrainConfig(lr=0.5)


@pytest.mark.parametrize(
    "text", ["", "[]", "3", "null", '{"model": "icnet", "colour": 1}', '{"lr": "fast"}', "[" * 99999]
)
def test_what_is_no_config_is_refused(text):
    with pytest.raises(OptionError):
        TrainConfig.from_json(text, "run/config.json")


@pytest.mark.parametrize(
    "field, value",
    [
        ("model", "fcn"),
        ("backbone", "vgg"),
        ("lr", float("nan")),
        ("lr", -1e-3),
        ("lr", True),
        ("momentum", 1.5),
        ("batch_size", 0),
        ("batch_size", 2.0),
        ("epochs", 0),
        ("clip_grad", 0.0),
        ("branch_weights", (1.0, 1.0)),
        ("pad_label", 3),
        ("crop_size", 100),
        ("seed", 2**31),
    ],
)
def test_a_value_outside_is_named(field, value):
    with pytest.raises(OptionError, match=field):
        TrainConfig(**{field: value})


def test_an_unknown_network_may_be_one_s_own():
    with pytest.raises(OptionError, match=r"^model: 'unet'; expected icnet or psp\. .*package\.module:function"):
        TrainConfig(model="unet")


def test_crops_fit_the_network():
    assert TrainConfig(model="psp", crop_size=72).crop_size == 72
    with pytest.raises(OptionError, match="multiple of 16"):
        TrainConfig(model="icnet", crop_size=72)


def test_contexts_follow_the_gpus_and_share_the_batch():
    assert TrainConfig().contexts == 1
    assert TrainConfig(ngpus=8).contexts == 8
    assert TrainConfig(contexts=2).contexts == 2
    with pytest.raises(OptionError, match="contexts"):
        TrainConfig(ngpus=8, contexts=2)
    with pytest.raises(OptionError, match="multiple of the contexts"):
        TrainConfig(contexts=3)


def test_the_old_recipe_sets_back_what_the_loader_does():
    old = TrainConfig(old_recipe=True)
    assert (old.swap_sides, old.pad_label) == (False, 0)


def test_every_number_is_checked():
    numbers = {f.name for f in dataclasses.fields(TrainConfig) if f.type in ("int", "float")}
    for name in numbers:
        with pytest.raises(OptionError):
            TrainConfig(**{name: "1"})
