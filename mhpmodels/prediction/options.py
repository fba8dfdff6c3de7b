"""Options of a prediction: one frozen class that validates its own values."""

from __future__ import annotations

from dataclasses import dataclass

from mhpdata.errors import OptionError
from mhpdata.images.exif import EXIF
from mhpdata.label_sets.meanings import Conversion
from mhpdata.options import ON_ERROR, check_choice


@dataclass(frozen=True)
class Options:
    """How images are given to the network, and which files are written.

    Attributes:
        size: short side of the network's input, in pixels.
        overlay: write each image with its labels laid over it.
        legend: write the classes and their colours as an image.
        persons: write the person of each pixel, too, in the official form of submissions.
        overwrite: replace existing files; label maps only if mhp wrote them.
        keep: write missing files only, which resumes an interrupted prediction. Images whose files all exist are
            skipped, whatever network wrote them.
        on_error: "fail" stops at the first unusable image; "skip" leaves such images out.
        threads: number of threads that read and decode; None for one per core.
        progress: show a progress bar if stderr is a terminal.
        exif: "upright" turns image files upright by their EXIF orientation; "raw" keeps the stored order of pixels,
            which a dataset's masks follow. Images of a packed folder are always raw.
        to: table by which labels are converted before they are written; None writes the network's own.

    Raises:
        OptionError: a value is invalid, overwrite and keep are both on, or keep and persons.
    """

    size: int = 768
    overlay: bool = False
    legend: bool = False
    overwrite: bool = False
    keep: bool = False
    on_error: str = "fail"
    threads: int | None = None
    progress: bool = False
    exif: str = "upright"
    persons: bool = False
    to: Conversion | None = None

    def __post_init__(self) -> None:
        check_choice("on_error", self.on_error, ON_ERROR)
        check_choice("exif", self.exif, EXIF)
        if self.keep and self.overwrite:
            remedy = "Omit --overwrite to keep existing files, or omit --keep to replace them."
            raise OptionError("keep", "given with --overwrite", "one of the two", remedy)
        if self.keep and self.persons:
            again = "the scores of all persons are in one file, which is written last"
            remedy = f"Pass --overwrite instead of --keep to predict all images again: {again}."
            raise OptionError("keep", "not supported with --persons", "one of the two", remedy)
