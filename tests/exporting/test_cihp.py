"""cihp: mhp packs it again with the same labels and persons, and Instance_ids have the form of the official text."""

import numpy as np
import pytest
from exports import read, same_samples
from folder import tree

import mhpdata
from mhpdata.exporting.forms.cihp import close_gaps
from mhpdata.synth.writing.folder import synthesize


def test_a_round_trip_of_cihp_is_byte_identical(tmp_path):
    synthesize(tmp_path / "src", images=8, workers=1, scale=0.1, layout="cihp")
    mhpdata.pack(tmp_path / "src", tmp_path / "one", size=0)
    done = mhpdata.export(tmp_path / "one", tmp_path / "out", "cihp")
    assert not (tmp_path / "out/Testing/Category_ids").exists() and done.splits["test"]["persons"] == 0
    mhpdata.export(tmp_path / "one", tmp_path / "lists", "cihp", images=False, splits=["test"])
    assert tree(tmp_path / "lists").keys() == {"Testing/test_id.txt", "README.txt", "SYNTHETIC.txt", "export.json"}
    mhpdata.pack(tmp_path / "out", tmp_path / "two", size=0)
    assert same_samples(tmp_path / "one", tmp_path / "two") == 8
    mhpdata.export(tmp_path / "two", tmp_path / "again", "cihp")
    mhpdata.pack(tmp_path / "again", tmp_path / "three", size=0)
    assert tree(tmp_path / "two") == tree(tmp_path / "three")


@pytest.mark.parametrize("overlap", ["first", "ignore"])
def test_maps_are_the_packed_ones_and_every_class_has_a_person(overlap, download, tmp_path):
    mhpdata.pack(download, tmp_path / "rec", size=0, overlap=overlap)
    mhpdata.export(tmp_path / "rec", tmp_path / "out", "cihp")
    gaps = 0
    for split, folder in (("train", "Training"), ("val", "Validation"), ("test", "Testing")):
        top = tmp_path / "out" / folder
        samples = mhpdata.open(tmp_path / "rec", split)
        assert (top / f"{split}_id.txt").read_text().split() == list(samples.names)
        for sample in samples:
            assert (top / f"Images/{sample.name}.jpg").read_bytes() == bytes(sample.record.image)
            classes, persons, instances = (
                read(top / f"{kind}/{sample.name}.png") for kind in ("Category_ids", "Human_ids", "Instance_ids")
            )
            assert (classes == sample.labels).all()
            assert ((persons > 0) == (classes != 0)).all(), "also where the label is 255"
            present = np.unique(sample.persons[sample.persons > 0])
            assert np.unique(persons[persons > 0]).tolist() == list(range(1, len(present) + 1))
            for number, person in enumerate(present, 1):
                assert ((persons == number) & (classes != 255) == (sample.persons == person)).all()
            gaps += len(present) < len(sample.masks)
            lines = (top / f"Instance_ids/{sample.name}.txt").read_text().splitlines()
            listed = {id: (label, person) for id, label, person in (map(int, line.split()) for line in lines)}
            assert set(np.unique(instances).tolist()) - {0} == set(listed)
            for id, (label, person) in listed.items():
                assert id == (person - 1) * 19 + label
                assert ((instances == id) == ((classes == label) & (persons == person))).all()
    assert gaps == 1, "the person without labels"


def test_gaps_between_persons_are_closed():
    owners = np.array([[0, 5], [200, 5]], np.uint8)
    assert close_gaps(owners) == 2
    assert owners.tolist() == [[0, 1], [2, 1]]


def test_many_persons_need_16_bits(tmp_path):
    from folder import encode, photo, write_list

    source = tmp_path / "src"
    for name in ("images", "annotations"):
        (source / name).mkdir(parents=True)
    for name in ("train", "test"):
        write_list(source / f"{name}_list.txt", ["0001"] * (name == "train"))
    (source / "images/0001.jpg").write_bytes(encode(".jpg", photo(0, (32, 48))))
    for person in range(1, 31):
        mask = np.zeros((32, 48), np.uint8)
        mask[person] = 18
        (source / f"annotations/0001_30_{person:02d}.png").write_bytes(encode(".png", mask))
    mhpdata.pack(source, tmp_path / "rec", size=0, splits=["train"])
    mhpdata.export(tmp_path / "rec", tmp_path / "out", "cihp")
    instances = read(tmp_path / "out/Training/Instance_ids/0001.png")
    assert instances.dtype == np.uint16 and instances.max() == 29 * 19 + 18
