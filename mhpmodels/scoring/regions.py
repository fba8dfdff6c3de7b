"""Compare predicted regions of persons and parts with the true persons: AP^r, AP^h and COCO's AP of COCO files.

::

    CocoFile, an image ─masks─> layers of regions that do not overlap ─overlap, true persons─> IoU ─compare─> Instances

Each part has a score of its own, so AP^r ranks parts, not persons. A part is compared with the true parts of its class;
a person, with true persons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import PredictionError
from mhpdata.storage.split import Split
from mhpdata.wording import has
from mhpmodels.persons.overlap import Labels, Layer, Overlap, overlap
from mhpmodels.scoring.coco_files import MOST, CocoFile, Region
from mhpmodels.scoring.instances import Instances, compare

MOST_LAYERS = 8
"""Layers that are in memory together; an image with more is compared with the truth several times."""

Masks = Iterable[NDArray[np.bool_]]


def coco_paths(folder: Path, split: str) -> dict[str, Path]:
    """Return the files of COCO's formats in a folder of predictions, by kind."""
    names = {kind: (f"{kind}.json", f"{kind}_{split}.json") for kind in MOST}
    return {kind: folder / name for kind, two in names.items() for name in two if (folder / name).exists()}


def read_files(paths: dict[str, Path], split: Split, names: Sequence[str]) -> dict[str, CocoFile]:
    """Read the files of ``coco_paths``.

    Args:
        paths: path of each file.
        split: packed split.
        names: names of the images to score.

    Raises:
        PredictionError: a file is invalid, or images are missing in it.
    """
    files = {}
    for kind, path in paths.items():
        files[kind] = CocoFile(path, split.names, split.classes if kind == "parts" else None)
        missing = files[kind].missing(names)
        if missing:
            found = f"{len(missing)} of {len(names)} images {has(len(missing))} no entry"
            found += f", including {', '.join(missing[:5])}"
            remedy = "Add an entry for each image, also where nothing was found."
            raise PredictionError(path, found, "an entry per image", remedy)
    return files


def region_instances(
    file: CocoFile, name: str, size: tuple[int, int], truth: Callable[[], Iterator[Labels]], classes: int
) -> Instances:
    """Compare the regions of an image with the true persons.

    Args:
        file: persons or parts.
        name: name of the image.
        size: (height, width) of the image.
        truth: yields the mask of each true person, again at each call.
        classes: number of classes of the dataset.

    Raises:
        PredictionError: a region is damaged.
    """
    regions = file.regions.get(name, [])
    categories = np.array([region.category for region in regions], np.int64)
    scores = np.array([region.score for region in regions], np.float64)
    order, found = [], []
    draw = file.drawer(name, size)
    for chosen, layers in _groups(regions, map(draw, regions), size):
        order += chosen
        found.append(overlap(layers, truth(), classes))
    back = np.argsort(np.array(order, np.int64))
    if file.kind == "persons":
        whole = np.concatenate([one.whole for one in found])[back]
        return compare(np.zeros_like(categories), scores, whole, np.array([whole.shape[1]]))
    return compare(categories, scores, *_of_parts(found, back, categories))


def _of_parts(
    found: Sequence[Overlap], back: NDArray[np.int64], categories: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the IoU of each part with each true part (-1: of another class), and the number of those of each class."""
    owner, true = np.nonzero(found[0].true_areas)
    parts = np.concatenate([one.parts for one in found])[back]
    iou = np.nan_to_num(parts[np.arange(len(back))[:, None], owner, categories[:, None]])
    counts = np.bincount(true, minlength=found[0].true_areas.shape[1])
    return np.where(categories[:, None] == true, iou, -1.0), counts


def _groups(regions: Sequence[Region], masks: Masks, size: tuple[int, int]) -> Iterator[tuple[list[int], list[Layer]]]:
    """Yield the indices of some regions, in the order of the layers that hold them, and the layers; one group at least.

    A region is put into the first layer in which it overlaps no other.
    """
    layers: list[Layer] = []
    chosen: list[list[int]] = []
    for index, (region, mask) in enumerate(zip(regions, masks, strict=True)):
        place = next((i for i, one in enumerate(layers) if one.count < 255 and not one.owners[mask].any()), len(layers))
        if place == MOST_LAYERS:
            yield [i for one in chosen for i in one], layers
            layers, chosen, place = [], [], 0
        if place == len(layers):
            layers.append(Layer(np.zeros(size, np.uint8), np.zeros(size, np.uint8), 0))
            chosen.append([])
        labels, owners, count = layers[place].labels, layers[place].owners, layers[place].count + 1
        labels[mask], owners[mask] = region.category, count
        layers[place] = Layer(labels, owners, count)
        chosen[place].append(index)
    yield [i for one in chosen for i in one], layers


def person_layers(
    persons: CocoFile, parts: CocoFile, name: str, size: tuple[int, int]
) -> tuple[list[float], list[Layer]]:
    """Return the scores of an image's persons, and a layer for each person with labels painted from its parts.

    Where parts of one person overlap, the one with the higher score is in front; of equal scores, the first.
    """
    people, draw, everybody = persons.regions.get(name, []), parts.drawer(name, size), np.ones(size, np.uint8)
    layers = [Layer(np.zeros(size, np.uint8), everybody, 1) for _ in people]
    of_id = {person.id: layer.labels for person, layer in zip(people, layers, strict=True)}
    behind_first = parts.regions.get(name, [])[::-1]
    for region in sorted(behind_first, key=lambda region: region.score):
        of_id[region.person][draw(region)] = region.category
    return [person.score for person in people], layers


def label_map(parts: CocoFile, name: str, size: tuple[int, int]) -> Labels:
    """Return the label of each pixel in the parts of an image; 0 outside."""
    labels, draw = np.zeros(size, np.uint8), parts.drawer(name, size)
    for region in parts.regions.get(name, []):
        labels[draw(region)] = region.category
    return labels


def linked(persons: CocoFile, parts: CocoFile) -> bool:
    """Return whether every part names a person of its image, and the ids of an image's persons are distinct."""
    ids = {name: {person.id for person in people} - {None} for name, people in persons.regions.items()}
    distinct = all(len(ids[name]) == len(people) for name, people in persons.regions.items())
    return distinct and all(
        part.person in ids.get(name, ()) for name, of_image in parts.regions.items() for part in of_image
    )
