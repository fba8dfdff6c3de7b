"""Write tests/data/cihp_ap_r.json: the AP^r that CIHP's official script returns for the cases of instance_cases.

Run:  python tests/support/official_ap.py CIHP_PGN/evaluation/test_inst_part_ap.py

The script (Engineering-Course/CIHP_PGN) is not part of this project. It runs unchanged, but with a stable sort: it
sorts scores with np.argsort, whose order of equal scores depends on NumPy's version and the CPU.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from instance_cases import CLASSES, Image, cases
from PIL import Image as Pillow
from places import TESTS


class StableNumpy(ModuleType):
    """NumPy, with an argsort that keeps the order of equal values."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def argsort(self, values: Any) -> np.ndarray:
        return np.argsort(values, kind="stable")


def official(script: Path) -> Any:
    """Import the official script."""
    spec = importlib.util.spec_from_file_location("official", script)
    assert spec is not None and spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.np = StableNumpy("numpy")
    return module


def write(folder: Path, name: str, parts: list[tuple[np.ndarray, str]], size: tuple[int, int]) -> None:
    """Write instance map and list of an image: the number of an instance is that of its line, from 1."""
    plane = np.zeros(size, np.uint16)
    for number, (mask, _) in enumerate(parts, 1):
        plane[mask] = number
    Pillow.fromarray(plane).save(folder / f"{name}.png")
    (folder / f"{name}.txt").write_text("".join(f"{line}\n" for _, line in parts))


def truth(image: Image) -> list[tuple[np.ndarray, str]]:
    """Return the true parts, each with its line: number, class, person."""
    parts = [(mask == c, c, person) for person, mask in enumerate(image.masks, 1) for c in np.unique(mask[mask > 0])]
    return [(mask, f"{number} {c} {person}") for number, (mask, c, person) in enumerate(parts, 1)]


def predicted(image: Image) -> list[tuple[np.ndarray, str]]:
    """Return the predicted parts, each with its line: class, score."""
    parts = []
    for person, score in enumerate(image.scores, 1):
        labels = np.where(image.owners == person, image.labels, 0)
        parts += [(labels == c, f"{c} {score}") for c in np.unique(labels[labels > 0])]
    return parts


def score(module: Any, images: list[Image]) -> list[list[float | None]]:
    """Return AP^r of each class at each threshold; None for NaN."""
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(io.StringIO()):
        folders = Path(name, "predicted"), Path(name, "true")
        module.PREDICT_DIR, module.INST_PART_GT_DIR = map(str, folders)
        for folder, parts_of in zip(folders, (predicted, truth), strict=True):
            folder.mkdir()
            for i, image in enumerate(images):
                write(folder, f"{i:04}", parts_of(image), image.labels.shape)
        names = [f"{i:04}" for i in range(len(images))]
        ap = [module.compute_class_ap(names, c, module.IOU_THRE) for c in range(1, CLASSES)]
    return [[None if np.isnan(value) else float(value) for value in row] for row in ap]


if __name__ == "__main__":
    module = official(Path(sys.argv[1]))
    found = {name: score(module, images) for name, images in cases().items()}
    source = "Engineering-Course/CIHP_PGN evaluation/test_inst_part_ap.py, with a stable sort"
    lines = [f"  {json.dumps(name)}: {json.dumps(rows)}" for name, rows in found.items()]
    text = f'{{"source": {json.dumps(source)},\n "cases": {{\n' + ",\n".join(lines) + "\n}}\n"
    (TESTS / "data" / "cihp_ap_r.json").write_text(text)
