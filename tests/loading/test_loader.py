"""The loader: correct samples and bytes for any number of threads; options, memory, resume."""

import itertools

import naive_jpeg
import naive_loader as naive
import numpy as np
import pytest
import simplejpeg
from folder import photo, write_folder
from images import save
from loading import FORMATS, IMAGES, digest, epoch, loader, write_packed

import mhpdata
from mhpdata import CentreCrop, Whole
from mhpdata.drawing import placement
from mhpdata.drawing.jpeg.scan import read_scan
from mhpdata.drawing.vectors import instructions as vectors
from mhpdata.errors import OptionError
from mhpdata.loading import sampling


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    return write_packed(tmp_path_factory.mktemp("loader"))


@pytest.fixture
def rec(packed):
    return packed["yuv420", "recordio"]


def planes(sample, image, folder, index):
    """Return the stored planes, and whether they are Y, Cb, Cr."""
    record = mhpdata.open(folder, "train").record(index)
    if image == "jpeg" and read_scan(record.image):
        return naive_jpeg.decode(bytes(record.image)), True
    if image != "yuv420":
        return [np.ascontiguousarray(sample.image[:, :, c]) for c in range(3)], False
    (h, w), data, out = record.size, np.frombuffer(record.image, np.uint8), []
    for shape in (h, w), (-(-h // 2), -(-w // 2)), (-(-h // 2), -(-w // 2)):
        out.append(data[: shape[0] * shape[1]].reshape(shape))
        data = data[shape[0] * shape[1] :]
    return out, True


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("image", IMAGES)
def test_a_training_epoch_is_what_the_slow_twin_makes(packed, image, format):
    folder = packed[image, format]
    split = mhpdata.open(folder, "train")
    ours = loader(folder, gray_prob=0.3, persons=True, seed=5)
    expected_order = sampling.permutation(5, 0, len(split))
    seen = []
    for images, labels, indices, persons, boxes, counts, *_ in epoch(ours):
        for i, index in enumerate(indices):
            sample = split[int(index)]
            place = placement.place_train(
                sample.labels.shape, sampling.draws(5, 0, np.array([index]))[0], 64, 48, gray_prob=0.3
            )
            stored, yuv = planes(sample, image, folder, int(index))
            rgb = naive.image(stored, yuv, sample.labels.shape, place)
            assert images[i].tobytes() == naive.normalise(rgb, "float32").tobytes()
            np.testing.assert_array_equal(labels[i], naive.labels(sample.labels, place, split.flip_pairs))
            np.testing.assert_array_equal(persons[i], naive.labels(sample.persons, place, (), 0))
            assert counts[i] == len(sample.record.masks)
            for person, box in enumerate(boxes[i], 1):
                rows, columns = np.nonzero(persons[i] == person)
                edges = (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1) if len(rows) else (0, 0, 0, 0)
                assert tuple(box) == edges
            seen.append(int(index))
    np.testing.assert_array_equal(seen, expected_order)


def test_jpegs_of_every_sampling_and_one_for_another_decoder(tmp_path):
    source, size = write_folder(tmp_path / "LV-MHP-v1", images=9, size=(61, 83)), (61, 83)
    samplings = ("444", "422", "440", "411", "420")
    files = [simplejpeg.encode_jpeg(photo(i, size), 90, colorsubsampling=s) for i, s in enumerate(samplings)]
    files.append(save(photo(9, size), "JPEG", keep_rgb=True))
    for i, data in enumerate(files, 1):
        (source / f"images/{i:04d}.jpg").write_bytes(data)
    mhpdata.pack(source, tmp_path / "rec", size=0)
    split = mhpdata.open(tmp_path / "rec", "train")
    assert all(bytes(split.record(i).image) == files[i] for i in range(len(split)))
    assert len(split) == len(files)
    assert [read_scan(data) is None for data in files] == [False] * 5 + [True]
    for epoch_ in range(3):
        ours = loader(tmp_path / "rec", dtype="uint8")
        ours.set_epoch(epoch_)
        for images, _, indices, *_ in epoch(ours):
            for image, index in zip(images, indices, strict=True):
                place = placement.place_train(size, sampling.draws(0, epoch_, np.array([index]))[0], 64, 48)
                stored, yuv = planes(split[int(index)], "jpeg", tmp_path / "rec", int(index))
                np.testing.assert_array_equal(image, naive.image(stored, yuv, size, place))


def test_containers_hold_the_same_batches(packed):
    for image in IMAGES:
        one, other = (digest(epoch(loader(packed[image, format]))) for format in FORMATS)
        assert one == other


@pytest.mark.parametrize("dtype", ["float16", "uint8"])
def test_other_dtypes_are_the_same_pixels(rec, dtype):
    whole = {tuple(b[2]): b for b in epoch(loader(rec))}
    for images, labels, indices, *_ in epoch(loader(rec, dtype=dtype)):
        expected = whole[tuple(indices)]
        np.testing.assert_array_equal(labels, expected[1])
        if dtype == "float16":
            np.testing.assert_array_equal(images, expected[0].astype(np.float16))
        else:
            for i in range(len(images)):
                assert naive.normalise(images[i], "float32").tobytes() == expected[0][i].tobytes()


def test_the_same_bytes_for_any_number_of_threads(rec):
    one = digest(epoch(loader(rec, threads=1)))
    for threads in 2, 7:
        assert digest(epoch(loader(rec, threads=threads))) == one


def test_the_same_bytes_on_plain_numba(rec, monkeypatch):
    fast = digest(epoch(loader(rec)))
    for level in range(vectors.LEVEL):
        monkeypatch.setattr("mhpdata.loading.making.LEVEL", level)
        assert digest(epoch(loader(rec))) == fast


def test_epochs_differ_and_follow_one_another(rec):
    ours = loader(rec, seed=1)
    first, second = digest(epoch(ours)), digest(epoch(ours))
    assert first != second
    assert ours.epoch == 2
    ours.set_epoch(1)
    assert digest(epoch(ours)) == second
    assert digest(epoch(loader(rec, seed=2))) != first


def test_val_and_whole_pictures(rec):
    split = mhpdata.open(rec, "val")
    for images, labels, indices, *_ in epoch(loader(rec, "val", view=CentreCrop(48))):
        assert images.shape[1:] == (3, 48, 48)
        place = placement.place_val(split[0].labels.shape, 48)
        for i, index in enumerate(indices):
            np.testing.assert_array_equal(labels[i], naive.labels(split[int(index)].labels, place))
    batches = epoch(loader(rec, "val", dtype="uint8", view=Whole(), batch_size=1))
    assert [int(b[2][0]) for b in batches] == list(range(len(split)))
    for (images, labels, *_), sample in zip(batches, split, strict=True):
        np.testing.assert_array_equal(images[0], sample.image)
        np.testing.assert_array_equal(labels[0], sample.labels)


@pytest.mark.parametrize("world_size", [1, 2, 3, 8])
def test_all_ranks_see_each_sample_once(rec, world_size):
    ranks = [loader(rec, rank=r, world_size=world_size) for r in range(world_size)]
    assert len({len(r) for r in ranks}) == 1
    seen = [int(i) for r in ranks for batch in r for i in batch.indices]
    assert sorted(seen) == list(range(18))


def test_a_resumed_epoch_goes_on_exactly_at_any_step(rec):
    whole = digest(epoch(loader(rec, seed=3)))
    for stop in range(len(whole) + 1):
        first = loader(rec, seed=3, threads=1)
        head = [
            digest([[a if a is None else a.copy() for a in vars(b).values()]])[0] for b in itertools.islice(first, stop)
        ]
        state = first.state_dict()
        assert all(type(value) is int for value in state.values())
        second = loader(rec, seed=3, threads=3)
        second.load_state_dict(state)
        if stop == len(whole):
            assert head == whole and (state["epoch"], state["position"]) == (1, 0)
        else:
            assert head + digest(epoch(second)) == whole
        assert second.epoch == 1


def test_a_resume_with_other_ranks_shows_the_rest_once(rec):
    before = [loader(rec, rank=r, world_size=2, seed=3, batch_size=3) for r in range(2)]
    seen = [int(i) for r in before for batch in itertools.islice(r, 2) for i in batch.indices]
    states = [r.state_dict() for r in before]
    assert states[0] == states[1]
    after = [loader(rec, rank=r, world_size=3, seed=3) for r in range(3)]
    for r in after:
        r.load_state_dict(states[0])
    seen += [int(i) for r in after for batch in r for i in batch.indices]
    assert sorted(seen) == list(range(18))


def test_a_state_of_other_data_is_refused(rec):
    state = loader(rec).state_dict()
    with pytest.raises(OptionError, match=r"saved with 18 samples; expected 5, .* names, where and limit: .* 18"):
        loader(rec, limit=5).load_state_dict(state)
    with pytest.raises(OptionError, match=r"seed 0; expected 1, .* Create the Loader with seed=0"):
        loader(rec, seed=1).load_state_dict(state)
    with pytest.raises(OptionError, match=r"no keys; expected 'seed', .* state_dict\(\)"):
        loader(rec).load_state_dict({})
    with pytest.raises(OptionError, match=r"nothing \(None\); expected a dict\. .* state_dict\(\)"):
        loader(rec).load_state_dict(None)


def test_subsets(rec):
    names = mhpdata.open(rec, "train").names
    for options, expected in (
        ({"names": [names[3], names[1]]}, {1, 3}),
        ({"limit": 2}, {0, 1}),
        ({"where": lambda name: name >= names[15]}, {15, 16, 17}),
    ):
        assert {int(i) for batch in loader(rec, **options) for i in batch.indices} == expected
    with pytest.raises(OptionError, match="nobody"):
        loader(rec, names=["nobody"])


def test_last_batch(rec):
    assert [len(b.indices) for b in loader(rec)] == [4, 4, 4, 4, 2]
    assert [len(b.indices) for b in loader(rec, drop_last=True)] == [4] * 4
    assert len(loader(rec)) == 5
    assert len(loader(rec, drop_last=True)) == 4


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0}, {"rank": 1}, {"dtype": "float64"}, {"view": Whole()}, {"threads": 0}, {"on_error": "ignore"},
        {"scales": (2.0, 1.0)}, {"split": "trian"}, {"pad_label": 256}, {"limit": -30}, {"flip_prob": float("nan")},
        {"gray_prob": 50}, {"blur_prob": "0.5"}, {"flip_prob": True}, {"scales": "2"}, {"scales": ("1", "2")},
        {"view": CentreCrop(48), "weights": np.array([1.0, 2.0])},
    ],
    ids=str,
)  # fmt: skip
def test_wrong_options_are_refused(rec, options):
    with pytest.raises(OptionError):
        loader(rec, **options)


