"""Draw Matplotlib figures to pixels, in Matplotlib's own style whatever the user's is.

The same figure gives the same bytes with the same library versions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mhpdata.errors import MissingError
from mhpmodels.figures.page import MUTED, Pixels

GRID = "#e6e8eb"


def draw_chart(make: Callable[[], Any]) -> Pixels:
    """Return a Matplotlib figure as uint8 (height, width, 3) RGB.

    Args:
        make: makes the figure (``matplotlib.figure.Figure``).

    Raises:
        MissingError: Matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ImportError as error:
        remedy = "Run: pip install matplotlib."
        raise MissingError("matplotlib", f"cannot be imported ({error})", "", remedy) from error
    own = {key: value for key, value in matplotlib.rcParamsDefault.items() if not key.startswith("backend")}
    with matplotlib.rc_context(own):
        canvas: Any = FigureCanvasAgg(make())
        canvas.draw()
        return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[:, :, :3])


def quiet(axes: Any) -> None:
    """Give axes a light grid below the data, muted ticks, and no frame at the top and on the right."""
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=MUTED)
