"""Values of JSON: each kind takes its own and names the field of another; no value makes the message long or slow."""

from __future__ import annotations

import pytest

from mhpdata.fields import count_at, digest_at, field_of, hexadecimal_at, list_at, object_at, shown, text_at

GOOD = {count_at: 3, digest_at: "0f" * 32, hexadecimal_at: "ff", list_at: [1], object_at: {"a": 1}, text_at: "x"}
WRONG = [None, True, -1, 1.5, "no digits", [None], {"a": None}]


@pytest.mark.parametrize("read", GOOD, ids=lambda read: read.__name__)
def test_a_value_of_its_kind_is_taken_and_others_name_the_field(read):
    assert read(GOOD[read], "splits.val") in (GOOD[read], 255)
    for value in WRONG:
        if type(value) is not type(GOOD[read]) or read in (digest_at, hexadecimal_at, count_at):
            with pytest.raises(ValueError, match=r"^splits\.val (has|is) .*, not (a|an) "):
                read(value, "splits.val")


def test_a_field_that_is_not_there():
    assert field_of({"a": 1}, "a", "") == 1
    with pytest.raises(ValueError, match=r"^splits\.val\.b is missing$"):
        field_of({"a": 1}, "b", "splits.val")
    with pytest.raises(ValueError, match=r"^its content is a list, not an object$"):
        field_of([], "b", "")


def test_large_and_deep_values_are_shown_short():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert shown(deep) == "a list" and shown({"a": deep}) == "an object"
    assert len(shown("x" * 10**6)) < 70 and shown("ab") == '"ab"' and shown(None) == "null"
    while deep:  # Python would take it apart by recursion
        deep = deep[0]
