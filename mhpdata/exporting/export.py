"""Export a packed folder in the form of another program, the library call of mhp export."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mhpdata.address import Address
from mhpdata.errors import OptionError
from mhpdata.exporting.form import Form, Plan
from mhpdata.exporting.output import Output
from mhpdata.exporting.run import Run
from mhpdata.options import EXPORT_AT, EXPORT_FORMS, ExportAt, ExportForm, check_choice, check_folder, check_path
from mhpdata.storage.manifest import Manifest, read_manifest
from mhpdata.storage.protocol import split_names
from mhpdata.storage.split import Split, no_split
from mhpdata.terms import licence_line
from mhpdata.wording import UNCHANGED, counted, printable, writing

RESUME = "run the same command again to resume the export"
_MODULES = {"mhp-v1": "mhp_v1", "coco-panoptic": "panoptic"}
"""Modules of forms that have another name."""
VERSION = 1


@dataclass(frozen=True)
class Exported:
    """Result of ``export``.

    Attributes:
        out: Folder of the export.
        form: Its form.
        at: Size of images and labels: "packed" or "source".
        splits: Number of images and of persons of each split.
        files: Number of its files, without export.json.
        bytes: Sum of the sizes of its files.
        licence: Licence of the dataset; None if unknown.
        written: Whether this call wrote it; False if the folder held it already.
    """

    out: Path
    form: str
    at: str
    splits: dict[str, dict[str, int]]
    files: int
    bytes: int
    licence: str | None
    written: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON types."""
        return {**vars(self), "out": str(self.out)}

    def text(self) -> str:
        """Return a table of the splits, and the licence."""
        what = f"{self.form}, at {self.at} size, {counted(self.files, 'file')}, {self.bytes / 1e6:,.1f} MB"
        head = [f"{self.out}: {what}"] if self.written else [f"{self.out}: {UNCHANGED} It holds:", what]
        rows = [f"{name:8}{one['images']:9,} images{one['persons']:9,} persons" for name, one in self.splits.items()]
        return "\n".join(map(printable, [*head, *rows, licence_line(self.licence)]))


def export(
    folder: str | os.PathLike[str] | Address,
    out: str | os.PathLike[str],
    to: ExportForm,
    *,
    splits: Sequence[str] | None = None,
    at: ExportAt = "packed",
    images: bool = True,
    workers: int | None = None,
    progress: bool = False,
) -> Exported:
    """Export a packed folder. Call again with the same arguments to resume an interrupted export.

    Args:
        folder: Packed folder, or its address.
        out: Folder to write: new, empty, or the same export, unfinished or complete.
        to: Form, of mhpdata.options.EXPORT_FORMS.
        splits: Splits to export; all by default.
        at: "packed" exports images and labels as packed, "source" as annotated. Images are never resized, so "source"
            needs a folder packed with size 0, or ``images=False``.
        images: Whether to export the images, too, not only the annotations.
        workers: Number of threads, by default one per core that this process may use. It changes no byte.
        progress: Show a bar if stderr is a terminal.

    Returns:
        What was exported. If ``out`` already holds this export, nothing is written, and ``written`` is False.

    Raises:
        OptionError: An argument is invalid, or the form cannot express these data.
        PackedError: The packed folder is damaged.
        OutputError: ``out`` cannot be written, is full, or holds something else.
        MissingError: The form needs a library that is not installed.
    """
    check_choice("to", to, EXPORT_FORMS)
    check_choice("at", at, EXPORT_AT)
    place, target = check_folder("folder", folder), check_path("out", out)
    manifest = read_manifest(place)
    chosen = _chosen(place, manifest, splits)
    plan = Plan(manifest, {name: split_names(manifest, name) for name in chosen}, at, images)
    form = _form(to)(plan)
    about = {
        "format": "mhp-export",
        "version": VERSION,
        "form": to,
        "at": at,
        "images": images,
        "content": manifest.content_id,
        "layout": manifest.layout,
        "exported": list(chosen),
        "classes": list(manifest.classes),
        "flip_pairs": [list(pair) for pair in manifest.flip_pairs],
        "licence": manifest.licence,
        "citation": manifest.citation,
    }
    with ExitStack() as stack:
        stack.enter_context(writing(target, RESUME))
        output = stack.enter_context(Output(target))
        content = output.begin(about, form.folders())
        written = content is None
        if content is None:
            opened = {name: stack.enter_context(closing(Split(place, name))) for name in chosen}
            content = Run(form, output, about, opened).export(workers, progress)
    counts = content["splits"], content["files"], content["bytes"]
    return Exported(target, to, at, *counts, manifest.licence, written)


def _chosen(folder: Any, manifest: Manifest, splits: Sequence[str] | None) -> tuple[str, ...]:
    """Return the splits to export, in the order of the manifest."""
    for split in splits or ():
        if split not in manifest.splits:
            raise no_split(folder, split, manifest)
    if splits is not None and not splits:
        raise OptionError("splits", "an empty list", "at least one split", "Leave splits out to export all.")
    return tuple(name for name in manifest.splits if splits is None or name in splits)


def _form(name: str) -> type[Form]:
    """Return the class of a form; its module is imported only now."""
    module = importlib.import_module(f"mhpdata.exporting.forms.{_MODULES.get(name, name)}")
    chosen: type[Form] = module.Exporter
    return chosen
