"""Name and write the files of a prediction: a label PNG per image, overlays and a legend.

::

    out/0001.png                  labels, an indexed PNG (mhpmodels.files.png) with the dataset's palette
    out/pictures/0001.jpg         with ``overlay``: the image at its source size, the labels laid over it
    out/pictures/legend.png       with ``legend``

The label PNG of an image is written last: where it exists, the image is done.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mhpdata.filesystem.ours import head, in_the_way
from mhpdata.labels import LabelSet
from mhpmodels.files.output import check_distinct, check_free, make_folder, make_inner_folder, write_file
from mhpmodels.files.png import encode_indexed, encode_picture, is_label_map
from mhpmodels.prediction.inputs import Input
from mhpmodels.prediction.options import Options

PICTURES = "pictures"
"""The folder of overlays and legend, inside that of the label maps."""

_REMEDY = "Pass --keep to write only missing files, --overwrite to replace all files, or choose another --out."


class Outputs:
    """The output files of one prediction; with ``options.keep``, existing files are never written.

    Args:
        out: output folder.
        names: names of the images, without suffix.
        labels: classes of the network, for palette and legend.
        options: options of the prediction.

    Raises:
        OutputError: a file exists and may not be replaced.
    """

    def __init__(self, out: Path, names: Iterable[str], labels: LabelSet, options: Options) -> None:
        self._out, self._labels, self._overwrite = out, labels, options.overwrite
        self._maps = {name: out / f"{name}.png" for name in names}
        self._overlays = {name: out / PICTURES / f"{name}.jpg" for name in self._maps if options.overlay}
        self._legend = [out / PICTURES / "legend.png"] if options.legend else []
        self._kept = set()
        maps = set(self._maps.values())
        for path in (*self._maps.values(), *self._overlays.values(), *self._legend):
            check_free(path, options.overwrite or options.keep, _REMEDY)
            if path in maps and path.exists() and not is_label_map(head(path, 1024) or b""):
                raise in_the_way(path, "or choose another --out")
            if options.keep and path.exists():
                self._kept.add(path)

    def missing(self, name: str) -> bool:
        """Return whether a file of an image has still to be written."""
        return self._maps[name] not in self._kept or (name in self._overlays and self._overlays[name] not in self._kept)

    def prepare(self, labels: LabelSet) -> None:
        """Create the folders and write the legend.

        Raises:
            OutputError: a folder or the legend cannot be written.
            OptionError: two image names are the same file name on this disk.
            MissingError: the legend needs Matplotlib, which is not installed.
        """
        make_folder(self._out)
        if self._overlays or self._legend:
            make_inner_folder(self._out / PICTURES)
        check_distinct(self._maps, self._out, "the images")
        for path in self._legend:
            if path not in self._kept:
                from mhpmodels.figures.overlay import legend

                write_file(path, encode_picture(legend(labels)), self._overwrite)

    def write(self, name: str, given: Input, predicted: NDArray[np.uint8]) -> Path:
        """Write the files of an image and return the path of its label PNG.

        Args:
            name: name of the image, without suffix.
            given: input of the network.
            predicted: uint8 (height, width) of ``given.size``, one label per pixel.

        Raises:
            OutputError: a file cannot be written.
        """
        path, overlay = self._maps[name], self._overlays.get(name)
        if overlay is not None and overlay not in self._kept:
            write_file(overlay, self._draw_overlay(given, predicted), self._overwrite)
        if path not in self._kept:
            write_file(path, encode_indexed(predicted, self._labels.palette, given.orientation), self._overwrite)
        return path

    def _draw_overlay(self, given: Input, predicted: NDArray[np.uint8]) -> bytes:
        from mhpdata.storage.codec import encode_image
        from mhpmodels.figures.colours import picture_palette
        from mhpmodels.figures.overlay import lay_over

        assert given.shown is not None, "read with show"
        return encode_image(lay_over(given.shown, predicted, picture_palette(self._labels)), "jpeg", 90)
