"""Ids of images: their names if these are different numbers, otherwise their positions from 1 on."""

from mhpdata.exporting.coco_ids import image_ids


def test_ids_of_images_are_their_names_if_these_are_different_numbers():
    assert image_ids(["0007", "12"]) == [7, 12]
    assert image_ids(["7", "007"]) == [1, 2]
    assert image_ids(["a", "7"]) == [1, 2]
    assert image_ids(["٣"]) == [1]
    assert image_ids(["999999999", "1"]) == [999999999, 1] and image_ids(["1000000000"]) == [1]
