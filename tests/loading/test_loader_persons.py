"""Boxes, whole masks and targets of persons in the loader's batches."""

import naive_loader as naive
import numpy as np
import pytest
from loading import digest, epoch, loader, write_packed

import mhpdata
from mhpdata import CentreCrop
from mhpdata.drawing import placement
from mhpdata.errors import OptionError
from mhpdata.images.nearest_pixel import resize_labels
from mhpdata.loading import sampling
from mhpdata.masks.mask_runs import inflate_mask
from mhpdata.settings.output import Output


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    return write_packed(tmp_path_factory.mktemp("persons"), ("yuv420",), ("recordio",))["yuv420", "recordio"]


def test_masks_are_each_persons_own_through_the_same_crop(rec):
    split = mhpdata.open(rec, "train")
    shared = 0
    for batch in loader(rec, persons="masks", seed=5):
        for i, index in enumerate(batch.indices[:2]):
            sample = split[int(index)]
            draws = sampling.draws(5, 0, np.array([index]))[0]
            place = placement.place_train(sample.labels.shape, draws, 64, 48)
            assert batch.counts[i] == len(sample.record.masks)
            assert not batch.masks[i, batch.counts[i] :].any()
            for person, data in enumerate(sample.record.masks):
                own = resize_labels(inflate_mask(data, sample.record.source_size), sample.labels.shape)
                mask = batch.masks[i, person]
                np.testing.assert_array_equal(mask, naive.labels(own, place, split.flip_pairs, 0))
                rows, columns = np.nonzero((mask != 0) & (mask != 255))
                edges = (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1) if len(rows) else (0, 0, 0, 0)
                assert tuple(batch.boxes[i, person]) == edges
                visible = batch.persons[i] == person + 1
                np.testing.assert_array_equal(mask[visible], batch.labels[i][visible])
            shared += int(((batch.masks[i] != 0).sum(0) > 1).sum())
    assert shared, "persons that overlap keep their pixels"


def test_xyxy_boxes_mark_the_rows_without_area(rec):
    marked = 0
    for ours, other in zip(loader(rec, persons=True), loader(rec, persons=True, boxes="xyxy"), strict=True):
        top, left, bottom, right = np.moveaxis(ours.boxes, 2, 0)
        shown = bottom > 0
        expected = np.where(shown[..., None], np.stack([left, top, right, bottom], 2), -1)
        assert other.boxes.dtype == np.int32
        np.testing.assert_array_equal(other.boxes, expected)
        assert (other.boxes[shown][:, 2:] > other.boxes[shown][:, :2]).all()
        marked += int((~shown).sum())
    assert marked


@pytest.mark.parametrize("view", [None, CentreCrop(40)])
def test_targets_are_drawn_from_the_person_map_of_the_crop(rec, view):
    options = {} if view is None else {"view": view}
    for batch in loader(rec, persons="targets", **options):
        assert batch.targets.dtype == np.float32
        assert batch.targets.shape == (len(batch.indices), 4, *batch.labels.shape[1:])
        for persons, targets in zip(batch.persons, batch.targets, strict=True):
            np.testing.assert_allclose(targets, naive.targets(persons), rtol=1e-6, atol=1e-9)


def test_targets_follow_a_transform_that_changes_the_persons(rec):
    def nobody(images, labels, persons, rng):
        persons[:] = 0

    assert not any(batch.targets.any() for batch in loader(rec, persons="targets", transform=nobody))


@pytest.mark.parametrize("persons", ["masks", "targets"])
def test_they_do_not_depend_on_threads_and_leave_the_rest_as_it_is(rec, persons):
    one, four = (digest(epoch(loader(rec, persons=persons, threads=n))) for n in (1, 4))
    assert one == four
    assert [batch[:6] for batch in one] == [batch[:6] for batch in digest(epoch(loader(rec, persons=True)))] or (
        persons == "masks"  # whose boxes enclose the masks
    )
    plain = [list(batch) for batch in loader(rec, persons=True)]
    assert plain[0] == ["images", "labels", "indices", "persons", "boxes", "counts"]


def test_other_words_are_refused():
    for value in ("mask", 1, None):
        with pytest.raises(OptionError, match="persons"):
            Output(persons=value)
    with pytest.raises(OptionError, match="boxes"):
        Output(boxes="xywh")
