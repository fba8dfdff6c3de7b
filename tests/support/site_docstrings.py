"""Read docstrings for the reference as Python shows them; an extension of mkdocstrings' reader, Griffe."""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import fields
from typing import Any

import griffe

BASE = "Checked"
"""Base of the option classes (mhpdata.settings.rules)."""


def linked(text: str) -> str:
    """Return a docstring with the pages of docs/ that it names as links, without a command's defaults."""
    text = re.sub(r"\s*\[default: [^\]]*\]", "", text)
    return re.sub(r"(?:``)?\bdocs/([\w-]+\.md)(?:``)?", r"[\1](../\1)", text)


class Docstrings(griffe.Extension):
    """Give option classes their docstring at run time, and their fields the defaults; adapt marks and links."""

    def on_instance(self, *, obj: griffe.Object, **given: Any) -> None:
        """Remove ``::`` before code, which Markdown knows by its indentation, and backticks around an entry's name."""
        if obj.docstring is not None:
            text = obj.docstring.value.replace("\n\n::\n", "\n")
            obj.docstring.value = linked(re.sub(r"^( +)``(\w+)``:", r"\1\2:", text, flags=re.MULTILINE))

    def on_class_members(self, *, cls: griffe.Class, **given: Any) -> None:
        """Adapt an option class that was read from its source."""
        if not any(str(base).split(".")[-1] == BASE for base in cls.bases):
            return
        there = getattr(importlib.import_module(cls.module.canonical_path), cls.name)
        cls.docstring = griffe.Docstring(linked(inspect.getdoc(there) or ""), parent=cls)
        for one in fields(there):
            if one.name in cls.attributes:
                cls.attributes[one.name].value = repr(one.default)
