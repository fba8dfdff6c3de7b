"""Read torch's files, without more memory than their bytes: untrusted ones may claim any size.

The rule: torch reads them with ``weights_only``, its zip archives hold their members uncompressed, as torch.save writes
them, and a tensor is no larger than the memory that the file filled. A compressed member, and a tensor that repeats one
number by a stride of 0, would let a file of a few KB take all memory.
"""

from __future__ import annotations

import os
import zipfile
from typing import Any, BinaryIO

import torch
from torch import Tensor

from mhpdata.errors import CheckpointError
from mhpmodels.files.params import MAX_BYTES

_ZIP = b"PK\x03\x04"
_DAMAGED = "cannot be read: damaged, or not a torch file"
_FORM = "a file that torch.save wrote"
_AGAIN = "Pass the file as its authors published it, or save it again: torch.save(network.state_dict(), FILE)."


def load_tensors(file: BinaryIO, path: object, remedy: str, most: int = MAX_BYTES) -> Any:
    """Return the content of a file of torch's, on the CPU.

    Args:
        file: the file, opened for reading.
        path: its path, for error messages.
        remedy: for a file that is damaged, or no file of torch's.
        most: maximum size, in bytes.

    Raises:
        CheckpointError: it is too large, compressed, damaged, or holds more than tensors, numbers and text.
    """
    if os.fstat(file.fileno()).st_size > most:
        raise CheckpointError(path, f"is larger than {most} bytes", "weights", remedy)
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        file.seek(0)
        if file.read(len(_ZIP)) == _ZIP:  # torch would read it as an archive, whose members cannot be checked
            raise CheckpointError(path, _DAMAGED, _FORM, remedy) from error
        members = []  # a file of torch before 1.6, or none
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise CheckpointError(path, f"its member {member.filename[:80]} is compressed", _FORM, _AGAIN)
    if sum(member.file_size for member in members) > most:
        raise CheckpointError(path, f"holds more than {most} bytes", _FORM, _AGAIN)
    file.seek(0)
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's reader raises errors of many types
        raise CheckpointError(path, _DAMAGED, _FORM, remedy) from error


def check_memory(name: str, tensor: Tensor, path: object) -> None:
    """Raise CheckpointError for a dense tensor with more numbers than its memory holds, which any copy would write."""
    size, held = tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes()
    if size > held:
        found = f"{name} of shape {tuple(tensor.shape)} has {held} bytes"
        raise CheckpointError(path, found, f"{size}, one number per element", _AGAIN)
