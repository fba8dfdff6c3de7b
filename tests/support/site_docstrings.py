"""Read docstrings for the reference as Python shows them; an extension of mkdocstrings' reader, Griffe."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import griffe

sys.path.insert(0, str(Path(__file__).parent))  # mkdocs loads this file by its path
from site_titles import linked

BASE = "Checked"
"""Base of the option classes (mhpdata.settings.rules)."""


def shown(text: str) -> str:
    """Return a docstring with the pages of docs/ that it names as links, without a command's defaults."""
    return linked(re.sub(r"\s*\[default: [^\]]*\]", "", text), "../")


class Docstrings(griffe.Extension):
    """Give option classes their docstring at run time, and their fields the defaults; adapt marks and links."""

    def on_instance(self, *, obj: griffe.Object, **given: Any) -> None:
        """Remove ``::`` before code, which Markdown knows by its indentation, and backticks around an entry's name."""
        if obj.docstring is not None:
            text = obj.docstring.value.replace("\n\n::\n", "\n")
            obj.docstring.value = shown(re.sub(r"^( +)``(\w+)``:", r"\1\2:", text, flags=re.MULTILINE))

    def on_class_members(self, *, cls: griffe.Class, **given: Any) -> None:
        """Adapt an option class that was read from its source."""
        if not any(str(base).split(".")[-1] == BASE for base in cls.bases):
            return
        there = getattr(importlib.import_module(cls.module.canonical_path), cls.name)
        cls.docstring = griffe.Docstring(shown(inspect.getdoc(there) or ""), parent=cls)
        for one in fields(there):
            if one.name in cls.attributes:
                cls.attributes[one.name].value = repr(one.default)
