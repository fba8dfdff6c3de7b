"""The commands of docs/recipes.md."""

import re

from places import ROOT


def recipes() -> list[tuple[str, str]]:
    """Return (verb, arguments) of each command in a code block that begins with mhp, one after another."""
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = re.findall(r"^```\w*\n(.*?)^```$", text, re.M | re.S)
    return re.findall(r"^mhp (\w+) (.*)$", "\n".join(blocks), re.M)
