"""Take the persons of an image from the maps of a network whose queries find persons, such as Mask2Former.

Such a network decides itself which person owns each pixel (``mhpmodels.networks.mask2former.scores``); here its persons
are restricted to labelled pixels, small ones are dropped, and the others are numbered by descending score.

In:  maps float32 (2, h, w): the person of each pixel, from 1, 0 for nobody, and that person's score;
     labels uint8 (H, W), 0 for background, if the network has one. H, W may differ from h, w: a pixel takes the nearest
     one of the maps.
Out: persons uint8 (H, W), from 1 by descending score, 0 for nobody.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mhpdata.images.nearest_pixel import nearest_index
from mhpmodels.models import HEAD_MAPS, QUERY_MAPS
from mhpmodels.persons.grouping import LEAST, People, group
from mhpmodels.persons.precision import Claims


@dataclass
class Persons:
    """How a validation finds the persons that it scores, and where it keeps them.

    Attributes:
        maps: number of channels after the logits, those that tell persons apart.
        probabilities: the network returns probabilities instead of logits.
        background: its class 0 is background.
        claims: the persons of each image so far.
    """

    maps: int = HEAD_MAPS
    probabilities: bool = False
    background: bool = True
    claims: list[Claims] = field(default_factory=list)


def find_people(
    logits: NDArray[np.float32],
    maps: NDArray[np.float32],
    labels: NDArray[np.uint8],
    probabilities: bool = False,
    background: bool = True,
) -> People:
    """Return the persons of an image, by the kind of its maps.

    Args:
        logits: float32 (C, h, w).
        maps: float32 (3, h, w), as for ``group``, or (2, h, w), as for ``collect``.
        labels: uint8 (H, W).
        probabilities: ``logits`` are probabilities.
        background: label 0 is background, where nobody is; False for networks whose class 0 is another one, such as
            COCO's *person*. Only networks with queries may have none.
    """
    if len(maps) == QUERY_MAPS:
        return collect(maps, labels, background=background)
    return group(logits, maps, labels, probabilities=probabilities)


def has_background(names: Sequence[str]) -> bool:
    """Return whether class 0 is the background, by its name; networks whose classes have no names have one."""
    return not names or re.sub(r"[\W_]+", "", names[0].lower()) in ("background", "unlabeled", "unlabelled")


def collect(
    maps: NDArray[np.float32], labels: NDArray[np.uint8], least: int = LEAST, background: bool = True
) -> People:
    """Return the persons that a network with queries found.

    Args:
        maps: float32 (2, h, w).
        labels: uint8 (H, W).
        least: number of labelled pixels below which a person is dropped.
        background: as for ``find_people``; if False, all pixels count as labelled.
    """
    (height, width), (h, w) = labels.shape, maps.shape[1:]
    rows, columns = nearest_index(h, height), nearest_index(w, width)
    owners = maps[0].astype(np.uint8)
    scores = np.zeros(256)
    scores[owners] = maps[1]
    owners = owners[rows[:, None], columns]
    if background:
        owners = np.where(labels != 0, owners, 0).astype(np.uint8)
    areas = np.bincount(owners.reshape(-1), minlength=256)
    kept = [k for k in np.argsort(-scores[1:], kind="stable") + 1 if areas[k] >= least]
    table = np.zeros(256, np.uint8)
    table[kept] = np.arange(1, len(kept) + 1)
    return People(table[owners], tuple(float(scores[k]) for k in kept))
