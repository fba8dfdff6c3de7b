"""Read the ``config.json`` of a folder in the form of Hugging Face's hub, as text that a run's config can keep.

::

    FOLDER/config.json                        architecture, names of classes       read here
    FOLDER/model.safetensors                  weights, or several such files and an index      mhpmodels.networks.hf
    FOLDER/pytorch_model.bin                  the same in torch's form

The rule: the folder is untrusted. No link leads out of it, except to the cache that the hub's own program keeps. The
text is parsed and its size checked here; ``mhpmodels.networks.hf.described`` takes known fields from it and checks
their values.
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


def check_whole(path: Path) -> None:
    """Raise CheckpointError if a path is one file of such a folder, which is passed as a whole."""
    file = path.name == CONFIG or path.suffix == ".safetensors" or path.name in WEIGHTS
    if file and path.is_file() and (path.parent / CONFIG).is_file():
        found = "is one file of a folder in the form of Hugging Face's hub"
        raise CheckpointError(path, found, "the folder", f"Pass the folder: {path.parent}.")


def check_run(folder: Path) -> None:
    """Raise CheckpointError if a folder is in the form of Hugging Face's hub, where a run of mhp train is wanted."""
    if (folder / CONFIG).is_file() and not any(folder.glob("epoch_*.json")):
        found = "is a folder in the form of Hugging Face's hub, whose files mhp neither converts nor describes"
        remedy = f"Predict with it: mhp predict --checkpoint {folder}."
        raise CheckpointError(folder, found, "weights, or the folder of a run of mhp train", remedy)


def check_inside(path: Path) -> None:
    """Raise CheckpointError if a file of the folder is a link out of it, other than to the cache of the hub."""
    home = path.parent.resolve()
    allowed = [home, home.parents[1] / "blobs"] if home.parent.name == "snapshots" else [home]
    if not any(path.resolve().is_relative_to(one) for one in allowed):
        raise CheckpointError(path, f"is a link to {path.resolve()}", "a file in the folder", "Copy the file itself.")


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file of the folder. Raises CheckpointError."""
    check_inside(path)
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
