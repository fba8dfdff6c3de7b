"""Keep the position of an iteration, and check states from checkpoints: integers that are equal on every rank."""

from __future__ import annotations

from mhpdata.errors import OptionError
from mhpdata.options import check_range, in_words

KEYS = ("seed", "epoch", "position", "length")


class Standing:
    """Position of an iteration.

    Each iteration updates its own object. The loader drops that of an ended iteration, so a thread that still updates
    it has no effect on the loader.

    Attributes:
        at: (epoch, position in it, whether the next iteration begins at this position). The position counts the samples
            that all ranks have consumed. If the flag is False, the next iteration begins at the start of the epoch. One
            tuple, so an interrupt never leaves a partial update.
    """

    def __init__(self, epoch: int, position: int, there: bool) -> None:
        self.at = (epoch, position, there)


def check_state(state: dict[str, int], seed: int, length: int, held: int) -> None:
    """Refuse a state that a loader cannot continue from.

    Args:
        state: Result of ``Loader.state_dict``.
        seed, length: Seed and number of samples of the loader.
        held: Number of samples in its data, selected or not.

    Raises:
        OptionError: The state is invalid, or belongs to another seed or another set of samples.
    """
    remedy = "Pass a dict returned by state_dict() of a mhpdata.Loader."
    if not isinstance(state, dict):
        raise OptionError("state", in_words(state), "a dict", remedy)
    if set(state) != set(KEYS):
        found = f"the keys {', '.join(map(repr, state))}" if state else "no keys"
        raise OptionError("state", found, ", ".join(map(repr, KEYS)), remedy)
    if state["seed"] != seed:
        remedy = f"Create the Loader with seed={state['seed']}, or load a state saved with seed {seed}."
        raise OptionError("state", f"saved with seed {state['seed']}", f"{seed}, the seed of this loader", remedy)
    if state["length"] != length:
        found, expected = f"saved with {state['length']} samples", f"{length}, the length of this loader"
        remedy = f"Create the Loader without names, where and limit: the state covers all {held} samples of this data."
        if held != state["length"]:
            remedy = (
                "Create the Loader for the same samples as the one that returned the state: compare folder and split "
                f"({held} samples here), then names, where, limit and leaks, which leave some out."
            )
        raise OptionError("state", found, expected, remedy)
    check_range("state['position']", state["position"], 0, length)
    check_range("state['epoch']", state["epoch"], 0, 1 << 62)
