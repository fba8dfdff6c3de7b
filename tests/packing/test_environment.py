"""The number of a task: given, or found in the environment of a cluster; whatever is ambiguous is an error."""

import pytest

from mhpdata.errors import OptionError
from mhpdata.packing.tasks.environment import find_task
from mhpdata.packing.tasks.plan import Task, blocks_of, parse_task, place_of, taken, tasks_of


def slurm(here, first, last, count):
    numbers = {"ID": here, "MIN": first, "MAX": last, "COUNT": count}
    return {f"SLURM_ARRAY_TASK_{name}": str(number) for name, number in numbers.items()}


def aws(index, size):
    return {"AWS_BATCH_JOB_ARRAY_INDEX": index, "AWS_BATCH_JOB_ARRAY_SIZE": size}


def torchrun(rank, size):
    return {"RANK": rank, "WORLD_SIZE": size}


FOUND = [
    ("auto", slurm(1, 1, 100, 100), (1, 100)),
    ("auto", slurm(100, 1, 100, 100), (100, 100)),
    ("auto/100", slurm(0, 0, 99, 100), (1, 100)),
    ("auto", slurm(99, 0, 99, 100), (100, 100)),
    ("auto", slurm(7, 1, 100, 34), (3, 34)),
    ("auto", slurm(20, 10, 30, 3), (2, 3)),
    ("auto", slurm(5, 5, 5, 1), (1, 1)),
    ("auto/8", {"JOB_COMPLETION_INDEX": "0"}, (1, 8)),
    ("auto/8", {"JOB_COMPLETION_INDEX": "7"}, (8, 8)),
    ("auto", aws("0", "3"), (1, 3)),
    ("auto/3", aws("2", "3"), (3, 3)),
    ("auto", torchrun("3", "4"), (4, 4)),
    ("3/100", slurm(1, 1, 2, 2), (3, 100)),
    ("1/1", {}, (1, 1)),
]


@pytest.mark.parametrize(("text", "environ", "wanted"), FOUND)
def test_the_number_and_count_of_a_task(text, environ, wanted):
    assert find_task(text, environ) == Task(*wanted)


REFUSED = [
    ("auto", {}, "the environment has none of SLURM_ARRAY_TASK_ID"),
    ("auto/4", {}, "the environment has none of"),
    ("auto", {"JOB_COMPLETION_INDEX": "3"}, r"which Kubernetes does not set\. Pass --task auto/COUNT"),
    ("auto/8", {"JOB_COMPLETION_INDEX": "8"}, "JOB_COMPLETION_INDEX is '8'; expected the number of one of 8 tasks"),
    ("auto/100", slurm(3, 3, 7, 2), r"SLURM_ARRAY_TASK_COUNT is 2; .*--task \$SLURM_ARRAY_TASK_ID/COUNT"),
    ("auto", slurm(5, 1, 9, 4), "an array of 4 tasks from 1 to 9, with gaps"),
    ("auto", slurm(5, 1, 9, 3) | {"SLURM_ARRAY_TASK_ID": "6"}, "with gaps"),
    ("auto", slurm(11, 1, 10, 10), "with gaps"),
    ("auto", {"SLURM_ARRAY_TASK_ID": "3"}, "SLURM_ARRAY_TASK_COUNT is not set"),
    ("auto", slurm(1, 1, 4, 4) | torchrun("0", "2"), "that of Slurm and of torchrun"),
    ("auto/5", aws("2", "3"), "AWS_BATCH_JOB_ARRAY_SIZE is 3; expected an array of 5 tasks"),
    ("auto", aws("three", "3"), "AWS_BATCH_JOB_ARRAY_INDEX is 'three'"),
    ("auto", aws("-1", "3"), "is '-1'; expected a whole number of 0 or more"),
    ("auto", torchrun("4", "4"), "RANK is '4'"),
    ("auto/0", torchrun("0", "1"), "WORLD_SIZE is 1"),
    *(
        (text, {}, "expected NUMBER/COUNT")
        for text in ("0/5", "6/5", "5", "", "a/b", "1/2/3", "-1/2", "1/1000001", "1 /2")
    ),
]


@pytest.mark.parametrize(("text", "environ", "found"), REFUSED)
def test_whatever_is_ambiguous_is_an_error(text, environ, found):
    with pytest.raises(OptionError, match=found):
        find_task(text, environ)


def test_blocks_are_cut_alike_for_any_number_of_tasks_and_each_is_taken_once():
    for entries in (0, 1, 63, 64, 65, 1000):
        blocks = blocks_of(entries)
        assert [i for block in blocks for i in range(block.start, block.stop)] == [*range(entries)]
        assert all(place_of(i) == (block.number, i - block.start) for block in blocks for i in range(*block[1:]))
        for count in (1, 2, 7, 100):
            shares = [taken(Task(number, count), blocks) for number in range(1, count + 1)]
            assert sorted(block for share in shares for block in share) == blocks
            for number, share in enumerate(shares, 1):
                assert tasks_of(share, count) == [Task(number, count)] * bool(share)


def test_a_task_is_written_as_it_is_read():
    assert parse_task(str(Task(3, 100))) == Task(3, 100)
