"""Read and write MXNet's ``.params`` files, which hold named arrays, with NumPy only; translate names to torch's.

The format (MXNet 1.x, src/ndarray/ndarray.cc), all little-endian::

    u64 0x112, u64 0                            a list of arrays
    u64 count, then each array:
        u32 0xF993FAC9 (MXNet 1.0 and later), or 0xF993FACA (the same with NumPy's shapes), or 0xF993FAC8 (0.x)
        i32 storage: 0, dense                   not in 0xF993FAC8
        u32 ndim, i64 size of each axis         ndim 0 in 0xF993FAC9 and 0xF993FAC8: no array, and nothing follows
        i32 device, i32 its number              cpu(0) is 1, 0; ignored
        i32 type                                see TYPES
        the values
    u64 count, then each name: u64 length, UTF-8

The rule: every size is checked against the bytes left in the file before anything of that size is allocated, so a
malicious file raises an error and never causes a large allocation. Bytes after the last name are an error.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import CheckpointError, OutputError
from mhpdata.filesystem.descriptors import open_file
from mhpdata.filesystem.regular import read_regular
from mhpdata.wording import to_open, to_write, unread, why

TYPES = {0: "<f4", 1: "<f8", 2: "<f2", 3: "|u1", 4: "<i4", 5: "|i1", 6: "<i8"}
_CODES = {np.dtype(name): code for code, name in TYPES.items()}
_LIST, _V1, _V2, _V3 = 0x112, 0xF993FAC8, 0xF993FAC9, 0xF993FACA
START = struct.pack("<Q", _LIST)
"""First bytes of a file."""
_TORCH = {"gamma": "weight", "beta": "bias"}
_MOST_AXES = 32
MAX_BYTES = 1 << 34
"""Maximum size of a file of weights, in bytes: four billion float32."""
FITTING = (
    "Pass the --model, --backbone and --aux (for mhp eval and mhp predict also --classes) that the weights were "
    'trained with (listed under "config" in the .json of an mhp train checkpoint), or pass weights of the requested '
    "network."
)
"""Remedy for weights of another network."""
EARLIER = (
    "Pass an earlier checkpoint of the run, saved before its weights became non-finite, or start a new run with a "
    "lower --lr."
)
"""Remedy for weights with infinities or NaN."""
Arrays = dict[str, NDArray[Any]]


def read_params(path: str | Path) -> Arrays:
    """Return the arrays of a ``.params`` file, {name: array}, in the file's order.

    The prefixes ``arg:`` and ``aux:`` of exported models are removed.

    Raises:
        CheckpointError: the file cannot be read or is invalid.
    """
    try:
        data = read_regular(path, MAX_BYTES)
    except OSError as error:
        remedy = to_open(error, path, "a .params file, such as one that mhp train --engine mxnet or GluonCV wrote")
        raise CheckpointError(path, unread(error), "a .params file", remedy) from error
    return parse_params(data, str(path))


def parse_params(data: bytes, place: str = "the .params file") -> Arrays:
    """Return the arrays of a ``.params`` file, as ``read_params``.

    Args:
        data: content of the file.
        place: name of the file, for error messages.

    Raises:
        CheckpointError: the content is invalid.
    """
    cursor = _Cursor(data, place)
    if cursor.take("<QQ") != (_LIST, 0):
        remedy = "Pass a file that GluonCV or mhp train --engine mxnet wrote, or convert a .pt file with mhp convert."
        raise CheckpointError(place, "does not begin with the header of MXNet arrays", "a .params file", remedy)
    arrays = [_read_array(cursor) for _ in range(cursor.count(4, "arrays"))]
    names = [_read_name(cursor) for _ in range(cursor.count(8, "names"))]
    if cursor.left:
        raise cursor.damaged(f"{cursor.left} bytes after the last name")
    if len(set(names)) != len(arrays) or len(names) != len(arrays):
        raise cursor.damaged(f"{len(arrays)} arrays with {len(set(names))} different names")
    return dict(zip(names, arrays, strict=True))


def write_params(path: str | Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a file that MXNet and GluonCV load, byte-identical to what MXNet 1.9 writes for the same arrays.

    Raises:
        OutputError: the file cannot be written.
        CheckpointError: an array has a type that the format does not support, or no axes.
    """
    parts = [struct.pack("<QQQ", _LIST, 0, len(arrays))]
    for name, array in arrays.items():
        code = _CODES.get(array.dtype)
        if code is None or not array.ndim:
            known = ", ".join(str(np.dtype(kind)) for kind in TYPES.values())
            remedy = f"Convert {name} with .astype('float32') and give it an axis, or omit it if no network needs it."
            raise CheckpointError(
                path, f"{name} is {array.dtype} {array.shape}", f"{known}, with at least one axis", remedy
            )
        parts.append(struct.pack(f"<IiI{array.ndim}qiii", _V2, 0, array.ndim, *array.shape, 1, 0, code))
        parts.append(np.ascontiguousarray(array).tobytes())
    parts.append(struct.pack("<Q", len(arrays)))
    for name in arrays:
        encoded = name.encode()
        parts.append(struct.pack("<Q", len(encoded)) + encoded)
    try:
        with open_file(path, "wb") as file:
            file.writelines(parts)
    except OSError as error:
        raise OutputError(path, f"cannot be written ({why(error)})", "", to_write(error, path)) from error


