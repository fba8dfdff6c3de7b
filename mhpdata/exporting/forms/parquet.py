"""parquet: one table per split, which Hugging Face's datasets opens with its images.

::

    data/<split>-00000-of-00012.parquet
    README.md                               the dataset card: splits, and the licence

Columns: name; image, labels, persons and masks, each a struct of bytes (an image file) and path, as the feature Image
of datasets has it; height, width, and gray (whether the source image is gray). image is a file as stored; labels,
persons and masks are 8-bit gray PNGs. masks holds each person's own mask, with overlaps, so nothing is lost. labels,
persons and masks are null in a split without labels. The schema's metadata describe the features for datasets
("huggingface"), and classes and left/right pairs ("mhp").

A file has at most 512 rows, written in groups of 32, so memory does not depend on the number of samples.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mhpdata.errors import MissingError
from mhpdata.exporting.form import Form, Piece, Plan
from mhpdata.exporting.output import Output
from mhpdata.exporting.rows import Block, Sink
from mhpdata.exporting.view import View
from mhpdata.filesystem.atomic import part_of
from mhpdata.filesystem.ours import create
from mhpdata.images.encode import encode_png

DATA = "data"
_GROUP = 32
"""Rows per row group: what is held in memory."""
_IMAGE = {"_type": "Image"}


class Exporter(Form):
    """See Form."""

    name = "parquet"
    reader = 'Read it with datasets.load_dataset("FOLDER"), or with any reader of Parquet files.'
    block = 512

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._arrow, self._parquet = load_pyarrow()
        self._schema = self._make_schema()

    def folders(self) -> Iterable[str]:
        """See Form."""
        return (DATA,)

    def piece(self, split: str, view: View) -> Piece:
        """See Form."""
        row: dict[str, Any] = {"name": view.name, "height": view.size[0], "width": view.size[1], "gray": view.gray}
        if self.plan.images:
            row["image"] = {"bytes": view.photo(), "path": f"{view.name}{self.plan.ending}"}
        if not self.plan.labelled(split):
            return Piece(values=row)
        labels, persons = view.maps()
        path = f"{view.name}.png"
        row["labels"] = {"bytes": encode_png(labels), "path": path}
        row["persons"] = {"bytes": encode_png(persons), "path": path}
        row["masks"] = [{"bytes": encode_png(mask), "path": path} for mask in view.masks()]
        return Piece(values=row, persons=view.persons)

    def sink(self, output: Output, split: str, block: Block) -> Sink:
        """See Form."""
        name = f"{split}-{block.number:05d}-of-{block.of:05d}.parquet"
        return _Table(output.path(f"{DATA}/{name}"), self._parquet, self._arrow, self._schema)

    def place_of_rows(self, name: str) -> str:
        """See Form."""
        return f"{DATA}/{name}"

    def kept_rows(self, sizes: dict[str, int]) -> dict[str, int]:
        """See Form."""
        return sizes

    def finish(self) -> Iterator[tuple[str, bytes]]:
        """See Form."""
        manifest = self.plan.manifest
        splits = "".join(
            f"  - split: {json.dumps(split)}\n    path: {json.dumps(f'{DATA}/{split}-*.parquet')}\n"
            for split, names in self.plan.splits.items()
            if names
        )
        licence = json.dumps(manifest.licence or "unknown", ensure_ascii=False)
        pairs = "; ".join(f"{left} and {right}" for left, right in manifest.flip_pairs) or "none"
        classes = "".join(f"| {label} | {name} |\n" for label, name in enumerate(manifest.classes))
        card = f"""---
license: other
license_name: {licence}
task_categories:
- image-segmentation
configs:
- config_name: default
  data_files:
{splits}---

README.txt states where these data come from, their licence, and how to cite them.

| label | class |
|---|---|
{classes}
Label 255 is ignored. Left and right labels, to be swapped in a mirrored image: {pairs}.
"""
        yield "README.md", card.encode()

    def _make_schema(self) -> Any:
        """Return the schema of all tables, with the features for datasets in its metadata."""
        arrow, manifest = self._arrow, self.plan.manifest
        image = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
        columns: list[tuple[str, Any, Any]] = [("name", arrow.string(), {"dtype": "string", "_type": "Value"})]
        columns += [("image", image, _IMAGE)] if self.plan.images else []
        columns += [("labels", image, _IMAGE), ("persons", image, _IMAGE)]
        columns += [("masks", arrow.list_(image), {"feature": _IMAGE, "_type": "Sequence"})]
        columns += [(name, arrow.int32(), {"dtype": "int32", "_type": "Value"}) for name in ("height", "width")]
        columns += [("gray", arrow.bool_(), {"dtype": "bool", "_type": "Value"})]
        features = {name: feature for name, _, feature in columns}
        ours = {"classes": manifest.classes, "flip_pairs": manifest.flip_pairs, "licence": manifest.licence}
        metadata = {"huggingface": json.dumps({"info": {"features": features}}), "mhp": json.dumps(ours)}
        return arrow.schema([(name, kind) for name, kind, _ in columns], metadata=metadata)


class _Table:
    """Sink that writes one Parquet file, atomically."""

    def __init__(self, path: Path, parquet: Any, arrow: Any, schema: Any) -> None:
        self._path, self._part = path, part_of(path)
        self._arrow, self._schema, self._rows = arrow, schema, list[dict[str, Any]]()
        self._file = create(self._part)
        plain = {"compression": "NONE", "use_dictionary": False, "write_statistics": False}  # images are compressed
        self._writer = parquet.ParquetWriter(self._file, schema, **plain)

    def add(self, rows: Any, values: Any) -> None:
        """See Sink."""
        self._rows.append(values)
        if len(self._rows) == _GROUP:
            self._write()

    def close(self, complete: bool) -> dict[str, int]:
        """See Sink."""
        try:
            if complete and self._rows:
                self._write()
            self._writer.close()
        finally:
            self._file.close()
        if not complete:
            self._part.unlink()
            return {}
        self._part.replace(self._path)
        return {self._path.name: self._path.stat().st_size}

    def _write(self) -> None:
        self._writer.write_table(self._arrow.Table.from_pylist(self._rows, schema=self._schema))
        self._rows.clear()


def load_pyarrow() -> tuple[Any, Any]:
    """Return pyarrow and pyarrow.parquet.

    Raises:
        MissingError: pyarrow is not installed, or cannot be imported with the installed NumPy.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        if error.name != "pyarrow":
            raise _broken(error) from error
        raise MissingError("pyarrow", "not installed", "", "Run: pip install pyarrow (the extra parquet).") from error
    except (ImportError, AttributeError) as error:
        raise _broken(error) from error
    return pyarrow, pyarrow.parquet


def _broken(error: Exception) -> MissingError:
    from numpy import __version__ as numpy

    remedy = 'Run: pip install "pyarrow<26", which accepts NumPy 1.' if numpy.startswith("1.") else "Install it again."
    return MissingError("pyarrow", f"cannot be imported with NumPy {numpy} ({str(error).rstrip('.')})", "", remedy)
