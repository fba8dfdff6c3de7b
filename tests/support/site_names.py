"""Check the names of the Python reference: all public names are there, resolve, and are documented.

python tests/support/site_names.py      lists what is missing; exit status 1 if anything is
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mhpdata
import mhpmodels

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "reference"
_SECTIONS = re.compile(r"^(?:Args|Attributes):\n((?:(?: .*)?\n?)*)", re.MULTILINE)
_ENTRY = re.compile(r"^    `*\*{0,2}(\w+)`*:", re.MULTILINE)


def names() -> list[str]:
    """Return the dotted names that the pages of the reference show, in their order."""
    pages = [path.read_text(encoding="utf-8") for path in sorted(PAGES.glob("*.md"))]
    return [name for page in pages for name in re.findall(r"^::: (\S+)$", page, re.MULTILINE)]


def public() -> set[str]:
    """Return the dotted names of everything that the two packages export."""
    return {f"{module.__name__}.{name}" for module in (mhpdata, mhpmodels) for name in module.__all__}


def find(name: str) -> Any:
    """Return the object of a dotted name, or the module; raise AttributeError if there is none."""
    module, _, last = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), last)
    except AttributeError:
        return importlib.import_module(name)


def problems(name: str, there: Any) -> Iterator[str]:
    """Yield what the documentation of a name, and of its members, lacks."""
    text = inspect.getdoc(there) or ""
    if not text:
        yield f"{name}: no docstring"
    described = {entry for section in _SECTIONS.findall(text) for entry in _ENTRY.findall(section)}
    missing = [one for one in arguments(there) if one not in described]
    if missing:
        yield f"{name}: not described: {', '.join(missing)}"
    if inspect.ismodule(there):
        for member, value in vars(there).items():
            if inspect.isclass(value) and value.__module__ == there.__name__ and not member.startswith("_"):
                yield from problems(f"{name}.{member}", value)
    if inspect.isclass(there):
        for member, value in vars(there).items():
            function = inspect.isfunction(value) or isinstance(value, property | classmethod | staticmethod)
            if function and not member.startswith("_") and not inspect.getdoc(value):
                yield f"{name}.{member}: no docstring"


def arguments(there: Any) -> list[str]:
    """Return the names of a function's parameters; for a class with a constructor of its own, those of this."""
    if not inspect.isfunction(there) and not (inspect.isclass(there) and "__init__" in vars(there)):
        return []
    return list(inspect.signature(there).parameters)


def main() -> int:
    """Print all problems; return the exit status."""
    shown = names()
    found = [f"{name}: not in docs/reference" for name in sorted(public() - set(shown))]
    for name in shown:
        try:
            found += problems(name, find(name))
        except (AttributeError, ModuleNotFoundError):
            found.append(f"{name}: does not exist")
    print("\n".join(found) if found else f"{len(shown)} names are documented.")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
