"""docs/licences.md names every package that the tests' environments pin, with the pinned version."""

from __future__ import annotations

import re

import pytest
from places import ROOT


@pytest.mark.parametrize("environment", ["a", "b"])
def test_every_pinned_package_is_listed(environment):
    table = dict(re.findall(r"^\| ([a-z0-9-]+) \| ([^|]+) \| [^|?]+ \|", (ROOT / "docs/licences.md").read_text(), re.M))
    pins = re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", (ROOT / f"constraints/{environment}.txt").read_text(), re.M)
    assert len(pins) > 30
    missing = [f"{name} {version}" for name, version in pins if version not in _versions(table, name)]
    assert not missing, "docs/licences.md has other versions"


def _versions(table, name):
    return table.get(name.lower().replace("_", "-"), "").split(", ")
