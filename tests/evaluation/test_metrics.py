"""Confusion and most_likely, compared with slow twins, and with GluonCV's metric if it is installed."""

import importlib.util

import naive_metrics as naive
import numpy as np
import pytest

from mhpdata.errors import EngineError, OptionError
from mhpmodels.evaluation.metrics import Confusion, most_likely

SHAPES = [(1, 1, 1), (2, 1, 7), (3, 5, 1), (2, 33, 65)]


def maps(rng, shape, classes, ignored=0.2):
    """Return predictions and labels, some of them 255."""
    predicted, labels = rng.integers(0, classes, (2, *shape), dtype=np.uint8)
    labels[rng.random(shape) < ignored] = 255
    return predicted, labels


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("classes", [1, 2, 19, 59, 255])
def test_the_matrix_and_its_figures_are_the_slow_twins(shape, classes):
    predicted, labels = maps(np.random.default_rng(classes), shape, classes)
    ours, theirs = Confusion(classes), naive.confusion(predicted, labels, classes)
    ours.update(predicted, labels)
    assert ours.matrix.dtype == np.int64 and ours.matrix.tolist() == theirs
    assert ours.pix_acc == float(naive.pix_acc(theirs))
    assert ours.iou.tolist() == [float(value) for value in naive.iou(theirs)]
    assert ours.miou == pytest.approx(float(naive.miou(theirs)), rel=1e-14)
    assert ours.labelled == int((labels != 255).sum())


def test_images_add_up_in_any_order_and_merge_is_the_same_as_one():
    rng = np.random.default_rng(1)
    images = [maps(rng, (1, 9, 11), 19) for _ in range(5)]
    whole, one, other = Confusion(19), Confusion(19), Confusion(19)
    for i, (predicted, labels) in enumerate(images):
        whole.update(predicted, labels)
        (one if i % 2 else other).update(predicted, labels)
    one.merge(other)
    assert (one.matrix == whole.matrix).all()
    together = Confusion(19)
    together.update(*(np.concatenate(arrays) for arrays in zip(*images, strict=True)))
    assert (together.matrix == whole.matrix).all()
    with pytest.raises(OptionError, match="59 classes"):
        whole.merge(Confusion(59))


def test_an_absent_class_counts_zero_and_one_only_predicted_is_not_absent():
    ours = Confusion(4)
    ours.update(np.array([0, 0, 2]), np.array([0, 0, 0]))
    assert ours.iou.tolist() == [2 / 3, 0, 0, 0]
    assert ours.absent.tolist() == [False, True, False, True]
    assert ours.miou == 2 / 3 / 4 and ours.miou_present == 2 / 3 / 2
    assert ours.pix_acc == 2 / 3


def test_nothing_labelled_is_zero_and_not_nan():
    ours = Confusion(19)
    ours.update(np.zeros((2, 3, 3), np.uint8), np.full((2, 3, 3), 255, np.uint8))
    ours.update(np.zeros((0, 3, 3), np.uint8), np.zeros((0, 3, 3), np.uint8))
    assert (ours.labelled, ours.pix_acc, ours.miou, ours.miou_present) == (0, 0.0, 0.0, 0.0)
    assert ours.absent.all()


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.uint16])
def test_any_integers_and_any_strides(dtype):
    predicted, labels = maps(np.random.default_rng(2), (4, 10, 12), 19)
    expected = naive.confusion(predicted[:, ::2], labels[:, ::2], 19)
    ours = Confusion(19)
    ours.update(predicted.astype(dtype)[:, ::2], labels.astype(dtype)[:, ::2])
    assert ours.matrix.tolist() == expected


@pytest.mark.parametrize(
    ("predicted", "labels", "match"),
    [
        ([19], [0], "label 19; expected labels 0 to 18"),
        ([255], [255], "label 255; expected labels 0 to 18"),  # also if no pixel counts
        ([275], [0], "label 275; expected labels 0 to 18"),
        ([-1], [0], "label -1; expected labels 0 to 18"),
        ([0], [19], "label 19; expected labels 0 to 18, or 255"),
        ([0], [254], "label 254"),
        ([0], [-1], "label -1; expected labels 0 to 18, or 255"),
        ([0.0], [0], "float64"),
        ([True], [0], "bool"),
        ([0, 0], [0], "shape"),
    ],
)
def test_what_is_no_label_is_an_error_and_leaves_the_matrix_alone(predicted, labels, match):
    ours = Confusion(19)
    ours.update(np.array([3]), np.array([3]))
    before = ours.matrix.copy()
    with pytest.raises(OptionError, match=match):
        ours.update(np.array(predicted), np.array(labels))
    assert (ours.matrix == before).all()


@pytest.mark.parametrize(
    ("predicted", "labels", "remedy"),
    [
        (np.zeros((2, 19, 4, 4), "f4"), np.zeros((2, 4, 4), "u1"), "most_likely(logits)"),
        (np.zeros((2, 19, 4, 4), "i4"), np.zeros((2, 4, 4), "u1"), "one label per pixel"),
        (np.zeros((3, 4, 4), "u1"), np.zeros((2, 4, 4), "u1"), "of the same images"),
        (np.zeros((2, 2, 2), "u1"), np.zeros((2, 4, 4), "u1"), "Resize the predicted labels"),
    ],
)
def test_the_remedy_fits_the_shape(predicted, labels, remedy):
    with pytest.raises(OptionError) as caught:
        Confusion(19).update(predicted, labels)
    assert caught.value.place == "predicted" and remedy in caught.value.remedy


