"""What a network says of photos: one label PNG a photo, at the photo's own size, and pictures for people beside it.

::

    photo (H, W, 3) ─short side 768─> image (h, w, 3) ─inference─> scores (C, h, w) ─labels_at─> labels (H, W)

    out/0001.png                  the labels, an indexed PNG (mhpmodels.files.png) with the dataset's palette
    out/pictures/0001.jpg         with ``overlay``: the photo as the network saw it, the labels over it
    out/pictures/legend.png       with ``legend``

Image files are decoded strictly and by default turned upright, as viewers show them (``mhpdata.images.exif``); labels
and overlays then fit what a viewer shows, and a label PNG that was turned says so. ``exif="raw"`` leaves the pixels as
they
are stored, which the masks of datasets follow; images of a packed folder are never turned. A photo's label PNG is
written last: where it is, the photo is done.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import PACK_AGAIN, ManifestError, MhpError, OptionError, UnreadableError
from mhpdata.filesystem.ours import head, in_the_way
from mhpdata.filesystem.regular import read_regular
from mhpdata.images.decode import decode_image
from mhpdata.images.exif import AS_STORED, EXIF, read_orientation, turn
from mhpdata.images.resize import resize_image, resize_labels
from mhpdata.labels import LabelSet
from mhpdata.options import ON_ERROR, check_choice
from mhpdata.source.files import MAX_FILE_BYTES
from mhpdata.storage.split import Split, open_split
from mhpdata.threads import crew
from mhpdata.wording import counted, to_open, why
from mhpmodels.files.output import check_distinct, check_free, make_folder, make_inner_folder, write_file
from mhpmodels.files.png import encode_indexed, encode_picture, is_label_map
from mhpmodels.inference.pieces import Inference, input_size
from mhpmodels.inference.rescale import labels_at

PICTURES = "pictures"
"""The folder of pictures for people, below that of the labels."""

_REMEDY = "Pass --keep to make only what is missing, --overwrite to make all anew, or choose another --out."

Source = TypeVar("Source")
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Written:
    """What a prediction has written.

    Attributes:
        labels: the label PNGs, in the order of the photos.
        kept: photos whose files were there already, and were kept.
        skipped: errors of photos that were left out.
        milliseconds: median time a photo, from pixels to labels, the first left out; 0 where there is none.
        turned: EXIF orientation, 2..8, by name of each image whose labels were turned upright.
        remarks: one sentence for each image whose EXIF block is damaged, and which was therefore not turned.
    """

    labels: tuple[Path, ...]
    kept: int
    skipped: tuple[MhpError, ...]
    milliseconds: float
    turned: Mapping[str, int]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Options:
    """How photos are given to the network and what is written.

    Attributes:
        size: pixels of the short side that the network sees.
        overlay: write a picture of each photo with its labels over it.
        legend: write a picture of the classes and their colours.
        overwrite: replace files that are there; label maps only where mhp wrote them.
        keep: write only files that are not there, and leave out photos that have all of theirs, whatever network made
            them: how an interrupted run goes on.
        on_error: "fail" ends at the first photo that cannot be used; "skip" leaves such out.
        threads: that read and decode; None for one a core.
        progress: show a bar, where stderr is a terminal.
        exif: of ``mhpdata.images.exif.EXIF``: "upright" turns image files as their EXIF orientation says; "raw" takes
            their pixels in the order of the file, which a dataset's masks follow. Images of a packed folder are raw.
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


@dataclass(frozen=True)
class _Seen:
    """An image as the network sees it, the size that its labels get, its name in errors, and how it was turned."""

    image: Pixels
    size: tuple[int, int]
    place: str
    orientation: int = AS_STORED
    remark: str = ""


def predict_photos(
    inference: Inference, photos: Sequence[str | Path], out: str | Path, labels: LabelSet, options: Options
) -> Written:
    """Write the labels of photos, each named as its photo.

    Args:
        inference: around the network.
        photos: JPEG or PNG files.
        out: the folder to write to; made if it is not there.
        labels: the classes that the network knows.
        options: how, and what.

    Raises:
        OptionError: no photos, two of one name (on a disk that makes no difference of case, in another case, too), or a
            network with more outputs than classes.
        OutputError: a file is there already, or cannot be written.
        UnreadableError, ImageError: a photo cannot be read, does not decode, or is so narrow that it would become huge;
            with ``on_error="skip"`` that of all photos.
        EngineError: the network fails.
        MissingError: the legend needs Matplotlib, which is not installed.
    """
    count = Counter(Path(photo).stem for photo in photos)
    for name in count:
        if count[name] > 1:
            same = ", ".join(str(photo) for photo in photos if Path(photo).stem == name)
            remedy = "Run the command once for each of these, with another --out, or rename one."
            raise OptionError("the photos", f"{count[name]} named {name} ({same})", "one of each name", remedy)
    paths = {Path(photo).stem: Path(photo) for photo in photos}
    return _predict(inference, paths, partial(_see_photo, options), Path(out), labels, options)


