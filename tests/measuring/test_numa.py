"""Nodes of memory as Linux describes them, and the cores of the ranks on them."""

import pytest

from mhpdata.measuring.numa import cores_of_ranks, numa_nodes

EIGHT = frozenset(range(8))


@pytest.fixture
def system(tmp_path):
    """Return a function that writes the lists of cores of nodes as the system does."""

    def write(lists):
        for number, text in lists.items():
            (tmp_path / f"node{number}").mkdir()
            (tmp_path / f"node{number}/cpulist").write_text(f"{text}\n")
        (tmp_path / "power").mkdir()
        (tmp_path / "has_cpu").write_text("0-1\n")
        return tmp_path

    return write


def test_cores_are_those_of_the_lists_in_the_order_of_the_nodes(system):
    root = system({10: "6", 0: "0-1,4-5", 1: "2-3,7"})
    assert numa_nodes(root, EIGHT) == ((0, 1, 4, 5), (2, 3, 7), (6,))


def test_cores_that_the_process_may_not_use_are_left_out(system):
    root = system({0: "0-3", 1: "4-7", 2: ""})  # a node without cores is memory only
    assert numa_nodes(root, EIGHT) == ((0, 1, 2, 3), (4, 5, 6, 7))
    assert numa_nodes(root, frozenset({1, 5})) == ((1,), (5,))
    assert numa_nodes(root, frozenset({5})) == ((5,),)


def test_a_system_without_nodes_has_none(tmp_path):
    assert numa_nodes(tmp_path, EIGHT) == ()


def test_the_cores_of_this_process_are_found():
    assert sum(map(len, numa_nodes())) > 0


TWO, FOUR = ((0, 1), (2, 3)), ((0,), (1,), (2,), (3,))


@pytest.mark.parametrize(
    ("ranks", "nodes", "pinned"),
    [
        (3, (), [(), (), ()]),
        (2, ((0, 1, 2, 3),), [(), ()]),
        (1, TWO, [(0, 1, 2, 3)]),
        (2, TWO, [(0, 1), (2, 3)]),
        (3, TWO, [(0, 1), (0, 1), (2, 3)]),
        (4, TWO, [(0, 1), (0, 1), (2, 3), (2, 3)]),
        (2, FOUR, [(0, 1), (2, 3)]),
        (3, FOUR, [(0,), (1,), (2, 3)]),
        (2, ((0, 2), (1, 3)), [(0, 2), (1, 3)]),
    ],
)
def test_neighbouring_ranks_share_a_node(ranks, nodes, pinned):
    assert cores_of_ranks(ranks, nodes) == pinned


def test_every_core_has_a_rank_and_nodes_have_equally_many():
    for ranks in range(1, 20):
        for count in range(2, 6):
            nodes = tuple((2 * node, 2 * node + 1) for node in range(count))
            pinned = cores_of_ranks(ranks, nodes)
            assert len(pinned) == ranks and {core for cores in pinned for core in cores} == set(range(2 * count))
            shares = [sum(node[0] in cores for cores in pinned) for node in nodes]
            assert max(shares) - min(shares) <= 1
