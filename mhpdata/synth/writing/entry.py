"""One entry of the synthetic dataset: the photo and the masks of one image, made and written in a dataset's form.

In: the folder with the form's folders, the seed of the dataset, the index of the image (from 1).
Out: its photo, RGB or gray, and its annotation, of the same size (synth.forms).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mhpdata.synth.writing.forms import FORMS, encode_jpeg


def write_image(folder: Path, seed: int, scale: float, layout: str, images: int, index: int) -> int:
    """Make image ``index`` and its masks inside ``folder``; returns the number of persons.

    Args:
        layout: the form, of ``FORMS``. images: of the dataset, which says in which split it is.
    """
    from mhpdata.synth.painting.scene import paint
    from mhpdata.synth.planning.plan import plan, source
    from mhpdata.synth.writing.annotation import annotate

    form, drawn = FORMS[layout], source(seed, index)
    split = next((name for name, indices in form.split(images).items() if index in indices), "")
    chosen = plan(seed, index, scale)
    photo = paint(chosen, np.random.default_rng([seed, drawn, 2]))
    masks = annotate(chosen, np.random.default_rng([seed, index, 3]), layout)
    form.write(folder, split, form.id_of(index), drawn, encode_jpeg(chosen, photo), photo, masks)
    return len(masks)
