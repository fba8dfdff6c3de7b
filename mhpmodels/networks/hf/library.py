"""Import transformers, and make its configs.

transformers takes seconds to import, so nothing here runs before a network of it is asked for. Its progress bars and
reports are silenced while it loads weights: what matters is reported as errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mhpdata.errors import CheckpointError, MissingError
from mhpdata.fields import parse_json
from mhpdata.wording import error_in_words
from mhpmodels.hub_folder import CONFIG
from mhpmodels.networks.hf.described import MAX_WEIGHTS, take_fields
from mhpmodels.networks.hf.presets import PRESETS


def import_transformers() -> Any:
    """Return the module transformers. Raises MissingError if it cannot be imported."""
    try:
        import transformers
    except ImportError as error:
        remedy = 'In the folder of mhp\'s source, run: pip install ".[hf]".'
        raise MissingError("transformers", f"cannot be imported ({error})", "", remedy) from error
    return transformers


def fields_of(backbone: str, described: str | None, kinds: tuple[str, ...]) -> dict[str, Any]:
    """Return the fields of a backbone's config: those of a preset, or the known ones of a folder's ``config.json``.

    Args:
        backbone: a key of PRESETS, or the path of a folder.
        described: the folder's ``config.json`` as text; None for a preset.
        kinds: values of ``model_type`` that the caller can use.

    Raises:
        CheckpointError: ``described`` is no JSON object, or as for ``take_fields``.
    """
    if described is None:
        return dict(PRESETS[backbone])
    place, remedy = Path(backbone) / CONFIG, "Pass the checkpoint as mhp train wrote it; its config keeps this text."
    try:
        content = parse_json(described)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(place, f"is not JSON ({error_in_words(error)})", "a JSON object", remedy) from error
    if not isinstance(content, dict):
        raise CheckpointError(place, "is not a JSON object", "one that describes a network", remedy)
    return take_fields(content, place, kinds)


def make_config(fields: dict[str, Any], **more: Any) -> Any:
    """Return the config of transformers with these fields, of the class that ``model_type`` names."""
    fields = {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}
    kind = fields.pop("model_type")
    return import_transformers().AutoConfig.for_model(kind, **{**fields, **more})


def check_size(kind: Any, config: Any, place: object) -> None:
    """Raise CheckpointError if a config describes more numbers than any published network, before any are allocated.

    Args:
        kind: class of transformers, or function, that builds the network from the config.
        config: the config.
        place: path of its file, for error messages.
    """
    import torch

    with torch.device("meta"), silent():
        network = kind(config)
    numbers = sum(x.numel() for x in (*network.parameters(), *network.buffers()))
    if numbers > MAX_WEIGHTS:
        remedy = "Check the file; no published network of this kind is as large."
        raise CheckpointError(place, f"describes {numbers:.2g} weights", f"at most {MAX_WEIGHTS:.2g}", remedy)


@contextmanager
def silent() -> Iterator[None]:
    """Silence transformers' log and progress bars, and restore both."""
    log = import_transformers().utils.logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()