def predict_split(
    inference: Inference,
    folder: str | Path,
    split: str,
    out: str | Path,
    names: Sequence[str] | None,
    options: Options,
    labels: LabelSet | None = None,
) -> Written:
    """Write the labels of a split of a packed folder, each named by its id, at the source photo's size.

    Args:
        inference, out, options: as for ``predict_photos``.
        folder, split: what ``mhp-pack`` wrote.
        names: only these; None for all.
        labels: the classes that the network knows; None for those of the folder.

    Raises:
        OptionError: no such split or name, or as for ``predict_photos``.
        PackedError: a damaged record.
        OutputError, EngineError, ImageError, MissingError: as for ``predict_photos``.
    """
    opened = open_split(folder, split)
    try:
        indices = {name: index for index, name in enumerate(opened.names)}
        unknown = [name for name in names or () if name not in indices]
        if unknown:
            found = ", ".join(map(repr, unknown[:5]))
            some = f", such as {', '.join(opened.names[:3])}" if opened.names else ""
            remedy = "Pass names that the split has, or the --split that has these."
            raise OptionError("name", found, f"names of {folder}, split {split}{some}", remedy)
        for name in indices:
            if Path(name).name != name:
                found, expected = f"an image named {name!r}", "a name without a folder, such as 0001"
                raise ManifestError(opened.folder, found, expected, PACK_AGAIN)
        chosen = {name: indices[name] for name in (opened.names if names is None else names)}
        see = partial(_see_sample, opened, options.size)
        return _predict(inference, chosen, see, Path(out), labels or opened.manifest.labels, options)
    finally:
        opened.close()


def _see_photo(options: Options, path: Path) -> _Seen:
    try:
        data = read_regular(path, MAX_FILE_BYTES)
    except OSError as error:
        remedy = to_open(error, path, "a JPEG or PNG")
        remedy += " To leave out such photos and go on with the others, pass --on-error skip."
        raise UnreadableError(path, f"cannot be read ({why(error)})", "a photo", remedy) from error
    photo, _ = decode_image(data, str(path))
    orientation, remark = AS_STORED, ""
    if options.exif == "upright":
        try:
            orientation = read_orientation(data)
        except ValueError as error:
            remark = f"{path}: taken as it is stored, for its EXIF block is damaged: {error}."
    photo = turn(photo, orientation)
    size = photo.shape[0], photo.shape[1]
    image = resize_image(photo, input_size(size, options.size, str(path)))
    return _Seen(image, size, str(path), orientation, remark)


def _see_sample(split: Split, short: int, index: int) -> _Seen:
    sample = split[index]
    size = input_size(sample.record.source_size, short, split.place(index))
    image = sample.image if sample.image.shape[:2] == size else resize_image(sample.image, size)
    return _Seen(image, sample.record.source_size, split.place(index))


def _predict(
    inference: Inference,
    sources: dict[str, Source],
    see: Callable[[Source], _Seen],
    out: Path,
    labels: LabelSet,
    options: Options,
) -> Written:
    """The labels of each source, by name."""
    if not sources:
        remedy = "Pass the path of a photo, or a packed folder and a split that has images (--data rec/ --split test)."
        raise OptionError("the photos", "none", "at least one", remedy)
    inference.check_classes(len(labels), labels.name)
    files = {name: out / f"{name}.png" for name in sources}
    pictures = {name: out / PICTURES / f"{name}.jpg" for name in sources if options.overlay}
    legend = [out / PICTURES / "legend.png"] if options.legend else []
    kept, labelled = set(), set(files.values())
    for path in (*files.values(), *pictures.values(), *legend):
        check_free(path, options.overwrite or options.keep, _REMEDY)
        if path in labelled and path.exists() and not is_label_map(head(path, 1024) or b""):
            raise in_the_way(path, "or choose another --out")
        if options.keep and path.exists():
            kept.add(path)
    asked = len(sources)
    sources = {
        name: source
        for name, source in sources.items()
        if files[name] not in kept or (options.overlay and pictures[name] not in kept)
    }
    make_folder(out)
    if pictures or legend:
        make_inner_folder(out / PICTURES)
    check_distinct(files, out, "the photos")
    for path in legend:
        if path not in kept:
            _write_legend(path, labels, options.overwrite)

    def attempt(source: Source) -> _Seen | MhpError:
        try:
            return see(source)
        except MhpError as error:
            if options.on_error == "fail":
                raise
            return error

    written, skipped, seconds, remarks = [], [], [], []
    turned: dict[str, int] = {}
    with crew(len(sources), "photos", options.threads, options.progress) as workers:
        for name, seen in zip(sources, workers.each(attempt, sources.values()), strict=True):
            if isinstance(seen, MhpError):
                skipped.append(seen)
                continue
            begun = time.perf_counter()
            predicted = labels_at(inference(seen.image), seen.size, f"{inference.source} on {seen.place}")
            seconds.append(time.perf_counter() - begun)
            if options.overlay and pictures[name] not in kept:
                write_file(pictures[name], _overlay(seen.image, predicted, labels), options.overwrite)
            if files[name] not in kept:
                png = encode_indexed(predicted, labels.palette, seen.orientation)
                write_file(files[name], png, options.overwrite)
            written.append(files[name])
            if seen.orientation != AS_STORED:
                turned[name] = seen.orientation
            if seen.remark:
                remarks.append(seen.remark)
    if skipped and len(skipped) == asked:
        first = skipped[0]
        found = f"{first.found}; none of {counted(asked, 'photo')} can be used" if asked > 1 else first.found
        raise type(first)(first.place, found, first.expected, first.remedy) from first
    median = 1000 * statistics.median(seconds[1:] or seconds or [0.0])
    return Written(tuple(written), asked - len(sources), tuple(skipped), median, turned, tuple(remarks))


def _overlay(image: Pixels, labels: Pixels, classes: LabelSet) -> bytes:
    from mhpdata.storage.codec import encode_image
    from mhpmodels.figures.overlay import lay_over

    at_size = resize_labels(labels, (image.shape[0], image.shape[1]))
    return encode_image(lay_over(image, at_size, classes.palette), "jpeg", 90)


def _write_legend(path: Path, classes: LabelSet, overwrite: bool) -> None:
    from mhpmodels.figures.overlay import legend

    write_file(path, encode_picture(legend(classes)), overwrite)
