"""What a prediction is asked for: one frozen class that checks itself."""

from __future__ import annotations

from dataclasses import dataclass

from mhpdata.errors import OptionError
from mhpdata.images.exif import EXIF
from mhpdata.options import ON_ERROR, check_choice


@dataclass(frozen=True)
class Options:
    """How images are given to the network, and which files are written.

    Attributes:
        size: short side of the network's input, in pixels.
        overlay: write each image with its labels laid over it.
        legend: write the classes and their colours as an image.
        overwrite: replace existing files; label maps only if mhp wrote them.
        keep: write missing files only, and leave out images whose files all exist, whatever network made them: this
            resumes an interrupted prediction.
        on_error: "fail" stops at the first unusable image; "skip" leaves such images out.
        threads: number of threads that read and decode; None for one per core.
        progress: show a progress bar if stderr is a terminal.
        exif: of ``mhpdata.images.exif.EXIF``: "upright" rotates image files as their EXIF orientation says; "raw"
            keeps the order of pixels in the file, which a dataset's masks follow. Images of a packed folder are raw.

    Raises:
        OptionError: a value outside these, or both overwrite and keep.
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

    def __post_init__(self) -> None:
        check_choice("on_error", self.on_error, ON_ERROR)
        check_choice("exif", self.exif, EXIF)
        if self.keep and self.overwrite:
            remedy = "Leave out overwrite to keep the files that are there, or keep to replace them."
            raise OptionError("keep", "and overwrite are both given", "one of the two", remedy)
