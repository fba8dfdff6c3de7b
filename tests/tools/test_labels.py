"""mhp labels: its lists, the tables that it prints, and its exit statuses."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from mhpdata.label_sets.built_in import NAMES, table_of
from mhpdata.label_sets.table import read_table
from mhpdata.remap import read_remap
from mhptools.labels import main


def run(*args):
    return CliRunner().invoke(main, [str(arg) for arg in args])


def test_the_list_of_sets():
    found = run()
    assert found.exit_code == 0 and [line.split()[0] for line in found.stdout.splitlines()] == ["set", *NAMES]
    assert json.loads(run("--json").stdout)["sapiens-29"]["classes"] == 29


@pytest.mark.parametrize("name", NAMES)
def test_a_set_as_text_and_as_a_table_that_can_be_read_again(name, tmp_path):
    text = run(name).stdout
    assert all(one.name in text for one in table_of(name).labels.classes) and "Source: https://" in text
    path = tmp_path / "copy.json"
    path.write_text(run(name, "--json").stdout)
    copy = read_table(path, frozenset(meaning for meaning in table_of(name).meanings if meaning))
    ours = table_of(name)
    assert (copy.labels, copy.meanings, copy.differs, copy.texts) == (
        ours.labels, ours.meanings, ours.differs, ours.texts,
    )  # fmt: skip
    assert run("--check", path).exit_code == 0


def test_a_row_has_index_name_colour_and_mirror():
    rows = [line.split() for line in run("cihp").stdout.splitlines()]
    assert ["14", "left-arm", "#33aadd", "right-arm"] in rows and ["1", "hat", "#800000"] in rows


def test_a_conversion_is_shown_with_what_is_lost_and_is_a_table_for_remap(tmp_path):
    text = run("cihp", "--to", "lip").stdout
    assert "not counted (255)" in text and "Lost, as lip has no class of their name or meaning: torso-skin" in text
    assert "Classes of lip that nothing becomes: jumpsuits" in text
    content = run("cihp", "--to", "lip", "--json").stdout
    assert json.loads(content)["lost"] == ["torso-skin"]
    remap = read_remap(content)
    assert remap.maps["cihp"]["torso-skin"] is None
    assert remap.labels([("cihp", table_of("cihp").labels)]) is table_of("lip").labels
    assert read_remap("lip").maps["cihp"] == remap.maps["cihp"]


def test_shared_classes_are_a_table_for_remap():
    text = run("--common", "mhp-v1", "cihp", "lip").stdout
    assert "Not counted in lip: glove, socks" in text
    remap = read_remap(run("--common", "mhp-v1", "cihp", "lip", "--json").stdout)
    assert set(remap.maps) == {"mhp-v1", "cihp", "lip"} and remap.maps["lip"]["jumpsuits"] == "dress"


def test_meanings_are_listed():
    assert "left-hand                left-arm, hands" in run("--meanings").stdout
    assert json.loads(run("--meanings", "--json").stdout)["coat"] == ["upper-clothes"]


def test_a_table_of_ones_own(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"name": "mine", "classes": ["background", "hair", {"name": "shirt", "value": 30}]}))
    found = run("--check", path)
    assert found.exit_code == 0 and "30" in found.stdout
    assert found.stdout.endswith("\n\nBackground: background\nNo problems found.\n")
    assert "Lost, as lip has no class of their name or meaning: shirt" in run(path, "--to", "lip").stdout
    assert json.loads(run(path, "--to", "lip", "--json").stdout)["maps"]["folder"]["hair"] == "hair"
    path.write_text('{"name": "mine", "classes": ["background", "arm_l", "arm_r"]}')
    found = run("--check", path)
    assert found.exit_code == 0 and "Remark: classes arm_l and arm_r are not swapped in mirrored images" in found.stdout
    path.write_text('{"name": "mine", "classes": ["background", "hair"], "folder": {"form": "maps"}}')
    wrong = run("--check", path)
    assert wrong.exit_code == 1 and "folder.images is missing" in wrong.stderr
    path.write_text('{"name": "mine", "classes": ["background", "left-arm"]}')
    wrong = run("--check", path)
    assert wrong.exit_code == 1 and not wrong.stdout
    assert wrong.stderr == (
        f'{path}: has "left-arm" but not "right-arm"; expected left and right classes in pairs. '
        'Add "right-arm" to "classes", or rename "left-arm" if it has no side.\n'
    )


@pytest.mark.parametrize(
    "args,says",
    [
        (["cihp", "lip"], "pass --common"), (["--to", "lip"], "mhp labels cihp --to lip."),
        (["--common"], "mhp labels cihp --common."), (["cihp", "--to", "lip", "--common"], "exclude each other"),
        (["cihp", "--meanings"], "Got the label sets cihp"), (["chip"], "no set 'chip'"),
        (["--check", "missing.json"], "missing; expected a JSON file"),
    ],
)  # fmt: skip
def test_wrong_arguments(args, says):
    found = run(*args)
    assert found.exit_code == 2 and says in found.stderr and not found.stdout
