"""Files of step times."""

import pytest

from mhpdata.errors import OptionError
from mhpdata.measuring.steps import read_step_times


def test_a_file_has_a_step_per_line(tmp_path):
    path = tmp_path / "steps.txt"
    path.write_text("# PSPNet, one H100\n0.184\n\n  1e-1 \n0\n")
    assert read_step_times(path) == (0.184, 0.1, 0.0)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", r"steps\.txt holds no step; expected seconds per step"),
        (b"# none\n", "holds no step"),
        (b"0.1\n0.2,0.3\n", r"steps\.txt, line 2, is '0\.2,0\.3'; expected seconds, such as 0\.184"),
        (b"184 ms\n", "line 1, is '184 ms'"),
        (b"\xff\xfe", r"steps\.txt is not a text file"),
        (b"0.1\n-0.1\n", r"step 2 takes -0\.1 seconds; expected 0 to 3600 seconds"),
        (b"nan\n", "step 1 takes nan seconds"),
        (b"184000\n", r"step 1 takes 184000\.0 seconds"),
    ],
)
def test_anything_else_is_a_wrong_argument(tmp_path, data, found):
    path = tmp_path / "steps.txt"
    path.write_bytes(data)
    with pytest.raises(OptionError, match=found) as caught:
        read_step_times(path)
    assert caught.value.place == "replay"


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(OptionError, match=r"none\.txt is missing\. Correct the path"):
        read_step_times(tmp_path / "none.txt")
    with pytest.raises(OptionError, match=r"cannot be read .* Pass the path of a file of step times"):
        read_step_times(tmp_path)
