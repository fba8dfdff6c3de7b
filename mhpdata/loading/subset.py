"""Select the samples of a mixture, and refuse options that leave nothing to load."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mhpdata.errors import OptionError
from mhpdata.loading.leaks import find_leaks, refuse
from mhpdata.loading.mixture import Mixture
from mhpdata.settings.choosing import Choose
from mhpdata.storage.protocol import choose_names
from mhpdata.storage.split import Split
from mhpdata.wording import counted


def choose_samples(mixture: Mixture, choose: Choose, training: bool) -> np.ndarray:
    """Return the indices of the selected samples, ascending: int64 (n,).

    Args:
        mixture: Sets to select from.
        choose: Conditions. Leaks are searched only in training on several sets.
        training: Whether the samples are for training.

    Raises:
        OptionError: A name is unknown, the protocol does not fit, or the conditions leave no sample of a set.
        LeakError: ``choose.leaks`` is "fail" and an evaluation image is among the samples.
    """
    lists = _names_per_set(mixture, choose)
    chosen: list[int] = []
    for number, (split, wanted) in enumerate(zip(mixture.splits, lists, strict=True)):
        among = _among(split, wanted, choose.where)
        if not among:
            option = "where" if choose.where is not None and (wanted is None or wanted) else "names"
            remedy = (
                f"Leave {option} out to load all {len(split)} samples, which have names such as {split.names[0]!r}."
            )
            raise _nothing_left(option, split, remedy)
        counting = _counting(split, choose)
        kept = [index for index in among if counting is None or split.names[index] in counting]
        if not kept:
            option = "leak_free" if choose.leak_free else "unseen" if choose.unseen else "protocol"
            raise _nothing_left(option, split, f"Leave {option} out, or choose other images.")
        chosen += [mixture.index(number, index) for index in kept]
    samples = np.array(chosen, np.int64)
    mixed = training and len(mixture.splits) > 1
    return _without_leaks(mixture, samples, choose) if mixed else samples[: choose.limit]


def refuse_no_batch(samples: int, batch_size: int, world_size: int) -> None:
    """Raise OptionError if ``drop_last`` leaves a rank without a batch."""
    if samples < batch_size * world_size:
        found = f"{batch_size}, where {counted(samples, 'sample')}"
        found += f" for {world_size} ranks" if world_size > 1 else ""
        found += f" leave{'s' * (samples == 1 and world_size == 1)} no full batch"
        remedy = f"Pass {samples // world_size} or less; in Python drop_last=False also returns smaller batches."
        if samples < world_size:
            remedy = f"Start at most {counted(samples, 'process', 'processes')}; in Python pass drop_last=False."
        each = " on each rank" if world_size > 1 else ""
        raise OptionError("batch_size", found, f"at least one full batch{each}, as smaller ones are dropped", remedy)


def _names_per_set(mixture: Mixture, choose: Choose) -> list[Any]:
    """Return the requested names: one collection, or None, per set."""
    names: Any = choose.names
    count = len(mixture.splits)
    if count == 1:
        return [names]
    lists = [None] * count if names is None else list(names)
    if any(isinstance(one, str) for one in lists):
        remedy = f"Pass a list of {count} lists of names, with None for each set whose images are all selected."
        raise OptionError("names", "names", f"{count} collections of names, one per set", remedy)
    if len(lists) != count:
        remedy = f"Pass a list of {count} lists of names, with None for each set whose images are all selected."
        raise OptionError("names", f"{len(lists)} collections", f"{count}, one per set", remedy)
    return lists


def _among(split: Split, names: tuple[str, ...] | None, where: Callable[[str], bool] | None) -> list[int]:
    """Return the indices of a split's images that are in ``names`` and pass ``where``, in the split's order."""
    wanted = None if names is None else set(names)
    if wanted is not None and not wanted <= set(split.names):
        missing = sorted(wanted - set(split.names), key=str)
        found = ", ".join(map(repr, missing[:5])) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        like = f", such as {split.names[0]!r}" if split.names else ""
        remedy = f'Leave these out; mhpdata.open("{split.folder}", "{split.name}").names lists all names{like}.'
        if not all(isinstance(name, str) for name in missing):
            remedy = f"Pass names as text{like}."
        raise OptionError("names", found, f"names of {split.folder}, split {split.name}", remedy)
    return [
        i for i, name in enumerate(split.names) if (wanted is None or name in wanted) and (where is None or where(name))
    ]


def _counting(split: Split, choose: Choose) -> set[str] | None:
    """Return the names of a split's images that the protocol and the conditions on copies select; None for all."""
    conditions = choose.protocol, choose.leak_free, choose.unseen
    if conditions == (Choose.protocol, False, False):
        return None
    return set(choose_names(split.manifest, split.name, *conditions))


def _without_leaks(mixture: Mixture, chosen: np.ndarray, choose: Choose) -> np.ndarray:
    """Return at most ``choose.limit`` of the selected samples, without leaks; raise LeakError if that is requested."""
    leaks = find_leaks(mixture.splits)
    if choose.leaks == "skip":
        leaked = [mixture.index(number, inner) for number, one in enumerate(leaks) for inner in one]
        kept = chosen[~np.isin(chosen, leaked)]
        for number, split in enumerate(mixture.splits):
            if not (mixture.groups(kept) == number).any():
                remedy = "Leave this set out of training (mhp train: its --data, and its number in --mix)."
                raise _nothing_left("leaks", split, remedy)
        return kept[: choose.limit]
    chosen = chosen[: choose.limit]
    among = set(chosen.tolist())
    refuse(
        mixture.splits,
        [
            {inner: image for inner, image in one.items() if mixture.index(number, inner) in among}
            for number, one in enumerate(leaks)
        ],
    )
    return chosen


def _nothing_left(option: str, split: Split, remedy: str) -> OptionError:
    """Return the error for an option that leaves no sample of a set."""
    return OptionError(option, f"leaves no sample of {split.folder}, split {split.name}", "at least one", remedy)
