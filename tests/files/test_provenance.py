"""Provenance as JSON and as text: read as written; anything else is refused; no secrets."""

import json
from dataclasses import replace

import pytest
from origins import FIRST, OWN, SECOND, V1

from mhpmodels.files.provenance import MAX_ORIGINS, command_line, in_words, parse_provenance, to_fields


def test_it_is_read_as_written():
    text = json.dumps(to_fields((FIRST, SECOND)))
    assert parse_provenance(json.loads(text)) == (FIRST, SECOND)
    assert parse_provenance([]) == ()


def test_fields_of_a_newer_mhp_are_ignored():
    newer = to_fields((SECOND,))
    newer[0] |= {"energy": 3}
    newer[0]["weights"] |= {"licence": "MIT"}
    newer[0]["data"][0] |= {"images": 4980}
    assert parse_provenance(newer) == (SECOND,)


@pytest.mark.parametrize(
    "path, value",
    [
        ((), {}),
        ((), [[]]),
        ((), [{}] * (MAX_ORIGINS + 1)),
        (("mhp",), 2),
        (("command",), ["mhp"]),
        (("step",), -1),
        (("step",), True),
        (("weights",), "a.params"),
        (("weights", "name"), None),
        (("weights", "bytes"), "189"),
        (("weights", "bytes"), None),
        (("weights", "sha256"), "b" * 63),
        (("data",), {}),
        (("data", 0), 3),
        (("data", 0, "folder"), None),
        (("data", 0, "content"), "g" * 64),
        (("data", 0, "licence"), 3),
    ],
)
def test_what_mhp_does_not_write_is_refused(path, value):
    whole = [to_fields((SECOND,))]
    place = whole
    for key in (0, *((0,) * bool(path)), *path)[:-1]:
        place = place[key]
    place[path[-1] if path else 0] = value
    with pytest.raises(ValueError, match="provenance"):
        parse_provenance(whole[0])


def test_a_missing_field_is_refused():
    fields = to_fields((FIRST,))
    del fields[0]["data"][0]["licence"]
    with pytest.raises(ValueError, match=r"provenance\.0\.data\.0\.licence is missing"):
        parse_provenance(fields)


@pytest.mark.parametrize(
    "typed, recorded",
    [
        (["--data", "rec/"], "mhp train --data rec/"),
        (["--data", "my rec"], "mhp train --data 'my rec'"),
        (["--data", "https://ann:pass@host/rec"], "mhp train --data 'https://***@host/rec'"),
        (["--data=s3://key:a/b@bucket/rec"], "mhp train '--data=s3://***@bucket/rec'"),
        (["--data", "https://host/rec?X-Amz-Signature=1"], "mhp train --data 'https://host/rec?***'"),
        (["--data", "https://host/rec#token"], "mhp train --data 'https://host/rec#***'"),
        (["--mix", "1,2", "--rendezvous", "10.0.0.1:29400"], "mhp train --mix 1,2 --rendezvous 10.0.0.1:29400"),
    ],
)
def test_a_command_line_is_as_typed_but_for_secrets(typed, recorded):
    assert command_line("mhp train", typed) == recorded


def test_a_folder_with_a_content_id_may_move():
    assert V1.is_same(replace(V1, folder="/elsewhere/rec"))
    assert not V1.is_same(replace(V1, content="c" * 64)) and not V1.is_same(replace(V1, licence=None))
    assert OWN.is_same(OWN) and not OWN.is_same(replace(OWN, folder="s3://mine/other"))


def test_in_words():
    assert in_words((FIRST, replace(SECOND, command="mhp train\n\x1b[2J"))).split("\n") == [
        "1. mhp 0.1.0, backbone of store: mhp train --data rec/",
        f"   trained on rec/, split train: content {'a' * 64}; licence: non-commercial research only",
        "   cite: Li et al., 2017",
        rf"2. mhp 0.2.0, after 7 steps, weights of a.params (SHA-256 {'b' * 64}): mhp train\n\x1b[2J",
        f"   trained on rec/, split train: content {'a' * 64}; licence: non-commercial research only",
        "   cite: Li et al., 2017",
        "   trained on s3://mine/rec, split all: content unknown (format 1); licence: unknown to mhp",
    ]
    assert "random weights: called from Python" in in_words((replace(FIRST, backbone=None, command=None),))
    assert in_words(()) == "Origin unknown: no record of data and commands."
