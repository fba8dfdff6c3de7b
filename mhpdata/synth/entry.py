"""One entry of the synthetic dataset: the photo and the masks of one image, made and written.

In: the folder with ``images/`` and ``annotations/``, the seed of the dataset, the index of the image (from 1).
Out: ``images/<id>.jpg``, RGB or gray; ``annotations/<id>_<NN>_<ii>.png``, 8-bit gray of the same size.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import OutputError


def write_image(folder: Path, seed: int, scale: float, index: int) -> int:
    """Make image ``index`` and its masks inside ``folder``; returns the number of persons."""
    import cv2

    from mhpdata.synth.annotation import annotate
    from mhpdata.synth.plan import plan, source
    from mhpdata.synth.scene import paint

    chosen = plan(seed, index, scale)
    photo = paint(chosen, np.random.default_rng([seed, source(seed, index), 2]))
    masks = annotate(chosen, np.random.default_rng([seed, index, 3]))
    factors = {"420": 0x221111, "422": 0x211111, "444": 0x111111}
    settings = [cv2.IMWRITE_JPEG_QUALITY, chosen.quality, cv2.IMWRITE_JPEG_PROGRESSIVE, int(chosen.progressive)]
    if not chosen.gray:
        settings += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factors[chosen.sampling]]
        photo = np.asarray(cv2.cvtColor(photo, cv2.COLOR_RGB2BGR))
    _save(folder / "images" / f"{index:04d}.jpg", photo, settings)
    for k, mask in enumerate(masks, 1):
        name = f"{index:04d}_{len(masks):02d}_{k:02d}.png"
        _save(folder / "annotations" / name, mask, [cv2.IMWRITE_PNG_COMPRESSION, 6])
    return len(masks)


def _save(path: Path, pixels: NDArray[Any], settings: list[int]) -> None:
    import cv2

    done, data = cv2.imencode(path.suffix, pixels, settings)
    assert done, path
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise OutputError(
            path, f"cannot be written ({error.strerror})", remedy="Check space and permission."
        ) from error
