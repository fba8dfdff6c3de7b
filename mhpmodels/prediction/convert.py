"""Convert weights between ``.params`` (MXNet, GluonCV) and ``.pt`` (torch), and export a network to ``.onnx``.

The rule: tensors are renamed and never changed, so ``.params`` to ``.pt`` and back gives a byte-identical file. An
``.onnx`` file holds the whole network for inference and the class names of its checkpoint; it cannot be converted back.
The provenance of the weights goes with them: inside an ``.onnx`` file, and in a file beside the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mhpdata.errors import CheckpointError, MhpError, MissingError, OptionError
from mhpdata.filesystem.atomic import replacing
from mhpdata.options import check_path
from mhpdata.wording import either, to_write
from mhpmodels.config import PERSONS
from mhpmodels.engines.engine import install
from mhpmodels.engines.onnx_form import MARK
from mhpmodels.files import checkpoint
from mhpmodels.files.onnx_names import notes_of
from mhpmodels.files.origins import check_origins, origins_of, write_origins
from mhpmodels.files.output import check_free
from mhpmodels.files.params import to_gluon_names, write_params
from mhpmodels.files.provenance import Provenance
from mhpmodels.models import EFFICIENTNET, GLUONCV, HUGGING_FACE
from mhpmodels.prediction.trained import best_of_run

KINDS = (".params", ".pt", ".onnx")


def convert(source: str | Path, out: str | Path, overwrite: bool = False) -> Path:
    """Write the weights of ``source`` to ``out``, in the format that its suffix names.

    Args:
        source: ``.params`` or ``.pt`` file, recognised by its first bytes, or a run's folder for its best checkpoint.
            To write ``.onnx`` it must be a PSPNet, an ICNet, or a checkpoint of mhp train with its JSON file.
        out: file to write, with a suffix of KINDS.
        overwrite: replace an existing file.

    Returns:
        The file that was converted.

    Raises:
        OptionError: ``out`` has another suffix.
        CheckpointError: ``source`` is neither weights nor a run, has a type that ``out`` cannot hold, or for ``.onnx``
            belongs to an unknown network.
        OutputError: ``out`` exists, cannot be written, or with ``overwrite`` is a link or not a file of mhp.
        MissingError: torch, or for ``.onnx`` also onnx, onnxscript or onnxruntime, is not installed.
        EngineError: the ``.onnx`` file does not reproduce torch's logits.
    """
    source, out = check_path("source", source), check_path("out", out)
    if out.suffix not in KINDS:
        expected = f"a name that ends with {' or '.join(KINDS)}"
        raise OptionError("the output file", f"{out.name!r}", expected, f"Pass a name such as {out.stem}.pt.")
    check_free(out, overwrite)
    if out.suffix != ".onnx":
        check_origins(out)
    if source.is_dir():
        best = best_of_run(source)
        checkpoint.verify(best, state=False)
        source = best.weights
    with replacing(out) as unfinished:
        try:
            provenance = _convert(source, unfinished, out.suffix)
            if provenance and out.suffix != ".onnx":
                write_origins(out, unfinished, provenance)
        except MhpError as error:
            if error.place != str(unfinished):
                raise
            remedy = to_write(error.__cause__, out) if isinstance(error.__cause__, OSError) else error.remedy
            raise error.at(out, remedy) from error  # users do not know the temporary name
    return source


def _convert(source: Path, out: Path, suffix: str) -> Provenance:
    """Write the weights, and return their provenance."""
    try:
        from mhpmodels.engines.torch.weights import own_names, read_weights, write_weights
    except ImportError as error:
        raise MissingError("torch", f"cannot be imported ({error})", "", f"{install('torch')}.") from error

    tensors, provenance = read_weights(source), origins_of(source)
    if not source.with_suffix(".json").exists():  # mhp train writes the network's own names, without wrappers' prefixes
        tensors = own_names(tensors)
    if suffix == ".pt":
        write_weights(out, tensors)
    elif suffix == ".onnx":
        _export(source, tensors, out, provenance)
    else:
        _check_params(source, tensors)
        write_params(out, to_gluon_names({name: _array(name, tensor, source) for name, tensor in tensors.items()}))
    return provenance


def _check_params(source: Path, tensors: Mapping[str, Any]) -> None:
    """Raise CheckpointError for a network that MXNet cannot read: one of torch only, or with heads of persons."""
    config = checkpoint.read(source).config if source.with_suffix(".json").exists() else None
    persons = any(name.startswith(f"{PERSONS}.") for name in tensors)
    model = "a network" if config is None else config.network.model
    if "layer4.0.depthwise.weight" in tensors:
        model += f" on {EFFICIENTNET}"
    elif not persons and model not in HUGGING_FACE:
        return
    remedy = f"Write {source.stem}.pt instead"
    remedy += "." if model in HUGGING_FACE else f", or {source.stem}.onnx for prediction."
    found = f"holds {model}{' with heads of persons' * persons}, which no reader of .params files has"
    raise CheckpointError(
        source, found, f"{either(tuple(GLUONCV))} on a residual network, without heads of persons", remedy
    )


def _array(name: str, tensor: Any, source: Path) -> Any:
    try:
        return tensor.numpy()
    except TypeError as error:
        remedy = (
            f"In Python, run torch.save({{n: t.float() for n, t in torch.load({str(source)!r}).items()}}, "
            "'float32.pt'), then convert float32.pt."
        )
        expected = "a type that .params files support, such as float32"
        raise CheckpointError(source, f"{name} is {tensor.dtype}", expected, remedy) from error


def _export(source: Path, tensors: dict[str, Any], out: Path, provenance: Provenance) -> None:
    from mhpmodels.engines.torch.export import export_network
    from mhpmodels.engines.torch.weights import fit
    from mhpmodels.networks.architecture import Architecture, build_network

    config = checkpoint.read(source).config if source.with_suffix(".json").exists() else None
    if config is not None and config.network.queries:
        found = f"holds {config.network.model}, which torch exports for images of one size only"
        remedy = "Predict with the checkpoint itself (mhp predict --checkpoint), or export another network."
        raise CheckpointError(source, found, "a network that takes images of any size", remedy)
    if config is not None:
        architecture = Architecture.of_config(config)
    else:
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        architecture = Architecture.of_weights(shapes, str(source))
    if architecture.model in HUGGING_FACE:
        found = f"holds {architecture.model}, whose ONNX file onnxruntime does not run for images of any size"
        remedy = "Predict with the checkpoint itself: mhp predict --checkpoint; or export ICNet or PSPNet."
        raise CheckpointError(source, found, either(tuple(GLUONCV)), remedy)
    network = build_network(architecture, dropout=0.0, config=config)
    fit(network, tensors, source)
    export_network(network, out, {**MARK, **notes_of(config, provenance)}, architecture.persons)