def to_torch_names(arrays: Mapping[str, NDArray[Any]], place: str = "the arrays") -> Arrays:
    """Rename GluonCV's arrays to the keys of a torch state dict: gamma becomes weight, beta becomes bias.

    Args:
        arrays: arrays by GluonCV's names.
        place: name of the file, for error messages.

    Raises:
        CheckpointError: two arrays get the same name.
    """
    renamed = {_renamed(name, _TORCH): array for name, array in arrays.items()}
    if len(renamed) != len(arrays):
        twice = next(name for name, count in Counter(_renamed(n, _TORCH) for n in arrays).items() if count > 1)
        both = " and ".join([name for name in arrays if _renamed(name, _TORCH) == twice][:2])
        remedy = (
            "Pass an unchanged file from GluonCV's net.save_parameters, or remove the array that the network does not "
            "use."
        )
        raise CheckpointError(place, f"arrays {both} both become {twice} in torch", "one of the two", remedy)
    return renamed


def to_gluon_names(arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Rename the arrays of a torch state dict to GluonCV's names, the inverse of ``to_torch_names``.

    In modules with a running mean, weight becomes gamma and bias becomes beta. torch's ``num_batches_tracked``, which
    GluonCV does not have, is left out.
    """
    norms = {name.rpartition(".")[0] for name in arrays if name.endswith(".running_mean")}
    renamed = {}
    for name, array in arrays.items():
        module, _, last = name.rpartition(".")
        if last != "num_batches_tracked":
            renamed[_renamed(name, {"weight": "gamma", "bias": "beta"} if module in norms else {})] = array
    return renamed


def _renamed(name: str, names: Mapping[str, str]) -> str:
    module, dot, last = name.rpartition(".")
    return module + dot + names.get(last, last)


def _read_array(cursor: _Cursor) -> NDArray[Any]:
    (magic,) = cursor.take("<I")
    if magic not in (_V1, _V2, _V3):
        raise cursor.damaged(f"an array that begins with {magic:#010x}")
    if magic != _V1 and cursor.take("<i") != (0,):
        raise cursor.damaged("a sparse array")
    (ndim,) = cursor.take("<I")
    if ndim > _MOST_AXES or (ndim == 0 and magic != _V3):
        raise cursor.damaged(f"an array of {ndim} axes")
    shape = cursor.take(f"<{ndim}q")
    _, _, code = cursor.take("<iii")
    if code not in TYPES:
        raise cursor.damaged(f"an array of type {code}")
    if any(size < 1 for size in shape):
        raise cursor.damaged(f"an array of shape {shape}")
    dtype = np.dtype(TYPES[code])
    values = cursor.view(math.prod(shape) * dtype.itemsize, f"an array of shape {shape}")
    array: NDArray[Any] = np.frombuffer(values, dtype).reshape(shape).copy()
    return array


def _read_name(cursor: _Cursor) -> str:
    try:
        (length,) = cursor.take("<Q")
        name = bytes(cursor.view(length, "a name")).decode()
    except UnicodeDecodeError as error:
        raise cursor.damaged("a name that is not UTF-8") from error
    return name.removeprefix("arg:").removeprefix("aux:")


class _Cursor:
    """A read position in bytes, with every size checked against the bytes left."""

    def __init__(self, data: bytes, place: str) -> None:
        self._data, self._place, self._at = memoryview(data), place, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def view(self, size: int, what: str) -> memoryview:
        if size > self.left:
            raise self.damaged(f"{what} takes {size} bytes, {self.left} are left")
        self._at += size
        return self._data[self._at - size : self._at]

    def take(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self.view(struct.calcsize(layout), "a number"))

    def count(self, least: int, what: str) -> int:
        """Read the number of items that follow, each at least ``least`` bytes long; ``what`` names them in an error."""
        (number,) = self.take("<Q")
        if number * least > self.left:
            raise self.damaged(f"{number} {what} in {self.left} bytes")
        return number

    def damaged(self, found: str) -> CheckpointError:
        name = Path(self._place).name
        remedy = f"If this is a copy, copy {name} again from its source; otherwise pass another file."
        return CheckpointError(
            self._place, f"is damaged at byte {self._at}: {found}", "a complete .params file", remedy
        )
