"""Build and check user-defined networks: ``--model package.module:function``.

What goes wrong in the user's module, function or network is an OptionError that names the function, the line, and what
mhp expects of it.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mhpdata.errors import MhpError, OptionError

if TYPE_CHECKING:
    from mhpmodels.config import TrainConfig

FUNCTION = "a function that takes the run's TrainConfig and returns a torch.nn.Module"
_CLASSES = "config.network.classes is the number of classes"
_CALL = "the function"
_NOT_THEIRS = (str(Path(torch.__file__).parent), str(Path(__file__).parents[1]), "<frozen")


def is_own(model: str) -> bool:
    """Return whether a model's name is ``package.module:function``."""
    return ":" in model


def build_own(model: str, config: TrainConfig | None) -> nn.Module:
    """Call the function of a user-defined network with ``config``; return the network.

    Args:
        model: ``package.module:function``.
        config: the options of the run.

    Raises:
        OptionError: the module or the function is missing or raises, or the result is not a ``torch.nn.Module``.
    """
    module, _, name = model.partition(":")
    with blaming(model, f"importing {module}"):
        try:
            found = import_module(module)
        except ValueError as error:  # an empty name
            raise OptionError(_place(model), str(error), "package.module:function", "Name the module.") from error
        except ModuleNotFoundError as error:
            if error.name != module and not module.startswith(f"{error.name}."):
                raise  # the module imports something that is missing
            remedy = f"Set PYTHONPATH to the folder that contains {error.name}, such as: export PYTHONPATH=$PWD."
            raise OptionError(_place(model), f"the module {error.name} was not found", "", remedy) from error
    function = getattr(found, name, None)
    if not callable(function):
        what = f"the module {module} has no {name}" if function is None else f"{name} is a {type(function).__name__}"
        remedy = f"Write the name of such a function in {module} after the colon."
        raise OptionError(_place(model), what, FUNCTION, remedy)
    with blaming(model, _CALL):
        network = function(config)
    if not isinstance(network, nn.Module):
        what = f"the function returned an object of type {type(network).__name__}"
        raise OptionError(_place(model), what, FUNCTION, "Make the function return its network.")
    return network


@contextmanager
def blaming(model: str, what: str = "the network") -> Iterator[None]:
    """Convert an exception of user-defined code to OptionError; pass on those of mhp's own networks.

    Args:
        model: name of the network.
        what: what runs, the subject of the message.
    """
    try:
        yield
    except (MhpError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if not is_own(model):
            raise
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if not frame.filename.startswith(_NOT_THEIRS)] or frames
        found = f"{what} raised {type(error).__name__}: {error} ({own[-1].filename}, line {own[-1].lineno})"
        expected = FUNCTION if what == _CALL else ""
        raise OptionError(_place(model), found, expected, f"Correct this line; {_CLASSES}.") from error


def take_outputs(
    model: str, outputs: Any, images: Tensor, classes: int, persons: bool
) -> tuple[tuple[Tensor, ...], Tensor | None]:
    """Return a network's logits, the main output first, and the output of its heads of persons, or None.

    Args:
        model: name of the network.
        outputs: what it returned: floating point (N, classes, h, w), or a tuple of such logits; with ``persons`` a pair
            of these and floating point (N, 3, h, w), of mhp's networks with queries (N, 2, H, W).
        images: the images that it got, (N, 3, H, W).
        classes: number of classes.
        persons: whether it has heads of persons.

    Raises:
        OptionError: a user-defined network returned something else; networks of mhp are not checked.
    """
    maps = None
    if persons:
        pair = isinstance(outputs, tuple) and len(outputs) == 2
        maps = outputs[1] if pair else None
        right = isinstance(maps, Tensor) and maps.ndim == 4 and maps.shape[:2] == (len(images), 3)
        if is_own(model) and not right:
            found = f"the network returned {type(outputs).__name__} with --persons"
            expected = f"a pair of logits and a tensor ({len(images)}, 3, h, w) of centres and offsets"
            raise OptionError(_place(model), found, expected, "Return such a pair, or omit --persons.")
        outputs = outputs[0]
    _check_logits(model, outputs, images, classes)
    return outputs if isinstance(outputs, tuple) else (outputs,), maps


def _check_logits(model: str, outputs: Any, images: Tensor, classes: int) -> None:
    if not is_own(model):
        return
    for logits in outputs if isinstance(outputs, tuple) and outputs else (outputs,):
        tensor = isinstance(logits, Tensor)
        if (
            not tensor
            or logits.ndim != 4
            or logits.shape[:2] != (len(images), classes)
            or not logits.is_floating_point()
        ):
            kind = (
                f"{str(logits.dtype).removeprefix('torch.')} {tuple(logits.shape)}" if tensor else type(logits).__name__
            )
            found = f"the network returned {kind} for images {tuple(images.shape)}"
            expected = f"logits ({len(images)}, {classes}, h, w), or a tuple of them"
            raise OptionError(_place(model), found, expected, f"Return one channel per class; {_CLASSES}.")


def _place(model: str) -> str:
    return f"model {model}"