def test_a_batch_that_is_held_is_never_written_again(rec):
    ours = loader(rec)
    held = []
    for _ in range(3):
        for batch in ours:
            view = batch.images[0, 1]
            held.append((view, view.copy(), batch.labels, batch.labels.copy()))
            del batch
            if len(held) > 6:
                held.pop(0)
        for view, copy, labels, labels_copy in held:
            np.testing.assert_array_equal(view, copy)
            np.testing.assert_array_equal(labels, labels_copy)


def test_memory_is_used_again(rec):
    ours = loader(rec)
    for _ in range(4):
        for _batch in ours:
            pass
        del _batch
    assert ours._slots.made <= 4


def test_transform_has_the_sample_s_own_generator(rec):
    drawn = {}

    def transform(image, labels, persons, rng):
        assert persons is None
        image[:] = rng.random()
        labels[0, 0] = rng.integers(255)

    for threads in 1, 4:
        for batch in loader(rec, transform=transform, threads=threads):
            for index, image, label in zip(batch.indices, batch.images, batch.labels, strict=True):
                assert (image == image[0, 0, 0]).all()
                assert drawn.setdefault(int(index), (image[0, 0, 0], label[0, 0])) == (image[0, 0, 0], label[0, 0])
    assert len(set(drawn.values())) == 18


