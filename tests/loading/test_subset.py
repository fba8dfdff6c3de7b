"""Selection of samples: by name, function, number and protocol, and combined."""

import pytest
from folder import write_folder
from loading import epoch, loader

import mhpdata
from mhpdata import CentreCrop
from mhpdata.errors import OptionError
from mhpdata.storage.protocol import choose_names


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    """Pack 18 training images: 0001 is a copy of a test image, the other 17 have no copies."""
    root = tmp_path_factory.mktemp("subset")
    source = write_folder(root / "LV-MHP-v1", images=32, size=(61, 83))
    (source / "images/0001.jpg").write_bytes((source / "images/0026.jpg").read_bytes())
    mhpdata.pack(source, root / "rec", size=0, workers=1)
    return root / "rec"


def shown(rec, split, **options):
    ours = loader(rec, split, view=CentreCrop(48), **options)
    names = [ours.name(i) for batch in ours for i in batch.indices.tolist()]
    ours.close()
    return names


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("conditions", [{"protocol": "gluoncv"}, {"leak_free": True}, {"unseen": True}], ids=str)
def test_the_loader_reads_what_the_protocol_counts(rec, split, conditions):
    opened = mhpdata.open(rec, split)
    expected = list(choose_names(opened.manifest, split, **conditions))
    assert shown(rec, split, **conditions) == expected
    assert expected != list(opened.names) or (split, conditions) in WHOLE
    opened.close()


WHOLE = [
    *((split, {"protocol": "gluoncv"}) for split in ("train", "test")),
    ("test", {"leak_free": True}),
    *((split, {"unseen": True}) for split in ("train", "val")),
    ("val", {"leak_free": True}),
]
"""Here a condition drops nothing: this download has copies in train and test only."""


def test_conditions_act_together_and_in_the_split_s_order(rec):
    names = list(mhpdata.open(rec, "train").names)
    kept = shown(rec, "train", leak_free=True, names=[*names[4::-1]], where=lambda name: name != names[2], limit=2)
    assert kept == [names[1], names[3]]


def test_a_protocol_that_leaves_nothing_is_named(rec):
    with pytest.raises(OptionError, match=r"leak_free: leaves no sample of .*, split train; .* Leave leak_free out"):
        loader(rec, leak_free=True, names=["0001"])


def test_a_subset_is_augmented_as_in_the_whole_split(rec):
    whole = {
        int(i): image for images, _, indices, *_ in epoch(loader(rec)) for i, image in zip(indices, images, strict=True)
    }
    for images, _, indices, *_ in epoch(loader(rec, where=lambda name: int(name) % 2)):
        for i, image in zip(indices, images, strict=True):
            assert (image == whole[int(i)]).all()
