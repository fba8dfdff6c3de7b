"""Make and write one entry of the synthetic dataset, an image and its masks, in a dataset's form.

In: the folder with the form's folders, the seed of the dataset, the index of the image (from 1).
Out: files of the image, RGB or gray, and of its annotation, of the same size (synth.forms).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mhpdata.synth.writing.form import encode_jpeg
from mhpdata.synth.writing.forms import FORMS


def write_image(folder: Path, seed: int, scale: float, layout: str, images: int, index: int) -> int:
    """Make image ``index`` and its masks in ``folder``; return the number of annotated persons.

    Args:
        folder: Folder of the dataset.
        seed: Seed of the dataset.
        scale: Factor on the height and width of all images.
        layout: Form of the dataset, a key of ``FORMS``.
        images: Number of images of the dataset, which determines the split of each.
        index: Index of the image, from 1.
    """
    from mhpdata.synth.painting.scene import paint
    from mhpdata.synth.planning.plan import plan, source
    from mhpdata.synth.writing.annotation import annotate

    form, drawn = FORMS[layout], source(seed, index)
    split = next((name for name, indices in form.split(images).items() if index in indices), "")
    chosen = plan(seed, index, scale)
    image = paint(chosen, np.random.default_rng([seed, drawn, 2]))
    masks = annotate(chosen, np.random.default_rng([seed, index, 3]), layout)
    form.write(folder, split, form.id_of(index), drawn, encode_jpeg(chosen, image), image, masks)
    return 1 if form.single else len(masks)
