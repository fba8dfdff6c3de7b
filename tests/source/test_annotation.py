"""Persons' masks are read one by one, on request, from any type of file."""

from __future__ import annotations

import numpy as np
import pytest
from folder import write_folder
from releases import SIZE, write_cihp

from mhpdata.errors import MaskError
from mhpdata.masks.mask_runs import draw_mask, inflate_mask
from mhpdata.source import annotation
from mhpdata.source.annotation import read_maps, read_persons
from mhpdata.source.layouts import cihp, mhp_v1


def test_each_person_is_read_when_it_is_asked_for(tmp_path, monkeypatch):
    entry = mhp_v1.scan(write_folder(tmp_path / "src"), False).entries["train"][1]
    size, read, known = (96, 128), [], annotation.read_file

    def read_one(root, file):
        read.append(file.path)
        return known(root, file)

    monkeypatch.setattr(annotation, "read_file", read_one)
    persons = read_persons(tmp_path / "src", entry, size, 19)
    assert not read
    for number, person in enumerate(persons, 1):
        assert read == [file.path for file in entry.masks[:number]]
        mask = annotation.read_mask(tmp_path / "src", entry.masks[number - 1], size, 19, False)
        read.pop()
        np.testing.assert_array_equal(draw_mask(person.runs, size), mask)
        np.testing.assert_array_equal(inflate_mask(person.stream, size), mask)
    assert len(read) == len(entry.masks) == 3


def test_the_persons_of_two_maps(tmp_path):
    write_cihp(tmp_path, {"train": [1, 2], "val": [3], "test": [4]})
    entry = cihp.scan(tmp_path, False).entries["train"][0]
    classes, persons = read_maps(tmp_path, entry, SIZE, 20)
    found = [draw_mask(person.runs, SIZE) for person in read_persons(tmp_path, entry, SIZE, 20)]
    assert len(found) == len(np.unique(persons[persons > 0])) > 0
    for number, mask in zip(np.unique(persons[persons > 0]), found, strict=True):
        np.testing.assert_array_equal(mask, np.where(persons == number, classes, 0))


def test_persons_before_a_broken_mask_are_read(tmp_path):
    entry = mhp_v1.scan(write_folder(tmp_path / "src"), False).entries["train"][1]
    persons = read_persons(tmp_path / "src", entry, (96, 128), 3)  # the dataset has more labels
    with pytest.raises(MaskError, match="holds label"):
        next(persons)
