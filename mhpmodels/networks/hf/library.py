"""Import transformers, and make its configs.

transformers takes seconds to import, so nothing here runs before a network of it is asked for. Its progress bars and
reports are silenced while it loads weights: what matters is reported as errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mhpdata.errors import MissingError
from mhpdata.fields import parse_json
from mhpmodels.hub_folder import CONFIG
from mhpmodels.networks.hf.described import take_fields
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
        CheckpointError: as for ``take_fields``.
    """
    if described is None:
        return dict(PRESETS[backbone])
    return take_fields(parse_json(described), Path(backbone) / CONFIG, kinds)


def make_config(fields: dict[str, Any], **more: Any) -> Any:
    """Return the config of transformers with these fields, of the class that ``model_type`` names."""
    fields = {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}
    kind = fields.pop("model_type")
    return import_transformers().AutoConfig.for_model(kind, **{**fields, **more})


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