def test_what_is_no_array_is_an_error_that_says_how_to_convert_it():
    array = np.zeros((1, 2, 2), np.uint8)
    with pytest.raises(OptionError, match=r"predicted: an object of type list.*np\.asarray\(predicted\)"):
        Confusion(19).update([[0]], array)
    with pytest.raises(OptionError, match="logits: an object of type list"):
        most_likely([[[0.0]]])


def test_a_tensor_is_an_error_that_says_how_to_convert_it():
    torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")
    array, tensor = np.zeros((1, 2, 2), np.uint8), torch.zeros((1, 2, 2), dtype=torch.uint8)
    with pytest.raises(OptionError, match=r"predicted: an object of type Tensor.*Pass predicted\.cpu\(\)\.numpy\(\)"):
        Confusion(19).update(tensor, tensor)
    with pytest.raises(OptionError, match=r"Pass labels\.cpu\(\)\.numpy\(\)"):
        Confusion(19).update(array, tensor)
    with pytest.raises(OptionError, match=r"Pass logits\.detach\(\)\.cpu\(\)\.numpy\(\)"):
        most_likely(torch.zeros((1, 19, 2, 2), requires_grad=True))


def test_predictions_that_are_no_label_are_misses_where_that_is_asked_for():
    labels, predicted = np.array([0, 0, 1, 1, 255, 2]), np.array([0, 19, 1, 255, 77, 2])
    ours = Confusion(19)
    ours.update(predicted, labels, missing=True)
    assert ours.missed.tolist()[:3] == [1, 1, 0] and ours.missed.sum() == 2
    assert ours.pix_acc == 3 / 5 and ours.labelled == 5
    assert ours.iou.tolist()[:4] == [1 / 2, 1 / 2, 1, 0]
    twice = Confusion(19)
    twice.merge(ours)
    twice.merge(ours)
    assert twice.iou.tolist() == ours.iou.tolist() and twice.labelled == 10
    with pytest.raises(OptionError, match="labels"):
        ours.update(np.array([0]), np.array([19]), missing=True)


@pytest.mark.parametrize("classes", [0, 256, 19.0])
def test_numbers_of_classes_that_cannot_be(classes):
    with pytest.raises(OptionError, match="classes"):
        Confusion(classes)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 19, 5, 7), (1, 255, 3, 3), (19, 70, 70), (0, 19, 4, 4)], ids=str)
def test_most_likely_is_argmax_and_takes_the_first_of_equals(shape):
    rng = np.random.default_rng(3)
    for logits in (rng.standard_normal(shape, np.float32), rng.integers(0, 3, shape).astype(np.float32)):
        found = most_likely(logits)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, logits.argmax(-3))
        strided = np.ascontiguousarray(logits[..., ::-1])[..., ::-1]
        np.testing.assert_array_equal(most_likely(strided), found)


def test_infinite_logits_are_numbers():
    logits = np.array([-np.inf, np.inf, 0, -np.inf, -np.inf, -np.inf], np.float32).reshape(2, 3, 1, 1)
    assert most_likely(logits).reshape(-1).tolist() == [1, 0]


@pytest.mark.parametrize("place", [(0, 0, 0, 0), (1, 2, 69, 69), (1, 0, 58, 36)])
def test_a_nan_is_an_error_that_says_where(place):
    logits = np.zeros((2, 3, 70, 70), np.float32)
    logits[place] = np.nan
    with pytest.raises(EngineError, match=f"NaN at image {place[0]}, row {place[2]}, column {place[3]}"):
        most_likely(logits)


@pytest.mark.parametrize(
    ("logits", "match"),
    [
        (np.zeros((3, 4, 4)), "float64 .*; expected float32"),
        (np.zeros((4, 4), np.float32), "expected float32"),
        (np.zeros((256, 4, 4), np.float32), "256 classes in .*; expected 1 to 255 classes"),
        (np.zeros((1, 0, 4), "f4"), "height 0, width 4; expected at least one pixel"),
    ],
)
def test_other_arrays_than_logits_are_refused(logits, match):
    with pytest.raises(OptionError, match=match):
        most_likely(logits)


@pytest.fixture(scope="module")
def gluoncvs_metric(mx):
    """Load GluonCV's SegmentationMetric from its file: gluoncv itself cannot be imported beside torch >= 2."""
    package = importlib.util.find_spec("gluoncv")
    if package is None:
        pytest.skip("GluonCV is not installed here; environment A has it")
    path = f"{package.submodule_search_locations[0]}/utils/metrics/segmentation.py"
    spec = importlib.util.spec_from_file_location("gluoncv_segmentation_metric", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SegmentationMetric


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # mx.nd.array accesses SciPy's old names
@pytest.mark.parametrize("classes", [2, 19])
def test_the_same_figures_as_gluoncvs_metric(mx, gluoncvs_metric, classes):
    rng = np.random.default_rng(classes)
    theirs, ours = gluoncvs_metric(classes), Confusion(classes)
    for _ in range(4):
        logits = rng.standard_normal((2, classes, 37, 41)).astype(np.float32)
        _, labels = maps(rng, (2, 37, 41), classes)
        labels[labels == 1] = 0  # a class that is predicted only
        logits[:, -1] = -9  # a class that is labelled only
        ignored = labels.astype(np.int32)
        ignored[labels == 255] = -1  # the only label that GluonCV ignores
        theirs.update(mx.nd.array(ignored, dtype="int32"), mx.nd.array(logits))
        ours.update(most_likely(logits), labels)
        pix_acc, miou = theirs.get()
        assert ours.pix_acc == pytest.approx(float(pix_acc), rel=1e-14)
        assert ours.miou == pytest.approx(float(miou), rel=1e-14)
        np.testing.assert_allclose(ours.iou, theirs.total_inter / (np.spacing(1) + theirs.total_union), rtol=1e-14)
