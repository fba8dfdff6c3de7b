"""Find the files beside an ONNX file that hold its large tensors, and read them, without importing onnx.

The rule: the file is untrusted, and onnxruntime opens any path that a tensor names. So the tensors are listed here from
the protobuf messages, each must name a plain file in the same folder, and onnxruntime gets the bytes of these files,
never a path.

Field numbers are those of ``onnx/onnx.proto`` (ONNX 1.23), the encoding that of Protocol Buffers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from mhpdata.errors import CheckpointError
from mhpdata.filesystem.regular import read_regular
from mhpdata.wording import to_open, unread

_INSIDE: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
"""{message: {field: message in it}}, as far as tensors lie below."""
_DEPTH = 64
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
"""Types of fields."""
_EXPORT = "Export the file again with the program that wrote it; onnx.save(model, FILE) writes a file without others."


def read_external(content: bytes, path: str | Path, limit: int) -> dict[str, bytes]:
    """Return the files that an ONNX file's tensors name: {name: content}.

    Args:
        content: bytes of the file.
        path: its path.
        limit: maximum bytes of all files together.

    Raises:
        CheckpointError: the file is no ONNX file, names a path outside its folder, or a file cannot be read.
    """
    try:
        names = sorted(set(_locations(memoryview(content), "model", 0)))
    except ValueError as error:
        remedy = f"If this is a copy, copy {Path(path).name} again; otherwise export it again."
        raise CheckpointError(path, f"is not an ONNX file ({error})", "a model", remedy) from error
    found: dict[str, bytes] = {}
    for name in names:
        if not name or name in (".", "..") or set(name) & set("/\\\0"):
            raise CheckpointError(path, f"its weights are in {name!r}", "a file name, in the same folder", _EXPORT)
        file = Path(path).parent / name
        if file.resolve().parent != Path(path).parent.resolve():
            remedy = f"Copy {Path(path).name} and the files beside it to another folder with cp -rL."
            raise CheckpointError(file, "a link to another folder", f"weights of {Path(path).name}", remedy)
        try:
            found[name] = read_regular(file, limit - sum(map(len, found.values())))
        except OSError as error:
            remedy = to_open(error, file, f"the files of {Path(path).name}, copied together")
            raise CheckpointError(file, unread(error), f"weights of {Path(path).name}", remedy) from error
    return found


def _locations(message: memoryview, kind: str, depth: int) -> Iterator[str]:
    """Yield the name of each file that a message's tensors name. Raises ValueError for a damaged message."""
    if depth > _DEPTH:
        raise ValueError("messages nested too deeply")
    for field, value in _fields(message):
        inner = _INSIDE[kind].get(field)
        if inner is None or value is None:
            continue
        if inner != "entry":
            yield from _locations(value, inner, depth + 1)
            continue
        texts = {key: bytes(text) for key, text in _fields(value) if text is not None}
        if texts.get(1) == b"location":
            yield texts.get(2, b"").decode("utf-8")


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | None]]:
    """Yield the number of each field of a message, with its bytes if it has any."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        field, kind = tag >> 3, tag & 7
        if not field or tag >> 32:  # onnxruntime drops the bits above 32, and sees another field
            raise ValueError("a field without a valid number")
        if kind == _BYTES:
            size, place = _varint(message, place)
            if size > len(message) - place:
                raise ValueError("a field is longer than its message")
            yield field, message[place : place + size]
            place += size
        elif kind == _VARINT:
            _, place = _varint(message, place)
            yield field, None
        elif kind in (_FIXED32, _FIXED64):
            place += 4 if kind == _FIXED32 else 8
            yield field, None
        else:
            raise ValueError("a field of an unknown type")
    if place > len(message):
        raise ValueError("a field is longer than its message")


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Return a number of 7 bits per byte, lowest first, and the place after it."""
    value = shift = 0
    while True:
        if place >= len(message) or shift > 63:
            raise ValueError("a number is cut off")
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
