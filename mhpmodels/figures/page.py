"""Draw text, images and colours on a page, in pixel coordinates from the top left.

Text is drawn on Matplotlib's Agg canvas without pyplot or other global state. Images are copied pixel by pixel. The
same calls give the same bytes with the same library versions.

Out: uint8 (height, WIDTH, 3) RGB.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from mhpdata.errors import MissingError

Pixels = npt.NDArray[np.uint8]
Color = tuple[int, int, int]

WIDTH, MARGIN = 1840, 40
INK, MUTED = "#1b1f24", "#5b636c"
LINE: Color = (207, 212, 218)


class Page:
    """A page, WIDTH pixels wide. Drawing starts at the pen, ``y`` pixels from the top; ``picture`` sets the height.

    Raises:
        MissingError: Matplotlib is not installed.
    """

    def __init__(self) -> None:
        try:
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
            from matplotlib.font_manager import findfont, get_font
            from matplotlib.transforms import Affine2D
        except ImportError as error:
            remedy = "Run: pip install matplotlib."
            raise MissingError("matplotlib", f"cannot be imported ({error})", "", remedy) from error
        self.y = MARGIN
        # At 72 dpi a point is a pixel. Matplotlib's types differ between versions, hence Any.
        self._figure: Any = Figure(figsize=(1, 1), dpi=72, facecolor="white")
        self._figure.set_layout_engine("none")
        self._canvas: Any = FigureCanvasAgg(self._figure)
        self._drawn = frozenset(get_font(findfont(_font(10, bold=False))).get_charmap())
        self._from_top = Affine2D()
        self._images: list[tuple[int, int, Pixels]] = []

    def down(self, pixels: int) -> None:
        """Move the pen down by a number of pixels."""
        self.y += pixels

    def image(self, x: int, pixels: Pixels, frame: int = 1, above: int = 0) -> None:
        """Draw an image with a thin frame.

        Args:
            x: left edge, in pixels.
            pixels: uint8 (height, width, 3) RGB.
            frame: width of the frame, in pixels.
            above: distance of the top edge above the pen, in pixels.
        """
        framed = np.full((pixels.shape[0] + 2 * frame, pixels.shape[1] + 2 * frame, 3), LINE, np.uint8)
        framed[frame : frame + pixels.shape[0], frame : frame + pixels.shape[1]] = pixels
        self._images.append((x - frame, self.y - above - frame, framed))

    def swatch(self, x: int, size: tuple[int, int], color: Color) -> None:
        """Draw a rectangle of colour, vertically centred on a line of text; ``size`` is (height, width)."""
        self.image(x, np.full((*size, 3), color, np.uint8), above=size[0] // 2 - 9)

    def text(self, x: int, text: str, size: int, color: str = INK, bold: bool = False, below: int = 0) -> None:
        """Draw a line of text of ``size`` pixels, its top at the pen or ``below`` pixels lower."""
        self._text(x, self.y + below + 0.95 * size, text, size, color, bold)

    def centred(self, x: float, y: float, text: str, color: str, outline: str | None = None) -> None:
        """Draw a short text centred on a point, ``y`` pixels below the pen, with an optional outline colour."""
        from matplotlib.patheffects import withStroke

        drawn = self._text(x, self.y + y, text, 18, color, bold=outline is not None, ha="center", va="center")
        if outline is not None:
            drawn.set_path_effects([withStroke(linewidth=3.5, foreground=outline)])

    def width(self, text: str, size: int, bold: bool = False) -> int:
        """Return the width of a line of text, in pixels."""
        draw = self._canvas.get_renderer()
        width: float = draw.get_text_width_height_descent(self._drawable(text), _font(size, bold), ismath=False)[0]
        return math.ceil(width)

    def clip(self, text: str, size: int, limit: int, bold: bool = False) -> str:
        """Return the text, shortened with an ellipsis to at most ``limit`` pixels."""
        kept = text[: limit // 2]
        while kept and self.width(kept + "…" * (kept != text), size, bold) > limit:
            kept = kept[:-1]
        return kept + "…" * (kept != text)

    def picture(self, height: int) -> Pixels:
        """Return the page as uint8 (height, WIDTH, 3) RGB."""
        self._figure.set_size_inches((WIDTH + 0.25) / 72, (height + 0.25) / 72)  # Agg rounds down
        self._from_top.scale(1, -1).translate(0, height)
        for x, y, pixels in self._images:
            drawn = self._figure.figimage(pixels, xo=x, yo=height - y - pixels.shape[0], origin="upper")
            drawn.set_interpolation("nearest")
        self._canvas.draw()
        return np.ascontiguousarray(np.asarray(self._canvas.buffer_rgba())[:, :, :3])

    def _text(self, x: float, y: float, text: str, size: int, color: str, bold: bool, **align: Any) -> Any:
        return self._figure.text(
            x,
            y,
            self._drawable(text),
            transform=self._from_top,
            fontproperties=_font(size, bold),
            color=color,
            parse_math=False,
            usetex=False,
            **align,
        )

    def _drawable(self, text: str) -> str:
        """Return the text with a replacement character for each character that the font lacks."""
        return "".join(c if ord(c) in self._drawn else "\N{REPLACEMENT CHARACTER}" for c in text)


def _font(size: int, bold: bool) -> Any:
    from matplotlib.font_manager import FontProperties

    return FontProperties(family="DejaVu Sans", size=size, weight="bold" if bold else "normal")  # Matplotlib ships it
