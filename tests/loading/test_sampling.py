"""The order of an epoch and the random draws: pure functions, complete, and never changed."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mhpdata.drawing import placement
from mhpdata.loading import sampling


@pytest.mark.parametrize("length", [0, 1, 2, 17, 1000])
def test_permutation_holds_each_index_once(length):
    assert sorted(sampling.permutation(3, 5, length)) == list(range(length))


def test_permutation_changes_with_seed_and_epoch():
    one = sampling.permutation(0, 0, 100)
    assert not np.array_equal(one, sampling.permutation(0, 1, 100))
    assert not np.array_equal(one, sampling.permutation(1, 0, 100))
    np.testing.assert_array_equal(one, sampling.permutation(0, 0, 100))


def test_the_stream_is_frozen():
    """These numbers are part of the contract: a checkpoint resumed years later must get the same batches."""
    assert sampling.permutation(7, 2, 8).tolist() == FROZEN_ORDER
    np.testing.assert_array_equal(
        (sampling.draws(7, 2, np.array([0, 5]))[:, :3] * 2**32).astype(np.int64), FROZEN_DRAWS
    )


@given(st.lists(st.integers(1, 1 << 20), min_size=1, max_size=60), st.integers(0, 3), st.integers(0, 5))
def test_weighted_places_are_the_shares_to_within_one(weights, groups, epoch):
    weights, groups = np.array(weights), np.arange(len(weights)) % (groups + 1)
    samples, turns = sampling.weighted(4, epoch, weights, groups)
    count = len(weights)
    assert len(samples) == len(turns) == count
    for numbers, sums in (
        (np.bincount(samples, minlength=count), weights),
        (np.bincount(groups[samples]), np.bincount(groups, weights)),
    ):
        share = sums * count / weights.sum()
        assert (np.abs(numbers - share[: len(numbers)]) < 1 + 1e-9).all()
    for sample in set(samples.tolist()):
        assert turns[samples == sample].tolist() == list(range(np.count_nonzero(samples == sample)))


def test_weighted_changes_with_seed_and_epoch_and_with_nothing_else():
    weights, groups = np.full(50, 7), np.zeros(50, np.int64)
    one, turns = sampling.weighted(0, 0, weights, groups)
    assert sorted(one) == list(range(50)) and not turns.any(), "equal weights: each once"
    for seed, epoch in ((0, 1), (1, 0)):
        assert not np.array_equal(one, sampling.weighted(seed, epoch, weights, groups)[0])
    np.testing.assert_array_equal(one, sampling.weighted(0, 0, weights, groups)[0])
    assert sampling.weighted(7, 2, np.arange(1, 9), np.arange(8) % 2)[0].tolist() == FROZEN_WEIGHTED


def test_a_second_turn_has_draws_of_its_own_and_the_first_those_of_the_index():
    indices = np.array([5, 5, 9])
    keys = sampling.keys_of(indices, sampling.turns(indices))
    assert sampling.turns(indices).tolist() == [0, 1, 0]
    first, second, other = sampling.draws(7, 2, keys)
    np.testing.assert_array_equal([first, other], sampling.draws(7, 2, np.array([5, 9])))
    assert (first != second).all()
    assert sampling.generator(7, 2, int(keys[0])).random() != sampling.generator(7, 2, int(keys[1])).random()


@given(
    st.integers(0, 200),
    st.lists(st.tuples(st.sampled_from([1, 2, 3, 8]), st.integers(1, 7), st.integers(1, 9)), min_size=1, max_size=4),
)
def test_all_ranks_see_each_sample_once_also_when_the_world_changes(length, stages):
    """Each stage is (world size, batch size, batches until the run stops); the last one runs to the end."""
    seen, position = [], 0
    for number, (world_size, batch_size, stop_after) in enumerate(stages):
        todo = sampling.batches_left(length, position, batch_size, world_size)
        for _ in range(todo if number == len(stages) - 1 else min(todo, stop_after)):
            shares = [sampling.share(length, position, batch_size, rank, world_size) for rank in range(world_size)]
            parts = [list(range(length))[s] for s in shares]
            assert max(map(len, parts)) - min(map(len, parts)) <= 1
            assert max(map(len, parts)) <= batch_size
            seen += itertools.chain.from_iterable(parts)
            position = min(length, position + batch_size * world_size)
    assert sorted(seen) == list(range(length))


def test_drop_last_counts_only_full_batches():
    assert sampling.batches_left(100, 0, 16, 2) == 4
    assert sampling.batches_left(100, 0, 16, 2, drop_last=True) == 3
    assert sampling.batches_left(100, 96, 16, 2, drop_last=True) == 0
    assert sampling.batches_left(100, 100, 16, 2) == 0


def test_draws_belong_to_the_sample_not_to_its_neighbours():
    together = sampling.draws(1, 2, np.arange(50))
    for i in (0, 7, 49):
        np.testing.assert_array_equal(sampling.draws(1, 2, np.array([i]))[0], together[i])
    assert not np.array_equal(sampling.draws(1, 3, np.arange(50)), together)


def test_draws_are_uniform_and_uncorrelated():
    u = sampling.draws(0, 0, np.arange(20000))
    assert u.min() >= 0
    assert u.max() < 1
    np.testing.assert_allclose(u.mean(axis=0), 0.5, atol=0.01)
    np.testing.assert_allclose(np.corrcoef(u.T), np.eye(placement.DRAWS), atol=0.03)
    for column in u.T:
        counts = np.histogram(column, bins=20, range=(0, 1))[0]
        assert ((counts - 1000) ** 2 / 1000).sum() < 50


def test_generator_is_the_sample_s_own():
    assert sampling.generator(0, 1, 2).integers(2**60) == sampling.generator(0, 1, 2).integers(2**60)
    assert sampling.generator(0, 1, 2).integers(2**60) != sampling.generator(0, 1, 3).integers(2**60)


def test_train_placement_follows_the_old_recipe():
    low = placement.place_train((768, 1080), np.zeros(placement.DRAWS), 768, 768, blur_prob=0.5)
    assert low == placement.Placement(273, 384, 0, 0, 768, 768, flip=True, radius=0.0, gray=False)
    high = placement.place_train((1080, 768), np.full(placement.DRAWS, 1 - 1e-9), 768, 768)
    assert high == placement.Placement(1536, 1092, 768, 324, 768, 768)


def test_train_placement_obeys_its_probabilities():
    places = [
        placement.place_train((768, 900), u, 480, 480, gray_prob=0.25) for u in sampling.draws(9, 0, np.arange(4000))
    ]
    assert np.mean([p.flip for p in places]) == pytest.approx(0.5, abs=0.03)
    assert np.mean([p.radius > 0 for p in places]) == pytest.approx(0.5, abs=0.03)
    assert np.mean([p.gray for p in places]) == pytest.approx(0.25, abs=0.03)
    assert (min(p.scaled_width for p in places), max(p.scaled_width for p in places)) == (240, 960)
    assert all(0 <= p.left <= max(p.scaled_width - 480, 0) for p in places)


@pytest.mark.parametrize(
    ("size", "place"),
    [
        ((768, 1080), (480, 675, 0, 98)),
        ((1080, 768), (675, 480, 98, 0)),
        ((480, 480), (480, 480, 0, 0)),
        ((5, 7), (480, 672, 0, 96)),
    ],
)
def test_val_placement(size, place):
    assert placement.place_val(size, 480) == placement.Placement(*place, 480, 480)


def test_whole_placement():
    assert placement.place_whole((5, 7)) == placement.Placement(5, 7, 0, 0, 5, 7)


FROZEN_WEIGHTED = [1, 4, 6, 5, 2, 3, 0, 7]
FROZEN_ORDER = [2, 3, 7, 4, 6, 0, 1, 5]
FROZEN_DRAWS = [[452815734, 1809167457, 4077737763], [2347371290, 2192706389, 2991018019]]
