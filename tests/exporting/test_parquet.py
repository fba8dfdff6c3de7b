"""parquet: datasets reads it in .venv/parquet (make slow); errors where pyarrow is missing or fails."""

import subprocess
import sys

import pytest
from places import ROOT, SUPPORT

import mhpdata
from mhpdata.errors import MissingError


def test_a_missing_pyarrow_is_an_error_before_anything_is_written(whole, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingError, match=r"not installed.*pip install pyarrow"):
        mhpdata.export(whole, tmp_path / "out", "parquet")
    assert not (tmp_path / "out").exists()


def test_a_pyarrow_that_this_numpy_breaks_is_an_error_with_a_remedy(whole, tmp_path, monkeypatch):
    (tmp_path / "pyarrow").mkdir()
    (tmp_path / "pyarrow/__init__.py").write_text(
        "raise ImportError('pyarrow requires NumPy 2.0 or newer, found 1.23.5')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pyarrow", raising=False)
    monkeypatch.setattr("numpy.__version__", "1.23.5")
    expected = r"cannot be imported with NumPy 1\.23\.5 \(pyarrow requires NumPy 2\.0.*Run: pip install \"pyarrow<26\""
    with pytest.raises(MissingError, match=expected):
        mhpdata.export(whole, tmp_path / "out", "parquet")


@pytest.mark.slow
def test_datasets_reads_every_value(whole, tmp_path):
    python = ROOT / ".venv" / "parquet" / "bin" / "python"
    assert python.exists(), f"{python}: missing; make slow makes it"
    command = [python, SUPPORT / "parquet_export.py", whole, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
