"""Name and write the files of a prediction: a label PNG per image, overlays and a legend.

::

    out/0001.png                  labels, an indexed PNG (mhpmodels.files.png) with the dataset's palette
    out/pictures/0001.jpg         with ``overlay``: the image at its source size, the labels laid over it
    out/pictures/legend.png       with ``legend``

With ``persons`` in the official form of submissions, which mhp score reads::

    out/global_seg/0001.png       labels, in place of out/0001.png
    out/global_tag/0001.png       the person of each pixel, 0 for nobody
    out/results.txt               written last: each image's persons and their scores
    out/pictures/0001.jpg         the persons are outlined

The label PNG of an image is written last: where it exists, the image is done. A folder never holds both forms
(``mhpmodels.prediction.one_form``).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import OptionError
from mhpdata.labels import LabelSet
from mhpdata.options import Folder
from mhpmodels.figures.colours import person_palette
from mhpmodels.files.png import encode_indexed, encode_picture
from mhpmodels.persons.grouping import People
from mhpmodels.persons.person_list import RESULTS, SEGMENTS, TAGS, line_of
from mhpmodels.prediction.files import REMEDY, REMEDY_OF_PERSONS, files_at
from mhpmodels.prediction.inputs import Input
from mhpmodels.prediction.one_form import other_form, remove_files
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
        self._files = files_at(out, REMEDY_OF_PERSONS if options.persons else REMEDY)
        segments = out / SEGMENTS if options.persons else out
        self._maps: dict[str, Folder] = {name: segments / f"{name}.png" for name in names}
        self._tags: dict[str, Folder] = {name: out / TAGS / f"{name}.png" for name in self._maps if options.persons}
        self._results: list[Folder] = [out / RESULTS] if options.persons else []
        self._lines: list[str] = []
        for name in self._tags:
            if name.split() != [name]:
                remedy = "Rename the file, or omit --persons."
                raise OptionError("persons", f"an image named {name!r}", "names without spaces", remedy)
        self._overlays: dict[str, Folder] = {
            name: out / PICTURES / f"{name}.jpg" for name in self._maps if options.overlay
        }
        self._legend: list[Folder] = [out / PICTURES / "legend.png"] if options.legend else []
        maps = {*self._maps.values(), *self._tags.values()}
        paths = [*self._maps.values(), *self._tags.values(), *self._overlays.values(), *self._legend, *self._results]
        found = self._files.check(paths, maps, options.overwrite or options.keep)
        self._kept = found if options.keep else set[Folder]()
        self._others = other_form(out, list(self._maps), options.persons, options.overwrite)

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
        pictures = [self._out / PICTURES] if self._overlays or self._legend else []
        inner = [self._out / SEGMENTS, self._out / TAGS] if self._tags else []
        self._files.prepare(self._out, [*inner, *pictures], self._maps)
        remove_files(self._others)
        for path in self._legend:
            if path not in self._kept:
                from mhpmodels.figures.overlay import legend

                self._files.write([(path, encode_picture(legend(labels)))], self._overwrite)

    def write(self, name: str, given: Input, predicted: NDArray[np.uint8], people: People | None = None) -> Folder:
        """Write the files of an image and return the path of its label PNG.

        Args:
            name: name of the image, without suffix.
            given: input of the network.
            predicted: uint8 (height, width) of ``given.size``, one label per pixel.
            people: its persons, of the same size; None unless requested.

        Raises:
            OutputError: a file cannot be written.
        """
        path, overlay = self._maps[name], self._overlays.get(name)
        pieces = list[tuple[Folder, bytes]]()
        if overlay is not None and overlay not in self._kept:
            pieces.append((overlay, self._draw_overlay(given, predicted, people)))
        if people is not None:
            tags = encode_indexed(people.persons, person_palette(), given.orientation)
            pieces.append((self._tags[name], tags))
            self._lines.append(line_of(name, people.scores))
        if path not in self._kept:
            pieces.append((path, encode_indexed(predicted, self._labels.palette, given.orientation)))
        self._files.write(pieces, self._overwrite)
        return path

    def finish(self) -> None:
        """Write the list of persons, if requested, and wait until all files are written. Raises OutputError."""
        self._files.finish()
        for path in self._results:
            self._files.write([(path, "".join(self._lines).encode())], self._overwrite)
            self._files.finish()

    def _draw_overlay(self, given: Input, predicted: NDArray[np.uint8], people: People | None) -> bytes:
        from mhpdata.storage.codec import encode_image
        from mhpmodels.figures.colours import picture_palette
        from mhpmodels.figures.overlay import lay_over, outline

        assert given.shown is not None, "read with show"
        picture = lay_over(given.shown, predicted, picture_palette(self._labels))
        return encode_image(picture if people is None else outline(picture, people.persons), "jpeg", 90)
