"""Read the weights of a folder in the form of Hugging Face's hub, as float32 tensors by name.

::

    model.safetensors                  or several files, named by model.safetensors.index.json
    pytorch_model.bin                  or several files, named by pytorch_model.bin.index.json

The rule: the folder is untrusted. safetensors holds numbers only; torch's files are read with ``weights_only``. An
index names files inside the folder only, and links may lead only to the cache that the hub's own program keeps.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mhpdata.errors import CheckpointError
from mhpdata.filesystem.regular import open_regular
from mhpdata.wording import counted, unread
from mhpmodels.files.params import MAX_BYTES
from mhpmodels.hub_folder import WEIGHTS, check_inside, read_object
from mhpmodels.networks.torch_file import check_memory, load_tensors

MOST_FILES = 1000
_COPY = "Copy the file again from its source."


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """Return the weights of a folder: float32, except for whole numbers, on the CPU.

    Raises:
        CheckpointError: there are none, or a file is damaged, too large or outside the folder.
    """
    readers: tuple[Callable[[Path], dict[str, Any]], ...] = (_safe, _pickled)
    for name, read in zip(WEIGHTS, readers, strict=True):
        names = _names(folder, name)
        if names:
            tensors: dict[str, Tensor] = {}
            left = MAX_BYTES
            for part in names:
                path = _inside(folder, part)
                left -= _size(path, left)
                tensors |= {key: _checked(key, tensor, path) for key, tensor in read(path).items()}
            return tensors
    expected = f"{' or '.join(WEIGHTS)}, or an index of several such files"
    remedy = "Pass a folder with weights, as save_pretrained writes it."
    raise CheckpointError(folder, "holds no weights", expected, remedy)


def _names(folder: Path, name: str) -> list[str]:
    """Return the names of the files of weights in one form; [] if the folder has none."""
    if (folder / name).exists():
        return [name]
    index = folder / f"{name}.index.json"
    if not index.exists():
        return []
    files = read_object(index).get("weight_map")
    if not isinstance(files, dict) or not all(isinstance(file, str) for file in files.values()):
        raise CheckpointError(index, "has no weight_map of file names", "{weight: file}", _COPY)
    named = sorted(set(files.values()))
    suffix = Path(name).suffix
    for file in named:
        if Path(file).name != file or file.startswith(".") or "\\" in file or not file.endswith(suffix):
            raise CheckpointError(index, f"names the file {file[:80]!r}", f"a plain name with suffix {suffix}", _COPY)
    if len(named) > MOST_FILES:
        raise CheckpointError(index, f"names {counted(len(named), 'file')}", f"at most {MOST_FILES}", _COPY)
    return named


def _inside(folder: Path, name: str) -> Path:
    """Return the path of a file; raise CheckpointError if it leads out of the folder."""
    check_inside(folder / name)
    return folder / name


def _size(path: Path, left: int) -> int:
    """Return the size of a file in bytes; raise CheckpointError if it is larger than what is left for the folder."""
    try:
        descriptor = open_regular(path)
    except OSError as error:
        raise CheckpointError(path, unread(error), "weights", _COPY) from error
    size = os.fstat(descriptor).st_size
    os.close(descriptor)
    if size > left:
        found = f"is larger than the {left} bytes left for it"
        raise CheckpointError(path, found, f"at most {MAX_BYTES} bytes of weights in a folder", _COPY)
    return size


def _safe(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(path, f"cannot be read ({error})", "a safetensors file", _COPY) from error


def _pickled(path: Path) -> dict[str, Any]:
    remedy = f"{_COPY} If it holds more than tensors, numbers and text, convert it to safetensors."
    with os.fdopen(open_regular(path), "rb") as file:
        content = load_tensors(file, path, remedy)
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise CheckpointError(path, "holds no named tensors", "a state dict", _COPY)
    return content


def _checked(name: str, tensor: Any, path: Path) -> Tensor:
    if not isinstance(tensor, Tensor) or tensor.layout != torch.strided or tensor.is_complex() or tensor.is_meta:
        raise CheckpointError(path, f"{name} is no dense tensor of real numbers", "one", _COPY)
    check_memory(name, tensor, path)
    if not tensor.is_floating_point():
        return tensor
    tensor = tensor.float()
    if not tensor.isfinite().all():
        raise CheckpointError(path, f"{name} has infinities or NaN", "finite numbers", _COPY)
    return tensor
