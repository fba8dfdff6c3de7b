"""Predict the labels of images: one label PNG per image, at the image's own size, and optional overlays.

::

    image (H, W, 3) ─inputs─> (h, w, 3) ─inference─> scores (C, h, w) ─labels_at─> labels (H, W) ─outputs─> files

Threads prefetch and decode images (mhpmodels.prediction.inputs) while the network runs; mhpmodels.prediction.outputs
names and writes the files.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from mhpdata.errors import PACK_AGAIN, ManifestError, MhpError, OptionError
from mhpdata.images.exif import AS_STORED
from mhpdata.label_sets.naming import lookup
from mhpdata.labels import LabelSet
from mhpdata.options import Folder, check_path
from mhpdata.processes.threads import crew
from mhpdata.settings.caching import Cache
from mhpdata.source.remote import open_place
from mhpdata.storage.split import open_split
from mhpdata.wording import counted
from mhpmodels.inference.pieces import Inference
from mhpmodels.inference.rescale import labels_at
from mhpmodels.persons.queries import find_people
from mhpmodels.prediction.inputs import Input, read_file, read_sample
from mhpmodels.prediction.options import Options
from mhpmodels.prediction.outputs import Outputs

Source = TypeVar("Source")


@dataclass(frozen=True)
class Written:
    """Result of a prediction.

    Attributes:
        labels: paths or addresses of the label PNGs, in the order of the images.
        kept: number of images whose existing files were kept.
        skipped: errors of the images that were skipped.
        milliseconds: median time per image from pixels to labels, without the first image; 0 if none was predicted.
        turned: {name: EXIF orientation, 2..8} of the images whose labels were turned upright.
        remarks: one sentence per image that was not turned because its EXIF block is damaged.
        persons: number of persons found in all images; None unless they were requested.
    """

    labels: tuple[Folder, ...]
    kept: int
    skipped: tuple[MhpError, ...]
    milliseconds: float
    turned: Mapping[str, int]
    remarks: tuple[str, ...]
    persons: int | None = None


def predict_photos(
    inference: Inference, paths: Sequence[str | Path], out: str | Folder, labels: LabelSet, options: Options
) -> Written:
    """Predict image files; each label PNG is named after its image file.

    Args:
        inference: inference with the network.
        paths: paths of image files.
        out: output folder, created if it is missing, or its address in object storage.
        labels: classes of the network.
        options: options of the prediction.

    Raises:
        OptionError: no images, two images with the same name (also up to case, if the disk ignores it), or a network
            with more outputs than classes.
        OutputError: a file exists, or cannot be written.
        UnreadableError, ImageError: an image cannot be read, does not decode, or is so narrow that it would become
            huge; with ``on_error="skip"``, every image fails.
        EngineError: the network fails.
        MissingError: the legend needs Matplotlib, which is not installed.
    """
    count = Counter(Path(path).stem for path in paths)
    for name in count:
        if count[name] > 1:
            same = ", ".join(str(path) for path in paths if Path(path).stem == name)
            remedy = "Rename one, or run the command once for each with another --out."
            raise OptionError("the images", f"{count[name]} named {name} ({same})", "distinct names", remedy)
    by_name = {Path(path).stem: check_path("image", path) for path in paths}
    read = partial(read_file, short=options.size, upright=options.exif == "upright", show=options.overlay)
    return _predict(inference, by_name, read, open_place("out", out), labels, options)


def predict_split(
    inference: Inference,
    folder: str | Folder,
    split: str,
    out: str | Folder,
    names: Sequence[str] | None,
    options: Options,
    labels: LabelSet | None = None,
    cache: Cache | None = None,
) -> Written:
    """Predict a split of a packed folder at the size of the source images; each label PNG is named by the image's id.

    Args:
        inference: inference with the network.
        folder: packed folder that ``mhp pack`` wrote.
        split: name of one of its splits.
        out: output folder, created if it is missing, or its address in object storage.
        names: ids of the images to predict; None for all.
        options: options of the prediction.
        labels: classes of the network; None for those of the folder.
        cache: cache for a folder that has an address; None for none.

    Raises:
        OptionError: the split or a name is missing, or as for ``predict_photos``.
        PackedError: a record is damaged.
        OutputError, EngineError, ImageError, MissingError: as for ``predict_photos``.
    """
    opened = open_split(folder, split, cache=cache)
    try:
        indices = {name: index for index, name in enumerate(opened.names)}
        unknown = [name for name in names or () if name not in indices]
        if unknown:
            found = ", ".join(map(repr, unknown[:5]))
            some = f", such as {', '.join(opened.names[:3])}" if opened.names else ""
            remedy = "Pass names of images in this split, or the --split that has these."
            raise OptionError("name", found, f"names of {folder}, split {split}{some}", remedy)
        for name in indices:
            if Path(name).name != name:
                found, expected = f"an image named {name!r}", "a name without a folder, such as 0001"
                raise ManifestError(opened.folder, found, expected, PACK_AGAIN)
        chosen = {name: indices[name] for name in (opened.names if names is None else names)}
        read = partial(read_sample, opened, short=options.size, show=options.overlay)
        return _predict(inference, chosen, read, open_place("out", out), labels or opened.manifest.labels, options)
    finally:
        opened.close()


def _predict(
    inference: Inference,
    sources: dict[str, Source],
    read: Callable[[Source], Input],
    out: Folder,
    labels: LabelSet,
    options: Options,
) -> Written:
    """Predict each source, and write its files under its name."""
    if not sources:
        remedy = "Pass the path of an image, or a packed folder and a split that has images (--data rec/ --split test)."
        raise OptionError("the images", "none", "at least one", remedy)
    inference.check_classes(len(labels), labels.name)
    assert options.persons == bool(inference.person_maps)
    becomes = None if options.to is None else lookup(options.to)
    labels = labels if options.to is None else options.to.target.labels
    outputs = Outputs(out, sources, labels, options)
    missing = {name: source for name, source in sources.items() if outputs.missing(name)}
    outputs.prepare(labels)

    def attempt(source: Source) -> Input | MhpError:
        try:
            return read(source)
        except MhpError as error:
            if options.on_error == "fail":
                raise
            return error

    done = _Done(kept=len(sources) - len(missing), persons=0 if options.persons else None)
    with crew(len(missing), "images", options.threads, options.progress) as workers:
        for name, given in zip(missing, workers.each(attempt, missing.values()), strict=True):
            if isinstance(given, MhpError):
                done.skipped.append(given)
                continue
            begun = time.perf_counter()
            scores = inference(given.image)
            logits, maps = scores[: inference.classes], scores[inference.classes :]
            predicted = labels_at(logits, given.size, f"{inference.source} on {given.place}")
            people = None
            if options.persons:
                people = find_people(logits, maps, predicted, inference.probabilities, inference.background)
                done.persons = (done.persons or 0) + len(people.scores)
            predicted = predicted if becomes is None else becomes[predicted]
            seconds = time.perf_counter() - begun
            done.add(name, given, outputs.write(name, given, predicted, people), seconds)
        outputs.finish()
    if done.skipped and len(done.skipped) == len(sources):
        first, count = done.skipped[0], len(sources)
        found = f"{first.found}; none of {counted(count, 'image')} can be used" if count > 1 else first.found
        raise first.at(first.place, found=found) from first
    return done.written()


@dataclass
class _Done:
    """Progress of a prediction."""

    kept: int
    persons: int | None = None
    skipped: list[MhpError] = field(default_factory=list)
    _labels: list[Folder] = field(default_factory=list)
    _seconds: list[float] = field(default_factory=list)
    _turned: dict[str, int] = field(default_factory=dict)
    _remarks: list[str] = field(default_factory=list)

    def add(self, name: str, given: Input, path: Folder, seconds: float) -> None:
        """Count an image whose label PNG is ``path``, predicted in ``seconds``."""
        self._labels.append(path)
        self._seconds.append(seconds)
        if given.orientation != AS_STORED:
            self._turned[name] = given.orientation
        if given.remark:
            self._remarks.append(given.remark)

    def written(self) -> Written:
        """Return the result."""
        median = 1000 * statistics.median(self._seconds[1:] or self._seconds or [0.0])
        turned, remarks = self._turned, tuple(self._remarks)
        return Written(tuple(self._labels), self.kept, tuple(self.skipped), median, turned, remarks, self.persons)
