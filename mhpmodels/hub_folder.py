"""Read the ``config.json`` of a folder in the form of Hugging Face's hub, as text that a run's config can keep.

::

    FOLDER/config.json                        architecture, names of classes       read here
    FOLDER/model.safetensors                  weights, or several such files and an index      mhpmodels.networks.hf
    FOLDER/pytorch_model.bin                  the same in torch's form

The rule: the folder is untrusted. The text is parsed and its size checked here; ``mhpmodels.networks.hf.described``
takes known fields from it and checks their values.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mhpdata.errors import CheckpointError
from mhpdata.fields import parse_json
from mhpdata.filesystem.regular import read_regular
from mhpdata.wording import error_in_words, unread

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""Files of weights; of both, the first is read. Of several files, NAME.index.json names all."""
MAX_BYTES = 1 << 20
"""Maximum size of a JSON file of the folder, in bytes; the hub's are below 100 KB."""


def read_config(folder: str | Path) -> str:
    """Return the ``config.json`` of a folder as compact JSON. Raises CheckpointError."""
    return json.dumps(read_object(Path(folder).expanduser() / CONFIG), separators=(",", ":"))


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file of the folder. Raises CheckpointError."""
    expected = f"{path.name} as transformers' save_pretrained writes it"
    remedy = "Pass the folder of a model in the form of Hugging Face's hub, which holds this file."
    try:
        content = parse_json(read_regular(path, MAX_BYTES).decode())
    except OSError as error:
        raise CheckpointError(path, unread(error), expected, remedy) from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(path, f"is not JSON ({error_in_words(error)})", expected, remedy) from error
    if not isinstance(content, dict):
        raise CheckpointError(path, "is not a JSON object", expected, remedy)
    return content


def only_file(folder: Path) -> str | None:
    """Return the name of the file that holds all weights of a folder; None if there are several, or none."""
    for name in WEIGHTS:
        if (folder / name).exists():
            return name
        if (folder / f"{name}.index.json").exists():
            return None
    return None
