"""Weights from one engine's file to another's: ``.params`` (MXNet, GluonCV), ``.pt`` (torch) and ``.onnx``.

The rule: a tensor is never changed, only renamed. ``.params`` to ``.pt`` and back gives the same file, byte for byte.
To ``.onnx`` goes the whole network, for inference, and what its checkpoint calls the classes; from it nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mhpdata.errors import CheckpointError, MhpError, MissingError, OptionError
from mhpdata.filesystem.atomic import replacing
from mhpdata.wording import to_write
from mhpmodels.engines.engine import install
from mhpmodels.files import checkpoint
from mhpmodels.files.onnx_names import notes_of
from mhpmodels.files.output import check_free
from mhpmodels.files.params import to_gluon_names, write_params
from mhpmodels.prediction.trained import best_of_run

KINDS = (".params", ".pt", ".onnx")


def convert(source: str | Path, out: str | Path, overwrite: bool = False) -> Path:
    """Write the weights of ``source`` as ``out``, whose suffix says what kind it is.

    Args:
        source: ``.params`` or ``.pt``; told by its bytes. For ``.onnx`` of PSPNet or ICNet, or a checkpoint of
            mhp-train, whose JSON beside it says what it is of. Or the folder of a run, for its best checkpoint.
        out: of KINDS.
        overwrite: replace a file that is there.

    Returns:
        The file that was converted.

    Raises:
        OptionError: another suffix.
        CheckpointError: ``source`` is no file of weights and no run, has a type that ``out`` cannot hold, or for
            ``.onnx`` is of an unknown network.
        OutputError: ``out`` is there, or cannot be written; or with ``overwrite`` is a link or of another kind.
        MissingError: torch, or for ``.onnx`` onnx, onnxscript or onnxruntime, is not installed.
        EngineError: the ``.onnx`` file does not give torch's logits.
    """
    source, out = Path(source), Path(out)
    if out.suffix not in KINDS:
        expected = f"a name that ends with {' or '.join(KINDS)}, which says what kind of file it is"
        raise OptionError("the output file", f"{out.name!r}", expected, f"Pass a name such as {out.stem}.pt.")
    check_free(out, overwrite)
    if source.is_dir():
        found = best_of_run(source)
        checkpoint.verify(found, state=False)
        source = found.weights
    with replacing(out) as part:
        try:
            _convert(source, part, out.suffix)
        except MhpError as error:
            if error.place != str(part):
                raise
            remedy = to_write(error.__cause__, out) if isinstance(error.__cause__, OSError) else error.remedy
            raise error.at(out, remedy) from error  # the part is a name that nobody knows
    return source


def _convert(source: Path, out: Path, kind: str) -> None:
    try:
        from mhpmodels.engines.torch.weights import own_names, read_weights, write_weights
    except ImportError as error:
        raise MissingError("torch", f"cannot be imported ({error})", "", f"{install('torch')}.") from error

    tensors = read_weights(source)
    if not source.with_suffix(".json").exists():  # mhp-train's names are the network's own, whatever they begin with
        tensors = own_names(tensors)
    if kind == ".pt":
        write_weights(out, tensors)
    elif kind == ".onnx":
        _export(source, tensors, out)
    else:
        write_params(out, to_gluon_names({name: _array(name, tensor, source) for name, tensor in tensors.items()}))


def _array(name: str, tensor: Any, source: Path) -> Any:
    try:
        return tensor.numpy()
    except TypeError as error:
        remedy = (
            f"In Python, torch.save({{n: t.float() for n, t in torch.load({str(source)!r}).items()}}, 'float32.pt'); "
            "then convert float32.pt."
        )
        expected = "a type that .params files have, such as float32"
        raise CheckpointError(source, f"{name} is {tensor.dtype}", expected, remedy) from error


def _export(source: Path, tensors: dict[str, Any], out: Path) -> None:
    from mhpmodels.engines.torch.export import export_network
    from mhpmodels.engines.torch.weights import fit
    from mhpmodels.networks.architecture import Architecture, build_network

    config = checkpoint.read(source).config if source.with_suffix(".json").exists() else None
    if config is not None:
        architecture = Architecture.of_config(config)
    else:
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        architecture = Architecture.of_weights(shapes, str(source))
    network = build_network(architecture, dropout=0.0, config=config)
    fit(network, tensors, source)
    export_network(network, out, {} if config is None else notes_of(config))
