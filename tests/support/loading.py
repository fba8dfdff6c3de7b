"""Packed folders of every image codec and format, and small loaders of them, for the tests of the loader."""

import itertools

from folder import write_folder

import mhpdata
from mhpdata import Choose, Loader, Mix, Output, Share, TrainCrop
from mhpdata.settings.rules import options_of

IMAGES = ("jpeg", "yuv420", "raw")
FORMATS = ("recordio", "hdf5")


def write_packed(root, images=IMAGES, formats=FORMATS):
    """{(image, format): a packed folder of 18 train, 6 val, 8 test samples}, below ``root``."""
    source = write_folder(root / "LV-MHP-v1", images=32, size=(61, 83))
    folders = {}
    for image, format in itertools.product(images, formats):
        folders[image, format] = root / f"{image}-{format}"
        mhpdata.pack(source, folders[image, format], image=image, format=format, size=0, shard_mb=1)
    return folders


def open_loader(folder, *args, **options):
    """Open a loader with options without their classes: each goes to the class that has a field of its name.

    Those of TrainCrop make the view, unless there is a ``view``, which takes their place.
    """
    fields = {name: options.pop(name) for name in options_of(TrainCrop) if name in options}
    options.setdefault("view", TrainCrop(**fields))
    for argument, kind in {"choose": Choose, "mix": Mix, "share": Share, "output": Output}.items():
        fields = {name: options.pop(name) for name in options_of(kind) if name in options}
        if fields:
            options[argument] = kind(**fields)
    return Loader(folder, *args, **options)


def loader(folder, split="train", **options):
    return open_loader(folder, split, **{"batch_size": 4, "base_size": 64, "size": 48, "threads": 2, **options})


def epoch(loader):
    """Return copies of all arrays of an epoch."""
    return [[None if a is None else a.copy() for a in vars(batch).values()] for batch in loader]


def digest(batches):
    return [[None if a is None else (a.dtype.str, a.shape, a.tobytes()) for a in batch] for batch in batches]
