"""Write the true labels of a packed folder as predictions of every form, correct or altered, and score them."""

from __future__ import annotations

import cv2
import numpy as np
from click.testing import CliRunner
from folder import write_folder

import mhpdata
from mhpdata.images.nearest_pixel import resize_labels
from mhptools.score import main as mhp_score


def write_packed(root):
    """Pack 12 images of 40 x 60 at short side 32; test 0012 is a copy of train 0001."""
    write_folder(root / "LV-MHP-v1", images=12, size=(40, 60))
    mhpdata.pack(root / "LV-MHP-v1", root / "rec", size=32, workers=1)
    return root / "rec"


def truth(folder, split="test", at="source"):
    """Return {name: (labels, person map, masks)} of a split."""
    found = {}
    for sample in mhpdata.open(folder, split):
        size = sample.record.source_size if at == "source" else sample.record.size
        masks = [resize_labels(mask, size) for mask in sample.masks]
        labels, owners = np.zeros((2, *size), np.uint8)
        for person, mask in enumerate(masks, 1):
            free = (labels == 0) & (mask != 0)
            labels[free], owners[free] = mask[free], person
        found[sample.name] = labels, owners, masks
    return found


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", array)[1].tobytes())


def submit(folder, form, images, scores=(0.9, 0.8, 0.7)):
    """Write {name: (labels, owners, masks)} as a submission."""
    lines = []
    for name, (labels, owners, masks) in images.items():
        if form == "labels":
            write(folder / f"{name}.png", labels)
            continue
        if form == "official":
            write(folder / "global_seg" / f"{name}.png", labels)
            write(folder / "global_tag" / f"{name}.png", owners)
        for person, mask in enumerate(masks, 1):
            if form == "masks":
                write(folder / "masks" / f"{name}_{person}.png", mask)
        persons = [f"{person} {scores[(person - 1) % len(scores)]}" for person in range(1, len(masks) + 1)]
        lines.append(" ".join([name, *persons]))
    if lines:
        (folder / "results.txt").write_text("\n".join(lines) + "\n")
    return folder


def spoil(images, seed=0):
    """Return the same with some wrong pixels."""
    rng = np.random.default_rng(seed)
    spoilt = {}
    for name, (labels, owners, masks) in images.items():
        wrong = rng.random(labels.shape) < 0.2
        noise = rng.integers(0, 19, labels.shape).astype(np.uint8)
        worse = [np.where(rng.random(m.shape) < 0.2, rng.integers(0, 19, m.shape), m).astype(np.uint8) for m in masks]
        spoilt[name] = np.where(wrong, noise, labels), np.roll(owners, 3, axis=1), worse
    return spoilt


def command(*arguments, status=0):
    """Run mhp score and check its exit status."""
    done = CliRunner().invoke(mhp_score, [str(argument) for argument in arguments])
    assert done.exit_code == status, done.output
    return done
