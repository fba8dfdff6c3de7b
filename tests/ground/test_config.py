"""TrainConfig: checked, frozen, and unchanged by a round trip through JSON."""

import dataclasses
import json
import re

import pytest
from places import TESTS

from mhpdata import CentreCrop, Choose
from mhpdata.errors import OptionError
from mhpdata.settings.rules import Integer, Number, Probability
from mhpmodels.config import GROUPS, OPTIONS, TrainConfig
from mhpmodels.conflicts import OF_PERSONS
from mhpmodels.recipe import Run


def test_a_config_survives_json():
    config = TrainConfig.of(
        model="psp", lr=3e-5, clip_grad=10.0, branch_weights=(0.1, 0.2, 0.3), ngpus=8, pretrained_base="a"
    )
    assert TrainConfig.from_json(config.to_json()) == config
    assert hash(config) == hash(TrainConfig.from_json(config.to_json()))


def test_a_field_that_an_older_mhp_did_not_write_has_its_default():
    content = json.loads(TrainConfig.of(lr=0.5).to_json())
    del content["view"]["gray_prob"], content["loss"]
    assert TrainConfig.from_json(json.dumps(content)) == TrainConfig.of(lr=0.5)


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
        TrainConfig.of(**{field: value})


def test_an_unknown_network_may_be_one_s_own():
    with pytest.raises(
        OptionError, match=r"^model: 'unet'; expected icnet, .* or mask2former\. .*package\.module:function"
    ):
        TrainConfig.of(model="unet")


def test_crops_fit_the_network():
    assert TrainConfig.of(model="psp", crop_size=72).view.size == 72
    with pytest.raises(OptionError, match="multiple of 16"):
        TrainConfig.of(model="icnet", crop_size=72)


def test_contexts_follow_the_gpus_and_share_the_batch():
    assert TrainConfig().machine.contexts == 1
    assert TrainConfig.of(ngpus=8).machine.contexts == 8
    assert TrainConfig.of(contexts=2).machine.contexts == 2
    with pytest.raises(OptionError, match="contexts"):
        TrainConfig.of(ngpus=8, contexts=2)
    with pytest.raises(OptionError, match="multiple of the number of contexts"):
        TrainConfig.of(contexts=3)


def test_the_old_recipe_sets_back_what_the_loader_does():
    old = TrainConfig.of(old_recipe=True)
    assert (old.view.swap_sides, old.view.pad_label) == (False, 0)
    assert TrainConfig(run=Run(old_recipe=True)) == old


NUMBERS = [name for name, (_, _, about, _) in OPTIONS.items() if isinstance(about.rule, Integer | Number | Probability)]


@pytest.mark.parametrize(
    "given",
    [{"backbone": "efficientnet_lite0"}, {"optimizer": "adamw"}, {"layer_decay": 0.9}, {"schedule": "cosine"}],
)
def test_the_old_recipe_takes_what_gluoncvs_script_has(given):
    ((flag, value),) = given.items()
    with pytest.raises(OptionError, match=rf"^{flag}: {value} with old_recipe"):
        TrainConfig.of(engine="torch", old_recipe=True, **given)


def test_options_without_effect_on_the_network_are_refused():
    of_heads = {"dropout": 0.2, "persons_after": 0.0, "person_weights": (1.0, 1.0)}
    of_gluoncv = {"aux": True, "aux_weight": 0.4, "branch_weights": (1.0, 1.0, 1.0)}
    for model, refused in (("mask2former", of_heads | of_gluoncv), ("segformer", of_gluoncv), ("psp", {})):
        for flag, value in (of_heads | of_gluoncv).items():
            if flag not in refused:
                given = {"persons": flag in OF_PERSONS, flag: value}
                assert TrainConfig.of(engine="torch", model=model, **given).value(flag) == value
                continue
            with pytest.raises(OptionError, match=f"^{flag}: given with model {model}"):
                TrainConfig.of(engine="torch", model=model, **{flag: value})


