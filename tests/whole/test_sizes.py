"""Messages with a size say which number is the height: image viewers show the width first."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from places import ROOT, files

from mhpdata.faults import FAULTS

SAID = "height x width"


def sizes(text: ast.JoinedStr) -> bool:
    """Return whether an f-string has two different values with an x between them."""
    parts = ["x" if isinstance(part, ast.Constant) and part.value == " x " else ast.dump(part) for part in text.values]
    return any(parts[i] == "x" and parts[i - 1] != parts[i + 1] for i in range(1, len(parts) - 1))


def unsaid(tree: ast.AST, source: str) -> Iterator[int]:
    """Yield the lines of the functions that format a size and do not say its order."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and function.name != "__repr__":
            formats = any(isinstance(node, ast.JoinedStr) and sizes(node) for node in ast.walk(function))
            if formats and SAID not in (ast.get_source_segment(source, function) or ""):
                yield function.lineno


def test_messages_say_the_order_of_a_size():
    found = []
    for path in files("mhpdata", "mhpmodels", "tools"):
        source = path.read_text(encoding="utf-8")
        found += [f"{path.relative_to(ROOT)}:{line}" for line in unsaid(ast.parse(source), source)]
    assert not found, f"write (height x width) after the size: {found}"


@pytest.mark.parametrize("code", [code for code, sentence in FAULTS.items() if "} x {" in sentence])
def test_faults_say_the_order_of_a_size(code):
    assert SAID in FAULTS[code]


def test_what_is_unsaid_is_found():
    source = 'def f(a, b):\n    return f"{a} x {b}"\n\n\ndef g(a):\n    return f"{a} x {a} crops"\n'
    assert list(unsaid(ast.parse(source), source)) == [1]
