"""Where an iteration stands, and the state of it that a checkpoint keeps: plain numbers, the same on every rank."""

from __future__ import annotations

from mhpdata.errors import OptionError
from mhpdata.options import check_range

KEYS = ("seed", "epoch", "position", "length")


class Standing:
    """The position of an iteration.

    An iteration changes its own only, and the one of an ended iteration is no longer the loader's: what another thread
    still does there changes nothing.

    Attributes:
        at: epoch, position in it (samples that all ranks have consumed), and whether the next iteration begins there;
            otherwise it begins at the epoch's beginning. One value, so that an interrupt never leaves half of a change.
    """

    def __init__(self, epoch: int, position: int, there: bool) -> None:
        self.at = (epoch, position, there)


def check_state(state: dict[str, int], seed: int, length: int, held: int) -> None:
    """Refuse a state that a loader cannot continue from.

    Args:
        state: what ``Loader.state_dict`` gave.
        seed, length: the loader's seed and number of samples.
        held: the number of samples in its data, chosen or not.

    Raises:
        OptionError: the state is of another seed or another set of samples, or no state.
    """
    if set(state) != set(KEYS):
        found = f"the keys {', '.join(map(repr, state))}" if state else "no keys"
        remedy = "Pass a dict returned by state_dict() of a mhpdata.Loader."
        raise OptionError("state", found, ", ".join(map(repr, KEYS)), remedy)
    if state["seed"] != seed:
        remedy = f"Create the Loader with seed={state['seed']}, as the Loader that gave the state."
        raise OptionError("state", f"seed {state['seed']}", f"{seed}, as this loader has", remedy)
    if state["length"] != length:
        found, expected = f"length {state['length']} (samples)", f"{length}, as this loader has"
        remedy = f"Create the Loader without names, where and limit: the state covers all {held} samples of this data."
        if held != state["length"]:
            remedy = (
                "Create the Loader for the same samples as the one that gave the state: compare folder and split "
                f"(these hold {held}), then names, where, limit and leaks, which leave some out."
            )
        raise OptionError("state", found, expected, remedy)
    check_range("state['position']", state["position"], 0, length)
    check_range("state['epoch']", state["epoch"], 0, 1 << 62)
