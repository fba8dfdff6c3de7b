"""A network's predictions against the labels of a split: pixAcc, mIoU, the IoU of each class, the time an image.

Three ways to look at an image, in the order of how much of it is asked for:

======  ==============================================================================================================
crop    the square in the middle, its short side scaled to the crop: what training validates on (GluonCV's "val")
whole   the whole image at short side 768, labels at that size: GluonCV's "testval", as in its published figures
source  the whole image at short side 768 for the network, its logits scaled to the photo's own size and compared with
        the labels as annotated: what papers compare
======  ==============================================================================================================

Figures of different ways are not comparable; nor are those of different protocols (``mhpdata.storage.protocol``).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from mhpdata.errors import OptionError
from mhpdata.images.resize import resize_image
from mhpdata.labels import IGNORE, LabelSet
from mhpdata.loading.batch import Batch
from mhpdata.loading.loader import Loader
from mhpdata.options import check_choice
from mhpdata.remap import read_remap
from mhpdata.settings.choosing import Choose
from mhpdata.settings.mixing import Mix
from mhpdata.settings.output import Output
from mhpdata.settings.share import Share
from mhpdata.settings.views import CentreCrop
from mhpdata.storage.protocol import Chosen, choose_images
from mhpdata.storage.split import Split, open_split
from mhpdata.threads import crew, hidden
from mhpmodels.evaluation.metrics import Confusion, most_likely
from mhpmodels.evaluation.results import MODES, NO_IMAGES, Evaluation
from mhpmodels.evaluation.truth import labels_of_size
from mhpmodels.inference.pieces import SCALES, Inference, Predict, input_size
from mhpmodels.inference.rescale import labels_at


def validate(
    predict: Predict,
    loader: Iterable[Batch],
    classes: int,
    progress: Callable[[int], None] | None = None,
    place: str = "logits",
) -> Confusion:
    """Score the batches of a loader with ``CentreCrop``: what training does after an epoch.

    Args:
        predict: images -> logits, as ``Engine.predict``.
        loader: batches; a record that was left out counts nothing, an empty batch is passed over.
        classes: how many labels there are.
        progress: is told how many images were done, after each batch.
        place: names the split and the checkpoint in errors of the network.

    Returns:
        The confusion of this rank's images; ``merge`` those of all ranks.

    Raises:
        EngineError: logits that are no numbers.
        OptionError: labels outside the classes, logits of another shape.
    """
    confusion = Confusion(classes)
    for batch in loader:
        if batch.labels is None:
            remedy = "Make the Loader of a split that has labels, such as val."
            raise OptionError("loader", "batches without labels", "a split with labels", remedy)
        if len(batch.indices):
            confusion.update(most_likely(predict(batch.images), place), batch.labels)
        if progress is not None:
            progress(len(batch.indices))
    return confusion


def evaluate(
    inference: Inference,
    folder: str | Path,
    split: str = "val",
    *,
    mode: str = "whole",
    size: int = 768,
    choose: Choose = Choose(),
    remap: str | Path | None = None,
    batch_size: int = 16,
    threads: int | None = None,
    progress: bool = False,
) -> Evaluation:
    """Score a split of a packed folder.

    Args:
        inference: around the network.
        folder, split: what ``mhp-pack`` wrote.
        mode: of MODES.
        size: pixels of the crop's sides, or of the short side of a whole image.
        choose: which images count, by protocol and copies.
        remap: what the split's labels become, for ``mhpdata.remap``; as the network was trained.
        batch_size: crops that the network is given at once; a whole image goes alone.
        threads: that decode; None for one a core.
        progress: show a bar, where stderr is a terminal.

    Raises:
        OptionError: an argument outside what is taken, a split without labels, or a network with more outputs than the
            dataset has classes.
        PackedError: a damaged record.
        ImageError: an image so narrow that it would become huge.
        EngineError: logits that are no numbers, or of another shape.
    """
    check_choice("mode", mode, MODES)
    opened = open_split(folder, split)
    try:
        _check_choose(choose)
        chosen = choose_images(opened.manifest, split, choose.protocol, choose.leak_free, choose.unseen)
        labels = opened.manifest.labels
        table = np.arange(256, dtype=np.uint8)
        if remap is not None:
            rules, layout = read_remap(remap), opened.manifest.layout
            table, labels = rules.table(layout, labels), rules.labels([(layout, labels)])
        _check(opened, chosen, inference, len(labels))
        run = _Run(inference, opened, chosen, size, hidden(progress), labels, table, remap)
        confusion = run.crops(batch_size, threads) if mode == "crop" else run.pictures(mode == "source", threads)
    finally:
        opened.close()
    return Evaluation(
        confusion=confusion,
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
    )


def _check_choose(choose: Choose) -> None:
    """Raise OptionError for conditions that an evaluation does not report."""
    for name in ("names", "where", "limit"):
        if getattr(choose, name) is not None:
            remedy = "Leave it out: scores are compared by split and protocol."
            raise OptionError(name, "given to an evaluation", "nothing (None)", remedy)


def _check(split: Split, chosen: Chosen, inference: Inference, classes: int) -> None:
    """Raises OptionError where nothing could come of it, before anything is scored."""
    place = f"{split.folder}, split {split.name}"
    if not chosen.names:
        raise OptionError(place, "no images", "at least one", NO_IMAGES)
    if split.record(chosen.indices[0]).runs is None:
        remedy = (
            "Pass a --split that has labels, such as val; what the network says of this one is written by mhp-predict "
            f"--data {split.folder} --split {split.name}."
        )
        raise OptionError(place, "has no labels", "a split with labels", remedy)
    inference.check_classes(classes, str(split.folder))


@dataclass
class _Run:
    """One pass over the images that count; ``seconds`` an image, in order, and how many were scored in pieces."""

    inference: Inference
    split: Split
    chosen: Chosen
    size: int
    hidden: bool | None
    labels: LabelSet
    table: NDArray[np.uint8]
    remap: str | Path | None
    seconds: list[float] = field(default_factory=list)
    in_pieces: int = 0

    def crops(self, batch_size: int, threads: int | None) -> Confusion:
        """Of batches, as training validates; with scales or mirror images one by one."""
        plain = self.inference.scales == (1.0,) and not self.inference.mirror
        predict = self.inference.predict if plain else self._each

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
            output=Output(dtype="float32" if plain else "uint8"),
            threads=threads,
        )
        try:
            with tqdm(total=len(self.chosen.names), unit=" images", disable=self.hidden) as bar:
                place = f"{self.inference.source} on {self.split.folder}, split {self.split.name}"
                return validate(timed, loader, len(self.labels), bar.update, place)
        finally:
            loader.close()

    def pictures(self, at_source: bool, threads: int | None) -> Confusion:
        """Of whole images, one by one, while threads decode the next."""
        confusion = Confusion(len(self.labels))
        indices = self.chosen.indices
        with crew(len(indices), "images", threads, self.hidden is None) as workers:
            read = workers.each(partial(self._read, at_source), indices)
            for index, (image, labels) in zip(indices, read, strict=True):
                place = f"{self.inference.source} on {self.split.place(index)}"
                begun = time.perf_counter()
                scores = self.inference(image)
                size = (labels.shape[0], labels.shape[1])
                same = size == image.shape[:2]
                predicted = most_likely(scores, place) if same else labels_at(scores, size, place)
                self.seconds.append(time.perf_counter() - begun)
                self.in_pieces += self.inference.pieces(image.shape[:2]) > 1
                confusion.update(predicted, labels)
        return confusion

    def _each(self, images: NDArray[Any]) -> NDArray[np.float32]:
        return np.stack([self.inference(image) for image in images])

    def _read(self, at_source: bool, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """An image at the size for the network, and its labels at that size or at the photo's own."""
        sample, place = self.split[index], self.split.place(index)
        size = input_size(sample.record.source_size, self.size, place)
        image = sample.image if sample.image.shape[:2] == size else resize_image(sample.image, size)
        wanted = sample.record.source_size if at_source else size
        labels = labels_of_size(sample, wanted, self._overlap, place, self.split.file(index))
        return image, np.full(size, IGNORE, np.uint8) if labels is None else self.table[labels]

    @property
    def _overlap(self) -> str:
        return str(self.split.manifest.options["overlap"])
