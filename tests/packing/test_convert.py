"""One entry to one record: memory depends on the image, not on its persons; images too large for a record."""

import tracemalloc

import cv2
import numpy as np
import pytest

from mhpdata.errors import ImageError
from mhpdata.images.size import MAX_JPEG_SIDE
from mhpdata.labels import MHP_V1
from mhpdata.options import OVERLAPS, PackOptions
from mhpdata.packing.convert import convert
from mhpdata.source.scan import scan
from mhpdata.storage.codec import decode_stored
from mhpdata.storage.record import parse_record


def entry_of(root, size, persons):
    """Make a folder with one flat image and some masks; return its entry."""
    for folder in ("images", "annotations"):
        (root / folder).mkdir(parents=True)
    cv2.imwrite(str(root / "images/0001.jpg"), np.full((*size, 3), 99, np.uint8))
    for person in range(1, persons + 1):
        mask = np.zeros(size, np.uint8)
        mask[size[0] // 3 :, person : person + size[1] // 3] = 4
        cv2.imwrite(str(root / f"annotations/0001_{persons:02}_{person:02}.png"), mask)
    (root / "train_list.txt").write_text("0001.jpg\n")
    (root / "test_list.txt").write_text("")
    return scan(root).entries["train"][0]


@pytest.mark.parametrize("rule", OVERLAPS)
def test_memory_does_not_grow_with_the_persons(tmp_path, rule):
    options = PackOptions(overlap=rule, size=64)
    peaks = []
    for persons in (2, 60):
        root = tmp_path / str(persons)
        entry = entry_of(root, (900, 1100), persons)
        convert(root, entry, MHP_V1, options)
        tracemalloc.start()
        convert(root, entry, MHP_V1, options)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 900 * 1100, "less than one mask more"


@pytest.mark.parametrize(
    ("size", "options"),
    [((1, 100), {}), ((6000, 40), {"size": 8192}), ((100, 110), {"size": 8192})],
    ids=["a side beyond the record", "a side beyond JPEG", "too many pixels"],
)
def test_a_photo_that_would_become_too_large_is_an_image_error(tmp_path, size, options):
    entry = entry_of(tmp_path, size, 1)
    with pytest.raises(ImageError, match=r"images/0001\.jpg.*(would become|resized to)"):
        convert(tmp_path, entry, MHP_V1, PackOptions(**options))


@pytest.mark.parametrize("size", [(65500, 1), (1, 65500)])
@pytest.mark.parametrize("image", ["jpeg", "raw"])
def test_the_longest_side_of_a_record_is_libjpeg_s(tmp_path, size, image):
    assert MAX_JPEG_SIDE == 65500
    entry = entry_of(tmp_path, (3, 3), 1)
    for extra in (0, 1):
        longer = tuple(n + extra * (n > 1) for n in size)
        for file, pixels in ((entry.image, np.full((*longer, 3), 99)), (entry.masks[0], np.ones(longer))):
            (tmp_path / file.path).write_bytes(cv2.imencode(".png", pixels.astype(np.uint8))[1].tobytes())
        entry = scan(tmp_path).entries["train"][0]
        if extra:
            with pytest.raises(ImageError, match="65500 per side"):
                convert(tmp_path, entry, MHP_V1, PackOptions(size=0, image=image))
        else:
            record = parse_record(convert(tmp_path, entry, MHP_V1, PackOptions(size=0, image=image)).data, 0)
            assert decode_stored(record.image, record.codec, size).shape == (*size, 3)
