"""Mix several sets, and oversample images with rare classes, in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from mhpdata.errors import OptionError
from mhpdata.options import in_words
from mhpdata.settings.rules import POSITIVE, Checked, Choice, Each, OrNone, Rule, option

Sampling = Literal["all", "rare"]
SAMPLES: tuple[Sampling, ...] = get_args(Sampling)


class _Remap(Rule):
    """None, the name of a table, the path of a JSON file, or JSON text."""

    def take(self, name: str, value: Any, usual: Any) -> Any:
        """Return the value, a path as text; raise OptionError for anything else."""
        if value is not None and not isinstance(value, str | Path):
            remedy = "Pass 'common', the path of a JSON file, or its text."
            raise OptionError(name, in_words(value), "a table of labels", remedy)
        return str(value) if isinstance(value, Path) else value


@dataclass(frozen=True)
class Mix(Checked):
    """Combine several sets. An epoch has as many samples as all sets together, with any weights.

    A small set with a large weight is oversampled; repeats get independent augmentation. ``sample="rare"`` draws images
    with rare classes more often (``mhpdata.loading.weights``).
    """

    weights: Sequence[float] | None = option(
        None,
        OrNone(Each(POSITIVE)),
        "Relative shares of the packed folders in an epoch, such as 1,1,2.  [default: each image once]",
        flag="mix",
    )
    sample: Sampling = option(
        SAMPLES[0],
        Choice(SAMPLES),
        "Sampling of images: all draws uniformly, rare oversamples images with rare classes.",
    )
    remap: str | Path | None = option(
        None,
        _Remap(),
        "Map the labels of all packed folders to one set of classes: 'common' (classes that LV-MHP v1, v2 and CIHP "
        "share), a label set of mhp labels, or a JSON file (docs/datasets.md). Required if their classes differ.",
    )
