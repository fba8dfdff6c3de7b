"""A minute of damaged inputs for every reader (make fuzz runs an hour), and tests that the fuzzer detects faults."""

from __future__ import annotations

import mmap
import os
import random
import subprocess
import sys
import time

import fuzz
import numpy as np
import pytest

from mhpdata.errors import RecordError

SHORT = [name for name in fuzz.BUILDERS if not name.startswith("loader")]
LOADERS = [name for name in fuzz.BUILDERS if name.startswith("loader")]


# Compiling the loader's kernels with bounds checks takes half a minute.
@pytest.mark.parametrize("names", [SHORT, pytest.param(LOADERS, marks=pytest.mark.slow)], ids=["readers", "loader"])
def test_a_wrong_byte_is_an_error_or_the_right_sample(names, tmp_path):
    for row in fuzz.run(names, 0, 300, 2, tmp_path):
        assert row["inputs"] == row["refused"] + row["right"] + row["other"]
        assert row["inputs"] >= 10 and (row["refused"] or row["target"] == "jpeg planes")


def test_the_same_seed_gives_the_same_inputs_and_every_kind_of_change_happens():
    data = [bytes(range(200)), b"other" * 40]
    first, again = ([fuzz.mutate(rng, data[0], data) for _ in range(500)] for rng in map(random.Random, (1, 1)))
    assert first == again and len(set(first)) > 450
    lengths = {len(changed) - 200 for changed in first}
    assert min(lengths) < -50 and max(lengths) > 50
    assert sum(changed == data[0] for changed in first) < 25


def attack(read, exact=True, inputs=200):
    target = fuzz.Target([b"seed" * 20], read, exact)
    return fuzz.attack(target, 0, inputs, 60, mmap.mmap(-1, fuzz.LARGEST + 4096))


def test_what_is_refused_right_and_other_is_counted():
    def refuse(data, _):
        if len(data) % 2:
            raise RecordError("record", "odd")
        return data[:1]

    counts = attack(refuse, exact=False)
    assert counts["inputs"] == 200 == counts["refused"] + counts["right"] + counts["other"]
    assert min(counts["refused"], counts["right"], counts["other"]) > 0


def test_an_input_that_became_another_seed_is_that_seed():
    target = fuzz.Target([b"a", b"b"], lambda data, _: data, True)
    with pytest.raises(AssertionError, match="not what was written"):
        fuzz.attack(target, 0, 2000, 60, mmap.mmap(-1, fuzz.LARGEST + 4096))
    other = fuzz.Target([b"a", b"b"], lambda data, _: data if data in (b"a", b"b") else refused(), True)
    assert fuzz.attack(other, 0, 2000, 60, mmap.mmap(-1, fuzz.LARGEST + 4096))["right"] > 0


def refused():
    raise RecordError("record", "neither")


def test_what_breaks_is_kept_and_can_be_read_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fuzz, "environment", lambda: {**os.environ, "FUZZ_BREAK": "1"})
    monkeypatch.setattr(fuzz, "__file__", str(broken_fuzzer(tmp_path)))
    with pytest.raises(fuzz.FoundError, match=r"runs: ended with 1; the input is in .*runs-5\.input"):
        fuzz.run(["runs"], 5, 100, 60, tmp_path)
    head = fuzz.HEAD.unpack_from(kept := (tmp_path / "runs-5.input").read_bytes())
    assert head == (0, len(kept) - fuzz.HEAD.size)


def broken_fuzzer(folder):
    """Run the fuzzer with a target that accepts only its seed."""
    path = folder / "broken.py"
    path.write_text(
        f"import sys\nsys.path.insert(0, {os.path.dirname(fuzz.__file__)!r})\nimport fuzz\n"  # noqa: PTH120
        "from fuzz_targets import BUILDERS\n"
        "BUILDERS['runs'] = lambda work: fuzz.Target([b'seed' * 9], lambda data, _: 1 // (data == b'seed' * 9), True)\n"
        "sys.exit(fuzz.main())\n"
    )
    return path


def test_another_answer_another_exception_and_much_memory_are_finds():
    with pytest.raises(AssertionError, match="not what was written"):
        attack(lambda data, _: data)
    with pytest.raises(ZeroDivisionError):
        attack(lambda data, _: 1 // (data == b"seed" * 20))
    with pytest.raises(MemoryError):
        attack(lambda data, _: np.zeros(2 * fuzz.MEMORY * (data != b"seed" * 20), np.uint8).sum())


PRELUDE = "import fuzz, mmap, os, sys, time\nlast = mmap.mmap(-1, fuzz.LARGEST + 4096)\n"


@pytest.mark.parametrize(
    "action", ["os.kill(os.getpid(), 11)", "fuzz.PATIENCE_S = .2; time.sleep(60)"], ids=["a crash", "a hang"]
)
def test_a_crash_and_a_hang_end_the_process(action):
    code = f"{PRELUDE}def read(data, _):\n    if data != b'seed' * 20: {action.split('; ')[-1]}\n"
    code += f"{action.split('; ')[0] if ';' in action else ''}\n"
    code += "fuzz.attack(fuzz.Target([b'seed' * 20], read, True), 0, 50, 60, last)\n"
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": os.path.dirname(fuzz.__file__)},  # noqa: PTH120
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0 and time.monotonic() - begun < 30


def test_kernels_are_compiled_with_bounds_checks_there(tmp_path):
    code = "import numpy as np\nfrom mhpdata.kernels.jit import kernel\n@kernel\ndef beyond(a):\n    return a[a.size]\n"
    code += "beyond(np.zeros(3, np.uint8))\n"
    path = tmp_path / "beyond.py"
    path.write_text(code)
    done = subprocess.run(
        [sys.executable, str(path)], env=fuzz.environment(), capture_output=True, text=True, check=False
    )
    assert "IndexError" in done.stderr
