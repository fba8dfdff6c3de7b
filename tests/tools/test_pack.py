"""mhp pack on several machines: --task and --merge."""

import json

import pytest
from click.testing import CliRunner
from folder import tree, write_folder

from mhptools.pack import main

CLUSTERS = ("SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "AWS_BATCH_JOB_ARRAY_INDEX", "RANK")


def run(*arguments, **environ):
    environ = {**dict.fromkeys(CLUSTERS), **environ}
    return CliRunner().invoke(main, [str(argument) for argument in arguments], env=environ)


@pytest.fixture
def source(tmp_path):
    return write_folder(tmp_path / "LV-MHP-v1", images=8, size=(48, 64))


def test_tasks_and_merge_give_the_folder_of_one_command(source, tmp_path):
    common = ("--src", source, "--size", 32)
    assert run(*common, "--out", tmp_path / "one").exit_code == 0
    parts = (*common, "--out", tmp_path / "rec")
    first = run(*parts, "--task", "1/2")
    assert first.exit_code == 0, first.output
    assert first.stdout.startswith("Task 1/2: 1 block, 0 of them complete before; 8 images converted.\n")
    assert "run the command with --merge" in first.stdout
    second = run(*parts, "--task", "auto/2", "--json", JOB_COMPLETION_INDEX="1")
    assert json.loads(second.stdout) == {
        "task": "2/2", "blocks": 0, "kept": 0, "images": 0, "skipped": 0, "complete": False,
    }  # fmt: skip
    merged = run(*parts, "--merge", "--json")
    assert merged.exit_code == 0, merged.output
    assert json.loads(merged.stdout)["splits"]["train"]["images"] == 5
    assert tree(tmp_path / "rec") == tree(tmp_path / "one")
    assert run(*parts, "--task", "1/2").stdout == "Task 1/2: the pack is complete; nothing to do.\n"


def test_a_finished_pack_says_first_that_nothing_was_written(source, tmp_path):
    for more in ((), ("--merge",)):
        given = ("--src", source, "--size", 32, "--out", tmp_path / "rec", *more)
        first = run(*given)
        if not more:
            assert first.stdout.startswith(f"{tmp_path / 'rec'}: mhp-v1, packed as recordio\n"), first.output
            assert json.loads(run(*given, "--overwrite", "--json").stdout)["written"] is True
        before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "rec").iterdir()}
        again = run(*given).stdout.splitlines()
        assert again[0] == f"{tmp_path / 'rec'}: already complete; nothing was written. It holds:"
        assert again[1] == "mhp-v1, packed as recordio" and again[2].startswith("content ")
        assert json.loads(run(*given, "--json").stdout)["written"] is False
        assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "rec").iterdir()} == before


def test_a_missing_task_is_no_wrong_data(source, tmp_path):
    missing = run("--src", source, "--out", tmp_path, "--merge")
    assert missing.exit_code == 3 and "holds no part" in missing.output


def test_a_merge_of_a_folder_that_does_not_exist_is_a_wrong_argument(source, tmp_path):
    refused = run("--src", source, "--out", tmp_path / "nowhere", "--merge")
    assert refused.exit_code == 2 and f"--out: folder {tmp_path}/nowhere not found" in refused.output
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("flags", [
    ("--task", "1/2", "--merge"), ("--task", "1/2", "--dry-run"), ("--merge", "--dry-run"),
    ("--merge", "--overwrite"), ("--task", "1/2", "--overwrite"), ("--dask", "local", "--task", "1/2"),
    ("--dask", "local", "--merge"), ("--dask", "local", "--overwrite"), ("--dask", "local", "--dry-run"),
])  # fmt: skip
def test_flags_that_exclude_each_other(source, tmp_path, flags):
    refused = run("--src", source, "--out", tmp_path / "rec", *flags)
    assert refused.exit_code == 2 and "exclude each other. Pass one of them." in refused.output
    assert not (tmp_path / "rec").exists()


@pytest.mark.parametrize("task", ["0/2", "3/2", "1", "auto"])
def test_a_wrong_task_is_a_wrong_argument(source, tmp_path, task):
    refused = run("--src", source, "--out", tmp_path / "rec", "--task", task)
    assert refused.exit_code == 2 and "--task: " in refused.output
