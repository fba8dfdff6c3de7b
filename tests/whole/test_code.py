"""House rules that can be counted: lines per module, parameters, types of kernels, duplicate tables.

``NOT_YET_...`` lists current violations of a rule. When you fix one, delete its line: a listed entry that follows the
rule fails the test, as does a violation that is not listed.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache

from places import files, module_of

LINES_P90 = 250
PARAMETERS = 10
MORE_PARAMETERS = {("mhpdata.loading.loader", "Loader.__init__"): 14, ("mhpdata.packing.pack", "pack"): 15}
"""Public functions that are called with keywords."""
KERNEL_DECORATORS = {"kernel", "callee", "inlined", "step"}
VERB_OF_AN_ENGINE = {"mhpmodels.engines.mxnet": "build", "mhpmodels.engines.torch": "build"}
"""Function of an engine's ``__init__`` that imports its framework."""

NOT_YET_FEWER_PARAMETERS = """
"""

NOT_YET_TYPED_KERNELS = """
"""

NOT_YET_ONE_TABLE = """
mhpdata.drawing.jpeg.scan           _APP0 _APP14
mhpdata.images.formats.segments             _APP0 _APP14
"""
EQUAL_BY_CHANCE = {"LEAKS ON_ERROR"}
"""Equal tables with different meanings, which may diverge."""


def listed(text: str) -> set[tuple[str, str]]:
    """Return (module, name) of each name in a list of modules."""
    return {(line.split()[0], name) for line in text.strip().splitlines() for name in line.split()[1:]}


def check(found: set[tuple[str, str]], text: str) -> None:
    """Assert that the offenders are exactly those of the list."""
    known = listed(text)
    assert not found - known, f"against the rule: {sorted(found - known)}"
    assert not known - found, f"fixed; delete from the list: {sorted(known - found)}"


@cache
def trees() -> dict[str, ast.Module]:
    """Return the syntax tree of each module, by name; a package has its own name."""
    paths = files("mhpdata", "mhpmodels", "tools")
    return {module_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def functions(tree: ast.AST, inside: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    """Yield each function and method with the names of the enclosing classes and functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            yield f"{inside}{node.name}", node
        named = isinstance(node, (ast.FunctionDef, ast.ClassDef))
        yield from functions(node, f"{inside}{node.name}." if named else inside)


def decorators(function: ast.FunctionDef) -> set[str]:
    """Return the names of a function's decorators: kernel for ``@kernel``, click.command for a call of it."""
    return {ast.unparse(d.func if isinstance(d, ast.Call) else d) for d in function.decorator_list}


def parameters(function: ast.FunctionDef) -> int:
    """Return the number of parameters without self and cls; *args and **kwargs count one each."""
    a = function.args
    names = [arg.arg for arg in (*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg) if arg is not None]
    return len([name for name in names if name not in ("self", "cls")])


def test_nine_modules_of_ten_have_at_most_250_lines():
    """Measured on 2026-11-29: median 110, 90th percentile 241, longest 432."""
    lines = sorted(
        len(path.read_text(encoding="utf-8").splitlines()) for path in files("mhpdata", "mhpmodels", "tools")
    )
    p90 = lines[round(0.9 * (len(lines) - 1))]
    print(f"lines per module: median {lines[len(lines) // 2]}, 90th percentile {p90}, longest {lines[-1]}")
    assert p90 <= LINES_P90


def test_functions_have_at_most_ten_parameters():
    found = set()
    for module, tree in trees().items():
        for name, function in functions(tree):
            is_command = "click.command" in decorators(function)  # click passes the parameters
            if parameters(function) > MORE_PARAMETERS.get((module, name), PARAMETERS) and not is_command:
                found.add((module, name))
    check(found, NOT_YET_FEWER_PARAMETERS)


def test_those_who_may_have_more_parameters_need_them():
    for (module, name), most in MORE_PARAMETERS.items():
        count = parameters(dict(functions(trees()[module]))[name])
        assert count > PARAMETERS, f"{module}.{name} has {count}: delete it from the exceptions ({most})"


def test_kernels_say_what_they_take():
    """Signatures that Numba compiles have no ``Any``, nor an alias of it."""
    hiding = {"Any"}
    for tree in trees().values():
        for node in tree.body:
            if isinstance(node, ast.Assign) and "Any" in names_in(node.value):  # an alias
                hiding |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            if isinstance(node, ast.ClassDef) and "NamedTuple" in {ast.unparse(base) for base in node.bases}:
                fields = [field for field in node.body if isinstance(field, ast.AnnAssign)]
                hiding |= {node.name for field in fields if "Any" in names_in(field.annotation)}
    found, kernels = set(), 0
    for module, tree in trees().items():
        for name, function in functions(tree):
            if {decorator.rpartition(".")[2] for decorator in decorators(function)} & KERNEL_DECORATORS:
                kernels += 1
                a = function.args
                hints = [function.returns, *(x.annotation for x in (*a.posonlyargs, *a.args, *a.kwonlyargs))]
                if any(hint is None or names_in(hint) & hiding for hint in hints):
                    found.add((module, name))
    assert kernels > 50, "the decorators have other names now"
    check(found, NOT_YET_TYPED_KERNELS)


def names_in(node: ast.AST) -> set[str]:
    """Yield names and attributes in an annotation or a value, including quoted annotations."""
    found = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            found.add(part.id)
        elif isinstance(part, ast.Attribute):
            found.add(part.attr)
        elif isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value.isidentifier():
            found.add(part.value)
    return found


def test_a_room_exports_nothing():
    """A room's ``__init__`` has only a docstring, so that no function hides a module of the same name."""
    for path in files("mhpdata", "mhpmodels", "tools"):
        module = module_of(path)
        if path.name == "__init__.py" and module not in ("mhpdata", "mhpmodels"):
            body = [node for node in trees()[module].body if not isinstance(node, ast.Expr)]
            defined = {node.name for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
            assert defined == ({VERB_OF_AN_ENGINE[module]} if module in VERB_OF_AN_ENGINE else set()), module
            assert module in VERB_OF_AN_ENGINE or not body, module


def test_no_table_stands_twice():
    """These are tuples, sets and dictionaries of constants, and numbers of one name, at the top of two modules."""
    places: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for module, tree in trees().items():
        for name, value in constants(tree):
            if isinstance(value, (tuple, list, set, dict)) and len(value) > 1:
                places[repr(value)].add((module, name))
            elif isinstance(value, (int, float)) and not isinstance(value, bool) and value > 1:
                places[f"{name} = {value}"].add((module, name))
    found = set()
    for twice in places.values():
        names = [name for _, name in twice]
        if " ".join(sorted(set(names))) in EQUAL_BY_CHANCE:
            found |= {(module, name) for module, name in twice if names.count(name) > 1}
        elif len({module for module, _ in twice}) > 1:
            found |= twice
    check(found, NOT_YET_ONE_TABLE)


def constants(tree: ast.Module) -> Iterator[tuple[str, object]]:
    """Yield the names of a module's literal values, also of those assigned together in a line."""
    for node in tree.body:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        for target in targets:
            value = node.value
            pairs = [(target, value)]
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs = list(zip(target.elts, value.elts, strict=False))
            for one, literal in pairs:
                try:
                    yield ast.unparse(one), ast.literal_eval(literal)
                except (ValueError, TypeError):
                    continue
