"""Conditions on samples, such as ``persons >= 4 and 'scarf' in classes``.

A condition has the syntax of a Python expression. Python parses it, but does not run it: only the operators below are
accepted, names are only those of FIELDS, and there are no calls, attributes or subscripts.

::

    and  or  not  ==  !=  <  <=  >  >=  in  not in  +  -  *  /  numbers  'texts'  True  False  ('a', 'b')

Types are checked before the first sample, so a condition that begins to select cannot fail later, except by a division
by zero, which makes the comparison false.
"""

from __future__ import annotations

import ast
import difflib
import operator
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from mhpdata.errors import OptionError
from mhpdata.wording import either

NUMBER, TEXT, TRUTH, TEXTS = "a number", "a text", "true or false", "a set of texts"
FIELDS = {
    "name": TEXT,
    "split": TEXT,
    "persons": NUMBER,
    "classes": TEXTS,
    "contested": NUMBER,
    "conflicting": NUMBER,
    "gray": TRUTH,
    "duplicate": TRUTH,
    "height": NUMBER,
    "width": NUMBER,
    "source_height": NUMBER,
    "source_width": NUMBER,
}
"""Names that a condition may use, with their types; docs/editing.md describes them."""
MOST_CHARACTERS = 10_000

Values = Mapping[str, Any]
_Evaluate = Callable[[Values], Any]
_ORDER: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_MEMBER: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class _Part(NamedTuple):
    """A part of a condition: the type of its value, and the function that computes it."""

    type: str
    value: _Evaluate


class Where:
    """A parsed condition.

    Args:
        text: The condition.
        classes: Names of the classes; another name in a comparison with ``classes`` is an error.

    Attributes:
        text: The condition.
        fields: Names of the fields that it uses.

    Raises:
        OptionError: The condition is invalid.
    """

    def __init__(self, text: str, classes: Collection[str]) -> None:
        self.text, self.fields = text, set[str]()
        self._classes = classes
        if len(text) > MOST_CHARACTERS:
            raise OptionError("where", f"{len(text)} characters", f"at most {MOST_CHARACTERS}", "Pass --names.")
        try:
            tree = ast.parse(text.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            where = f", at column {error.offset}" if isinstance(error, SyntaxError) and error.offset else ""
            raise self._error(f"is not a condition{where}", "") from error
        try:
            part = self._part(tree.body)
        except RecursionError as error:
            raise self._error("is nested too deeply", "") from error
        self._value = self._need(part, TRUTH, tree.body).value

    def __call__(self, values: Values) -> bool:
        """Return whether a sample meets the condition.

        Args:
            values: Values of at least the fields in ``fields``.
        """
        try:
            return bool(self._value(values))
        except (ZeroDivisionError, OverflowError):
            return False

    def _part(self, node: ast.expr) -> _Part:
        if isinstance(node, ast.BoolOp):
            parts = [self._need(self._part(one), TRUTH, one).value for one in node.values]
            if isinstance(node.op, ast.And):
                return _Part(TRUTH, lambda values: all(part(values) for part in parts))
            return _Part(TRUTH, lambda values: any(part(values) for part in parts))
        if isinstance(node, ast.UnaryOp):
            return self._unary(node)
        if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            apply = _ARITHMETIC[type(node.op)]
            left, right = (self._need(self._part(side), NUMBER, side).value for side in (node.left, node.right))
            return _Part(NUMBER, lambda values: apply(left(values), right(values)))
        if isinstance(node, ast.Compare):
            return self._comparison(node)
        if isinstance(node, ast.Name):
            return self._field(node.id)
        if isinstance(node, ast.Constant):
            return self._constant(node)
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            texts = [self._need(self._part(one), TEXT, one).value for one in node.elts]
            return _Part(TEXTS, lambda values: [text(values) for text in texts])
        raise self._error(f"has {ast.unparse(node)!r}, which is not supported", "")

    def _unary(self, node: ast.UnaryOp) -> _Part:
        part = self._part(node.operand)
        if isinstance(node.op, ast.Not):
            negated = self._need(part, TRUTH, node.operand).value
            return _Part(TRUTH, lambda values: not negated(values))
        if isinstance(node.op, ast.USub):
            number = self._need(part, NUMBER, node.operand).value
            return _Part(NUMBER, lambda values: -number(values))
        raise self._error(f"has {ast.unparse(node)!r}, which is not supported", "")

    def _comparison(self, node: ast.Compare) -> _Part:
        sides = [node.left, *node.comparators]
        parts = [self._part(side) for side in sides]
        steps: list[tuple[Callable[[Any, Any], Any], _Evaluate, _Evaluate]] = []
        for n, sign in enumerate(node.ops):
            left, right = parts[n], parts[n + 1]
            if type(sign) in _MEMBER:
                self._need(left, TEXT, sides[n])
                self._need(right, TEXTS, sides[n + 1])
                self._check_class(sides[n], sides[n + 1])
                steps.append((_MEMBER[type(sign)], left.value, right.value))
                continue
            if type(sign) not in _ORDER:
                raise self._error(f"has {ast.unparse(node)!r}, which is not supported", "")
            if left.type != right.type or TEXTS in (left.type, right.type):
                found = (
                    f"compares {ast.unparse(sides[n])} ({left.type}) with {ast.unparse(sides[n + 1])} ({right.type})"
                )
                remedy = "Write 'NAME' in classes." if TEXTS in (left.type, right.type) else ""
                raise self._error(found, remedy)
            steps.append((_ORDER[type(sign)], left.value, right.value))
        return _Part(TRUTH, lambda values: all(compare(a(values), b(values)) for compare, a, b in steps))

    def _check_class(self, one: ast.expr, many: ast.expr) -> None:
        """Raise OptionError if a class that the dataset does not have is searched in ``classes``."""
        if not isinstance(many, ast.Name) or many.id != "classes" or not isinstance(one, ast.Constant):
            return
        if one.value not in self._classes:
            alike = difflib.get_close_matches(str(one.value), self._classes)
            found = f"has the class {one.value!r}, which the dataset does not have"
            raise self._error(found, f"Did you mean {either(alike)}?" if alike else "", either(self._classes))

    def _field(self, name: str) -> _Part:
        if name not in FIELDS:
            alike = difflib.get_close_matches(name, FIELDS)
            quotes = "Put names of classes in quotes." if name in self._classes else ""
            remedy = f"Did you mean {either(alike)}?" if alike else quotes
            raise self._error(f"has the unknown name {name!r}", remedy, either(FIELDS))
        self.fields.add(name)
        return _Part(FIELDS[name], operator.itemgetter(name))

    def _constant(self, node: ast.Constant) -> _Part:
        value = node.value
        types = {bool: TRUTH, int: NUMBER, float: NUMBER, str: TEXT}
        if type(value) not in types:
            raise self._error(f"has {ast.unparse(node)!r}, which is not supported", "")
        return _Part(types[type(value)], lambda _: value)

    def _need(self, part: _Part, type: str, node: ast.expr) -> _Part:
        if part.type != type:
            raise self._error(f"has {ast.unparse(node)!r}, which is {part.type}", "", f"{type} there")
        return part

    def _error(self, found: str, remedy: str, expected: str = "") -> OptionError:
        expected = expected or "a condition such as \"persons >= 4 and 'scarf' in classes\""
        return OptionError("where", f"{self.text[:200]!r} {found}", expected, remedy)
