"""Name and write the files of a prediction: a label PNG per image, overlays and a legend.

::

    out/0001.png                  labels, an indexed PNG (mhpmodels.files.png) with the dataset's palette
    out/pictures/0001.jpg         with ``overlay``: the image at its source size, the labels laid over it
    out/pictures/legend.png       with ``legend``

The label PNG of an image is written last: where it exists, the image is done.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from mhpdata.labels import LabelSet
from mhpdata.options import Folder
from mhpmodels.files.png import encode_indexed, encode_picture
from mhpmodels.prediction.files import files_at
from mhpmodels.prediction.inputs import Input
from mhpmodels.prediction.options import Options

PICTURES = "pictures"
"""The folder of overlays and legend, inside that of the label maps."""


class Outputs:
    """The output files of one prediction; with ``options.keep``, existing files are never written.

    Args:
        out: output folder, or its address in object storage.
        names: names of the images, without suffix.
        labels: classes of the network, for palette and legend.
        options: options of the prediction.

    Raises:
        OutputError: a file exists and may not be replaced.
        RemoteError: object storage does not answer.
    """

    def __init__(self, out: Folder, names: Iterable[str], labels: LabelSet, options: Options) -> None:
        self._out, self._labels, self._overwrite = out, labels, options.overwrite
        self._files = files_at(out)
        self._maps: dict[str, Folder] = {name: out / f"{name}.png" for name in names}
        self._overlays: dict[str, Folder] = {
            name: out / PICTURES / f"{name}.jpg" for name in self._maps if options.overlay
        }
        self._legend: list[Folder] = [out / PICTURES / "legend.png"] if options.legend else []
        paths = [*self._maps.values(), *self._overlays.values(), *self._legend]
        found = self._files.check(paths, set(self._maps.values()), options.overwrite or options.keep)
        self._kept = found if options.keep else set[Folder]()

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
        pictures = self._out / PICTURES if self._overlays or self._legend else None
        self._files.prepare(self._out, pictures, self._maps)
        for path in self._legend:
            if path not in self._kept:
                from mhpmodels.figures.overlay import legend

                self._files.write([(path, encode_picture(legend(labels)))], self._overwrite)

    def write(self, name: str, given: Input, predicted: NDArray[np.uint8]) -> Folder:
        """Write the files of an image and return the path of its label PNG.

        Args:
            name: name of the image, without suffix.
            given: input of the network.
            predicted: uint8 (height, width) of ``given.size``, one label per pixel.

        Raises:
            OutputError: a file cannot be written.
        """
        path, overlay = self._maps[name], self._overlays.get(name)
        pieces = list[tuple[Folder, bytes]]()
        if overlay is not None and overlay not in self._kept:
            pieces.append((overlay, self._draw_overlay(given, predicted)))
        if path not in self._kept:
            pieces.append((path, encode_indexed(predicted, self._labels.palette, given.orientation)))
        self._files.write(pieces, self._overwrite)
        return path

    def finish(self) -> None:
        """Wait until all files are written. Raises OutputError."""
        self._files.finish()

    def _draw_overlay(self, given: Input, predicted: NDArray[np.uint8]) -> bytes:
        from mhpdata.storage.codec import encode_image
        from mhpmodels.figures.colours import picture_palette
        from mhpmodels.figures.overlay import lay_over

        assert given.shown is not None, "read with show"
        return encode_image(lay_over(given.shown, predicted, picture_palette(self._labels)), "jpeg", 90)