@pytest.mark.parametrize(("flag", "value"), [("persons_after", 0.2), ("person_weights", (1.0, 2.0))])
def test_options_of_persons_need_persons_but_earlier_runs_that_have_them_are_read(flag, value):
    with pytest.raises(OptionError, match=f"^{flag}: given without persons; .*Add --persons, or omit --"):
        TrainConfig.of(engine="torch", **{flag: value})
    content = json.loads(TrainConfig.of(engine="torch", lr=0.5).to_json())
    content["loss"][flag] = value
    assert TrainConfig.from_json(json.dumps(content)) == TrainConfig.of(engine="torch", lr=0.5)
    content["network"]["persons"] = True
    assert TrainConfig.from_json(json.dumps(content)).value(flag) == value


def test_another_model_after_one_with_queries_has_no_heads_of_persons_unless_they_are_given():
    queries = TrainConfig.of(engine="torch", model="mask2former")
    assert queries.changed(lr=0.5).network.persons
    for model in ("psp", "segformer"):
        assert not queries.changed(model=model, backbone="").network.persons
        assert queries.changed(model=model, backbone="", persons=True).network.person_maps == 3


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_is_checked_and_its_flag_named(name):
    for value in "1", float("nan"), -1, None:
        with pytest.raises(OptionError, match=f"^{name}: "):
            TrainConfig.of(**{name: value})


def test_a_config_of_0_1_is_read_and_means_the_same():
    """Its keys are the flags, in one flat object."""
    flat = json.loads((TESTS / "golden/0.1/numpy/epoch_0000_mIoU_0.0160.json").read_text())["config"]
    assert len(flat) == 58
    config = TrainConfig.from_json(json.dumps(flat))
    for name, value in flat.items():
        assert config.value(name) == (tuple(value) if isinstance(value, list) else value), name
    assert TrainConfig.from_json(config.to_json()) == config


def test_groups_agree_with_the_fields_of_the_config():
    assert {field.name: type(field.default) for field in dataclasses.fields(TrainConfig)} == GROUPS
    fields = sum(len(dataclasses.fields(kind)) for kind in GROUPS.values())
    assert len(OPTIONS) == fields, "every flag is of one field"


def test_every_option_says_what_it_is():
    for flag, (_, _, about, _) in OPTIONS.items():
        assert about.help[0].isupper(), flag
        assert re.search(r"\.($|  \[default: )", about.help), flag


def test_a_group_of_another_class_and_an_unknown_option_are_refused():
    with pytest.raises(OptionError, match=r"view: .*expected TrainCrop"):
        TrainConfig(view=CentreCrop(480))
    with pytest.raises(TypeError, match="unknown training options: 'crop'"):
        TrainConfig.of(crop=480)
    with pytest.raises(OptionError, match=r"unknown fields: view\.side"):
        TrainConfig.from_json('{"view": {"side": 3}}')
    with pytest.raises(OptionError, match=r"unknown fields: lr \(not a group\)"):
        TrainConfig.from_json('{"view": {"size": 480}, "lr": 1}')
    with pytest.raises(OptionError, match="limit: not supported in a training run"):
        TrainConfig(choose=Choose(limit=3))


def test_changes_are_checked_together_with_the_rest():
    assert TrainConfig.of(ngpus=8).changed(ngpus=0).machine.contexts == 8
    assert TrainConfig.of(ngpus=8).changed(ngpus=2, contexts=0).machine.contexts == 2
    with pytest.raises(OptionError, match="batch_size: 5 images for 2 contexts"):
        TrainConfig.of(contexts=2).changed(batch_size=5)


def test_a_resumed_run_may_change_where_it_runs_and_nothing_else():
    begun = TrainConfig()
    for flag, (_, _, about, default) in OPTIONS.items():
        if isinstance(about.rule, Integer) and flag not in ("crop_size", "contexts", "pad_label", "accumulate"):
            other = begun.changed(**{flag: default + 1})
            if about.free:
                begun.check_continued(other)
            else:
                with pytest.raises(
                    OptionError, match=f"^{flag}: {default + 1}; expected {default}, the value of the resumed run"
                ):
                    begun.check_continued(other)


def test_contexts_follow_the_gpus():
    config = TrainConfig.of(ngpus=4, batch_size=8)
    assert config.changed(ngpus=2).machine.contexts == 2
    assert config.changed(ngpus=0, contexts=4).machine.contexts == 4
