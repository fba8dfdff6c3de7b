"""Export as Parquet, and read it with datasets; test_parquet.py runs this in an environment with pyarrow and datasets.

Usage: python parquet_export.py REC OUT. An AssertionError reports a failure.
"""

from __future__ import annotations

import sys
from pathlib import Path

import datasets
import numpy as np
from folder import tree

import mhpdata
from mhpdata.exporting.forms.parquet import Exporter, _Table
from mhpdata.exporting.run import Run


def check_rows(rec: Path, out: Path) -> None:
    """Compare every value that datasets reads with the packed sample."""
    found = datasets.load_dataset(str(out), cache_dir=str(out.with_name("cache")))
    assert list(found) == ["train", "val", "test"]
    for split, rows in found.items():
        samples = mhpdata.open(rec, split)
        files = rows.cast_column("image", datasets.Image(decode=False))
        for row, file, sample in zip(rows, files, samples, strict=True):
            assert (row["name"], row["height"], row["width"]) == (sample.name, *sample.labels.shape)
            assert file["image"]["bytes"] == bytes(sample.record.image) and row["gray"] == sample.record.gray
            assert row["image"].size == sample.labels.shape[::-1]
            assert np.array_equal(row["labels"], sample.labels) and np.array_equal(row["persons"], sample.persons)
            assert len(row["masks"]) == len(sample.masks)
            assert all(map(np.array_equal, row["masks"], sample.masks))
    streamed = datasets.load_dataset(str(out), split="val", streaming=True)
    assert [row["name"] for row in streamed] == list(mhpdata.open(rec, "val").names)


def check_interrupted(rec: Path, out: Path, wanted: dict[str, str]) -> None:
    """Interrupt an export after its first file and before its last, and resume it."""
    write, finish, left = _Table.add, Run._finish, [3]

    def interrupted(self: _Table, rows: object, values: object) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        write(self, rows, values)

    def unfinished(self: Run, notes: object) -> None:
        raise KeyboardInterrupt

    for name, owner, replacement in (("add", _Table, interrupted), ("_finish", Run, unfinished)):
        setattr(owner, name, replacement)
        try:
            mhpdata.export(rec, out, "parquet", workers=1)
            raise AssertionError("not interrupted")
        except KeyboardInterrupt:
            assert not (out / "export.json").exists()
        _Table.add, Run._finish = write, finish
    assert mhpdata.export(rec, out, "parquet", workers=2).files == len(wanted) - 1
    assert tree(out) == wanted


def main(rec: Path, out: Path) -> None:
    """Run all checks, with one file per split, and with several."""
    mhpdata.export(rec, out / "one", "parquet", workers=1)
    check_rows(rec, out / "one")
    Exporter.block = 2
    mhpdata.export(rec, out / "blocks", "parquet", workers=4)
    assert len(list((out / "blocks/data").glob("train-*-of-00003.parquet"))) == 3
    check_rows(rec, out / "blocks")
    check_interrupted(rec, out / "again", tree(out / "blocks"))
    mhpdata.export(rec, out / "bare", "parquet", images=False, splits=["val"])
    (row,) = datasets.load_dataset(str(out / "bare"), split="val", cache_dir=str(out / "cache"))
    assert "image" not in row and np.array_equal(row["labels"], mhpdata.open(rec, "val")[0].labels)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
