"""A read-only mapping with attributes: the base of samples and batches.

Training frameworks take a batch apart, move its tensors to a device or collate several, and build another of the same
type. They support mappings but not frozen dataclasses, and this base depends on none of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class Named(Mapping[str, Any]):
    """A read-only mapping whose values are also attributes: ``batch["images"]`` is ``batch.images``.

    A subclass annotates its values, in order. The constructor takes them as a dataclass does, by position or by name,
    or from one mapping. A value that is left out is None as an attribute; a value that is None is not a key.
    """

    APART: frozenset[str] = frozenset()  # values that are attributes but not keys

    def __init__(self, *values: Any, **named: Any) -> None:
        names = [name for name in type(self).__annotations__ if name != "APART"]
        if len(values) == 1 and isinstance(values[0], Mapping):
            named.update(values[0])
            values = ()
        if len(values) > len(names) or not set(named) <= set(names[len(values) :]):
            raise TypeError(f"{type(self).__name__}() takes {', '.join(names)}, each once, or one mapping of them")
        vars(self).update(dict.fromkeys(names), **dict(zip(names, values, strict=False)), **named)

    def __getitem__(self, key: str) -> Any:
        value = vars(self).get(key) if key in type(self).__annotations__ and key not in self.APART else None
        if value is None:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[str]:
        return (key for key in type(self).__annotations__ if key not in self.APART and vars(self).get(key) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is read-only: pass {{**it, {name!r}: ...}} to make another")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is read-only")

    def __repr__(self) -> str:
        items = [f"{key}={_short(value)}" for key, value in self.items()]
        return f"{type(self).__name__}({', '.join(items)})"


def _short(value: Any) -> str:
    shape = getattr(value, "shape", None)
    if shape is not None:
        return f"{value.dtype} {tuple(shape)}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
