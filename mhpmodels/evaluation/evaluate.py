"""Evaluate a network on a split: pixAcc, mIoU, IoU per class and time per image.

There are three modes:

======  ==============================================================================================================
crop    the short side is resized to the crop size and the centre square is scored, as validation does in training
        (GluonCV's "val")
whole   the whole image at short side 768, with labels at that size: GluonCV's "testval", as in its published results
source  the network sees the whole image at short side 768; its logits are resized to source size and scored against
        the labels as annotated, as papers do
======  ==============================================================================================================

Results of different modes are not comparable, nor are those of different protocols (``mhpdata.storage.protocol``).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from mhpdata.errors import OptionError
from mhpdata.images.resize import resize_image
from mhpdata.label_sets.meanings import Conversion
from mhpdata.label_sets.naming import lookup
from mhpdata.labels import IGNORE, LabelSet
from mhpdata.loading.batch import Batch
from mhpdata.loading.loader import Loader
from mhpdata.masks.mask_runs import MaskRuns
from mhpdata.options import Folder, check_choice
from mhpdata.processes.threads import crew, hidden
from mhpdata.remap import read_remap
from mhpdata.settings.caching import Reading
from mhpdata.settings.choosing import Choose
from mhpdata.settings.mixing import Mix
from mhpdata.settings.output import MASKS, Output
from mhpdata.settings.share import Share
from mhpdata.settings.views import CentreCrop
from mhpdata.storage.protocol import Chosen, choose_images
from mhpdata.storage.split import Split, open_split
from mhpmodels.evaluation.metrics import Confusion, most_likely
from mhpmodels.evaluation.results import MODES, NO_IMAGES, Evaluation
from mhpmodels.evaluation.truth import labels_of_size, person_runs, true_persons
from mhpmodels.inference.pieces import SCALES, Inference, Predict, input_size
from mhpmodels.inference.rescale import labels_at
from mhpmodels.persons.masks import score_masks
from mhpmodels.persons.precision import Claims, claim_people, rank, score_persons
from mhpmodels.persons.queries import Persons, find_people

if TYPE_CHECKING:
    from typing_extensions import Unpack


def validate(
    predict: Predict,
    loader: Iterable[Batch],
    classes: int,
    progress: Callable[[int], None] | None = None,
    place: str = "logits",
    persons: Persons | None = None,
    becomes: NDArray[np.uint8] | None = None,
) -> Confusion:
    """Score the batches of a ``CentreCrop`` loader, as training does after an epoch.

    Args:
        predict: function from images to logits, such as ``Engine.predict``.
        loader: batches; damaged records that were left out are not counted, and empty batches are skipped.
        classes: number of classes.
        progress: function called after each batch with its number of images.
        place: split and checkpoint, for error messages.
        persons: receives the persons of each image; ``predict`` then also returns the maps that tell them apart, as
            ``PersonPredictor.predict_persons``, and the loader the masks of persons.
        becomes: uint8 (256,), the label of the data for each label of the network; None if they are the same.

    Returns:
        The confusion matrix of this rank's images; ``merge`` those of all ranks.

    Raises:
        EngineError: a logit is NaN.
        OptionError: a label is out of range, or the logits have an invalid shape.
    """
    confusion = Confusion(classes)
    for batch in loader:
        if batch.labels is None:
            remedy = "Open the Loader on a split with labels, such as val."
            raise OptionError("loader", "batches without labels", "batches with labels", remedy)
        if len(batch.indices):
            scores = predict(batch.images)
            logits = scores if persons is None else scores[:, : scores.shape[1] - persons.maps]
            predicted = most_likely(logits, place)
            converted = predicted if becomes is None else becomes[predicted]
            confusion.update(converted, batch.labels)
            if persons is not None:
                maps = scores[:, scores.shape[1] - persons.maps :]
                persons.claims += _claims(batch, logits, maps, (predicted, converted), classes, persons)
        if progress is not None:
            progress(len(batch.indices))
    return confusion


def _claims(
    batch: Batch,
    logits: NDArray[np.float32],
    maps: NDArray[np.float32],
    predicted: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    classes: int,
    persons: Persons,
) -> Iterator[Claims]:
    """Yield the claims of each image of a batch, except for damaged ones; ``predicted`` are labels of the network and
    of the data."""
    assert batch.masks is not None and batch.counts is not None
    for i in np.flatnonzero(batch.indices >= 0).tolist():
        people = find_people(logits[i], maps[i], predicted[0][i], persons.probabilities, persons.background)
        yield claim_people(people, predicted[1][i], batch.masks[i, : batch.counts[i]], classes)


def evaluate(
    inference: Inference,
    folder: str | Folder,
    split: str = "val",
    *,
    mode: str = "whole",
    size: int = 768,
    choose: Choose = Choose(),
    remap: str | Path | None = None,
    batch_size: int = 16,
    to: Conversion | None = None,
    **reading: Unpack[Reading],
) -> Evaluation:
    """Evaluate a network on a split of a packed folder.

    Args:
        inference: the network; with ``person_maps``, its persons are scored, too.
        folder: packed folder written by ``mhp pack``.
        split: name of the split.
        mode: one of MODES.
        size: side of the crop, or short side of the whole image, in pixels.
        choose: images to evaluate, by protocol and duplicates.
        remap: label mapping for ``mhpdata.remap``, the same as in training.
        batch_size: number of crops per batch; whole images are predicted one by one.
        to: table from the network's classes to those of the data; None if they are the same.
        reading: threads, progress and cache, as ``Reading`` describes.

    Raises:
        OptionError: an argument is invalid, the split has no labels, or the network has more outputs than the dataset
            has classes.
        PackedError: a record is damaged.
        ImageError: an image is so narrow that resizing would make it huge.
        EngineError: a logit is NaN, or the logits have an invalid shape.
    """
    check_choice("mode", mode, MODES)
    threads = reading.get("threads")
    opened = open_split(folder, split, cache=reading.get("cache"))
    try:
        _check_choose(choose)
        chosen = choose_images(opened.manifest, split, choose.protocol, choose.leak_free, choose.unseen)
        labels = opened.manifest.labels
        table = np.arange(256, dtype=np.uint8)
        if remap is not None:
            rules, layout = read_remap(remap), opened.manifest.layout
            table, labels = rules.table(layout, labels), rules.labels([(layout, labels)])
        _check(opened, chosen, inference, len(labels) if to is None else len(to.source.labels))
        becomes = None if to is None else lookup(to)
        bar = hidden(reading.get("progress", False))
        persons = (
            Persons(inference.person_maps, inference.probabilities, inference.background)
            if inference.person_maps
            else None
        )
        run = _Run(inference, opened, chosen, size, bar, labels, table, remap, becomes, persons)
        confusion = run.crops(batch_size, threads) if mode == "crop" else run.pictures(mode == "source", threads)
    finally:
        opened.close()
    return Evaluation(
        confusion=confusion,
        persons=score_persons(rank(run.persons.claims)) if run.persons is not None else None,
        masks=score_masks(run.persons.claims) if run.persons is not None else None,
        classes=labels.names,
        outputs=inference.classes,
        split=split,
        mode=mode,
        protocol=choose.protocol,
        leak_free=choose.leak_free,
        unseen=choose.unseen,
        multi_scale=inference.scales == SCALES,
        size=size,
        images=len(chosen.names),
        in_pieces=run.in_pieces,
        seen=chosen.seen,
        milliseconds=1000 * statistics.median(run.seconds[1:] or run.seconds),
        to=to,
    )


def _check_choose(choose: Choose) -> None:
    """Raise OptionError for filters that an evaluation does not report."""
    for name in ("names", "where", "limit"):
        if getattr(choose, name) is not None:
            remedy = "Omit it; choose images by split and protocol, so that results stay comparable."
            raise OptionError(name, "not supported in an evaluation", "None", remedy)


def _check(split: Split, chosen: Chosen, inference: Inference, classes: int) -> None:
    """Raise OptionError, before anything is scored, if the split cannot be evaluated with this network."""
    place = f"{split.folder}, split {split.name}"
    if not chosen.names:
        raise OptionError(place, "no images", "at least one", NO_IMAGES)
    if split.record(chosen.indices[0]).runs is None:
        remedy = (
            "Pass a --split with labels, such as val; to predict this one, run mhp predict "
            f"--data {split.folder} --split {split.name}."
        )
        raise OptionError(place, "no labels", "a split with labels", remedy)
    inference.check_classes(classes, str(split.folder))


@dataclass
class _Run:
    """One pass over the chosen images, with the seconds per image in order and the number scored in pieces."""

    inference: Inference
    split: Split
    chosen: Chosen
    size: int
    hidden: bool | None
    labels: LabelSet
    table: NDArray[np.uint8]
    remap: str | Path | None
    becomes: NDArray[np.uint8] | None
    persons: Persons | None
    seconds: list[float] = field(default_factory=list)
    in_pieces: int = 0

    def crops(self, batch_size: int, threads: int | None) -> Confusion:
        """Score centre crops, in batches as in training; one by one for several scales or mirrored images."""
        batched = self.inference.takes_batches
        predict = self.inference.predict if batched else self._each

        def timed(images: NDArray[Any]) -> NDArray[np.float32]:
            begun = time.perf_counter()
            logits = predict(images)
            self.seconds.append((time.perf_counter() - begun) / len(images))
            return logits

        loader = Loader(
            self.split.folder,
            self.split.name,
            batch_size,
            CentreCrop(self.size),
            choose=Choose(names=self.chosen.names),
            mix=Mix(remap=self.remap),
            share=Share(every=True),
            output=Output(
                dtype="float32" if batched else "uint8", persons=MASKS if self.inference.person_maps else False
            ),
            threads=threads,
            cache=self.split.cache,
        )
        try:
            with tqdm(total=len(self.chosen.names), unit=" images", disable=self.hidden) as bar:
                place = f"{self.inference.source} on {self.split.folder}, split {self.split.name}"
                return validate(timed, loader, len(self.labels), bar.update, place, self.persons, self.becomes)
        finally:
            loader.close()

    def pictures(self, at_source: bool, threads: int | None) -> Confusion:
        """Score whole images one by one while threads decode the next."""
        confusion = Confusion(len(self.labels))
        indices = self.chosen.indices
        with crew(len(indices), "images", threads, self.hidden is None) as workers:
            read = workers.each(partial(self._read, at_source), indices)
            for index, (image, labels, masks) in zip(indices, read, strict=True):
                place = f"{self.inference.source} on {self.split.place(index)}"
                begun = time.perf_counter()
                scores = self.inference(image)
                scores, maps = scores[: self.inference.classes], scores[self.inference.classes :]
                size = (labels.shape[0], labels.shape[1])
                same = size == image.shape[:2]
                predicted = most_likely(scores, place) if same else labels_at(scores, size, place)
                people = None
                if self.persons is not None:
                    people = find_people(scores, maps, predicted, self.persons.probabilities, self.persons.background)
                predicted = predicted if self.becomes is None else self.becomes[predicted]
                self.seconds.append(time.perf_counter() - begun)
                self.in_pieces += self.inference.pieces(image.shape[:2]) > 1
                confusion.update(predicted, labels)
                if self.persons is not None and people is not None:
                    truths = true_persons(masks, self.split.record(index).source_size, size)
                    mapped = (self.table[truth] for truth in truths)
                    self.persons.claims.append(claim_people(people, predicted, mapped, len(self.labels)))
        return confusion

    def _each(self, images: NDArray[Any]) -> NDArray[np.float32]:
        return np.stack([self.inference(image) for image in images])

    def _read(self, at_source: bool, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], list[MaskRuns]]:
        """Read an image at the network's input size, its labels at that size or at source size, and its persons."""
        sample, place = self.split[index], self.split.place(index)
        size = input_size(sample.record.source_size, self.size, place)
        image = sample.image if sample.image.shape[:2] == size else resize_image(sample.image, size)
        wanted = sample.record.source_size if at_source else size
        labels = labels_of_size(sample, wanted, self._overlap, place, self.split.file(index))
        masks = person_runs(sample.record, place, self.split.file(index)) if self.inference.person_maps else []
        return image, np.full(size, IGNORE, np.uint8) if labels is None else self.table[labels], masks

    @property
    def _overlap(self) -> str:
        return str(self.split.manifest.options["overlap"])