def test_several_loaders_at_once(packed):
    alone = [digest(epoch(loader(packed[image, "hdf5"]))) for image in IMAGES]
    together = [loader(packed[image, "hdf5"]) for image in IMAGES]
    mixed = zip(*map(iter, together), strict=True)
    copies = [[[None if a is None else a.copy() for a in vars(b).values()] for b in batches] for batches in mixed]
    for i in range(3):
        assert digest([batches[i] for batches in copies]) == alone[i]


@pytest.mark.parametrize("rule", ["last", "smallest", "nearest", "ignore", "first"])
def test_another_overlap_rule_at_reading_is_what_packing_by_it_gives(tmp_path, rule):
    source = write_folder(tmp_path / "LV-MHP-v1", images=8, size=(61, 83))
    for overlap in ("first", rule):
        mhpdata.pack(source, tmp_path / overlap, overlap=overlap, size=96, overwrite=True)
    anew = epoch(loader(tmp_path / "first", overlap=rule, persons=True))
    assert digest(anew) == digest(epoch(loader(tmp_path / rule, persons=True)))
    assert (digest(anew) == digest(epoch(loader(tmp_path / "first", persons=True)))) == (rule == "first")


def test_an_unknown_overlap_rule_is_refused(rec):
    with pytest.raises(OptionError, match="smallest"):
        loader(rec, overlap="largest")
