"""Learning-rate factors by depth: blocks near the image change less than blocks near the heads.

Layer-wise decay as in Bao et al., "BEiT", ICLR 2022 (arXiv 2106.08254), section 3.1: with L levels from the stem, level
0, to the last block, level L - 1, a level has the factor decay ** (L - level), and the heads have 1.

A network lists its levels in an attribute ``levels``: for each level from the stem on, the names of its modules. What
is in no level, such as a head, keeps its rate.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from mhpdata.errors import OptionError


def depth_factors(network: nn.Module, decay: float) -> dict[str, float]:
    """Return the factor of each parameter by name; {} for a decay of 1.

    Args:
        network: network with ``levels``.
        decay: factor from each level to the one before it.

    Raises:
        OptionError: the network has no levels.
    """
    if decay == 1.0:
        return {}
    levels: Any = getattr(network, "levels", None)
    if not levels:
        remedy = (
            "Omit --layer-decay, or give your network an attribute levels: for each block from the first to the last, "
            "a tuple of names of its modules."
        )
        raise OptionError("layer_decay", f"{decay:g} for a network without levels", "a network with levels", remedy)
    prefixes = {f"{module}.": decay ** (len(levels) - level) for level, names in enumerate(levels) for module in names}
    found = {}
    for name, _ in network.named_parameters():
        prefix = next((prefix for prefix in prefixes if f"{name}.".startswith(prefix)), None)
        found[name] = 1.0 if prefix is None else prefixes[prefix]
    return found
