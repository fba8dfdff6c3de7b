"""Write an HTML page that shows a packed folder, a training run and predictions (mhp show --page).

::

    DIR/index.html     HTML and CSS only; opens from disk and loads no external files
    DIR/sheet.png      samples of the packed folder (mhpmodels.showing.sheet)
    DIR/curves.png     with a run (mhpmodels.showing.curves)
    DIR/pictures/      with predictions (mhpmodels.showing.compared)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import mhpdata
from mhpdata.errors import UnreadableError
from mhpdata.filesystem.regular import read_regular
from mhpdata.options import Folder, check_folder, check_path, short_name
from mhpdata.storage.manifest import Manifest, read_manifest
from mhpdata.terms import licence_line
from mhpdata.wording import counted, to_open, unread
from mhpmodels.figures.colours import picture_palette
from mhpmodels.files import checkpoint
from mhpmodels.files.output import HTML_START, check_free, make_folder, write_file
from mhpmodels.files.provenance import in_words
from mhpmodels.showing.compared import Compared, write_compared
from mhpmodels.showing.curves import SIZE, save_curves
from mhpmodels.showing.markup import Markup, element, joined, table
from mhpmodels.showing.selection import COUNT
from mhpmodels.showing.sheet import Sheet, save_sheet
from mhpmodels.showing.style import STYLE
from mhpmodels.training.tables import read_epochs

INDEX = "index.html"
MAX_COMMANDS = 1 << 20
"""Largest file of commands, in bytes."""


@dataclass(frozen=True)
class Shown:
    """Inputs of a page.

    Attributes:
        data: packed folder.
        run: folder of a training run, or None.
        predictions: folder of label maps of images of ``data``, or None.
        commands: text file with the commands that were run, or None.
    """

    data: str
    run: str | None = None
    predictions: str | None = None
    commands: str | None = None


def save_page(out: str | Path, shown: Shown, overwrite: bool = False) -> str:
    """Write a page and its figures.

    Args:
        out: folder of the page; created if it is missing.
        shown: inputs of the page.
        overwrite: replace an earlier page.

    Returns:
        A one-line summary: path of the page and what it shows.

    Raises:
        MissingError: Matplotlib is not installed.
        OutputError: a file exists, or cannot be written.
        PackedError, CheckpointError, PredictionError: the data, run or predictions are missing or damaged.
        UnreadableError: the file of commands cannot be read.
    """
    out, manifest = check_path("out", out), read_manifest(shown.data)
    commands = None if shown.commands is None else _read(Path(shown.commands))
    make_folder(out)
    check_free(out / INDEX, overwrite)
    said = []
    sheet = save_sheet(shown.data, out / "sheet.png", overwrite=overwrite)
    sections = [_data(shown.data, manifest), _samples(sheet)]
    said.append(f"a sheet of {counted(len(sheet.indices), 'sample')}")
    if shown.run is not None:
        epochs, _ = save_curves(shown.run, out / "curves.png", overwrite)
        sections += [_curves(Path(shown.run)), *_origin(Path(shown.run))]
        said.append(f"the curves of {counted(epochs, 'epoch')}")
    if shown.predictions is not None:
        compared = write_compared(shown.data, shown.predictions, out, COUNT, overwrite)
        sections.append(_predictions(compared, manifest))
        said.append(counted(len(compared), "prediction"))
    if commands is not None:
        sections.append(_section("Commands", "These commands produced this page.", element("pre", commands)))
    write_file(out / INDEX, _document(check_folder("data", shown.data), manifest, sections).encode(), overwrite)
    return f"{out / INDEX}: {', '.join(said)}"


def _read(path: Path) -> str:
    try:
        return read_regular(path, MAX_COMMANDS).decode("utf-8", "replace").strip()
    except OSError as error:
        remedy = to_open(error, path, "a text file")
        raise UnreadableError(path, unread(error), "a text file", remedy) from error


def _document(data: Folder, manifest: Manifest, sections: list[Markup]) -> str:
    name = short_name(data)
    head = joined(
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"mhp: {name}"),
        Markup(f"<style>{STYLE}</style>"),
    )
    top = element("header", element("h1", f"Packed folder {name}"), element("p", licence_line(manifest.licence)))
    body = element("body", top, element("main", *sections))
    return f"{HTML_START}{head}{body}</html>\n"


def _section(title: str, text: str, *content: Markup) -> Markup:
    return element("section", element("h2", title), element("p", text), *content)


def _data(folder: str, manifest: Manifest) -> Markup:
    report = mhpdata.verify_packed(folder, allow_empty=True)
    splits = {name: split.statistics for name, split in manifest.splits.items()}
    rows = [
        [name, *(f"{n:,}" for n in (one.images, one.persons, one.gray, one.contested, one.conflicting))]
        for name, one in splits.items()
    ]
    header = ["split", "images", "persons", "gray images", "overlapping px", "conflicting px"]
    size = sum(file.bytes for file in manifest.files) / 2**20
    checked = "no problems" if report.clean else f"{counted(len(report.findings), 'problem')}; run mhp verify"
    facts = (
        f"Layout {manifest.layout}, {size:.1f} MB as {manifest.options.get('format', 'unknown')}; "
        f"{counted(len(manifest.skipped), 'image')} skipped, {counted(len(manifest.duplicates), 'group')} of "
        f"byte-identical images. Checked against the manifest: {checked}."
    )
    return _section("Packed data", facts, table(header, rows))


def _picture(path: str, size: tuple[int, int], text: str) -> Markup:
    """Return a figure that opens its image at full size when it is clicked; ``size`` is (height, width)."""
    image = element("img", src=path, height=size[0], width=size[1], alt=text, loading="lazy")
    return element("figure", element("a", image, href=path), element("figcaption", text))


def _samples(sheet: Sheet) -> Markup:
    text = "One row per sample: image, merged labels, the person each pixel belongs to, and overlapping pixels."
    shown = _picture("sheet.png", sheet.size, f"{counted(len(sheet.indices), 'sample')} of {sheet.split}")
    return _section("Samples", text, shown)


def _curves(run: Path) -> Markup:
    scored = [row for row in read_epochs(run) if math.isfinite(row.miou)]
    text = "Loss, validation scores and learning rate."
    if scored:
        best = max(scored, key=lambda row: row.miou)
        after = counted(best.epoch + 1, "epoch")
        text += f" Best mIoU: {100 * best.miou:.2f} %, pixAcc {100 * best.pix_acc:.2f} %, after {after}."
    return _section("Training", text, _picture("curves.png", SIZE, "Curves of the run"))


def _origin(run: Path) -> list[Markup]:
    """Return the section on where the run's weights come from; nothing without a checkpoint that says so."""
    there = checkpoint.listing(run)
    trained = checkpoint.best(run) or (there[-1] if there else None)
    if trained is None or not trained.provenance:
        return []
    text = f"Data, licences and commands of {trained.weights.name}; mhp convert --info prints the same."
    return [_section("Origin of the weights", text, element("pre", in_words(trained.provenance)))]


def _predictions(compared: list[Compared], manifest: Manifest) -> Markup:
    labels, palette = manifest.labels, picture_palette(manifest.labels)
    swatches = [
        element("li", element("i", style=f"background:rgb({r},{g},{b})"), labels.names[k])
        for k, (r, g, b) in enumerate(palette[: len(labels)].tolist())
        if k  # overlays do not colour the background
    ]
    rows = [
        element(
            "div", *(_picture(path, one.size, f"{one.name}: {kind}") for kind, path in one.files.items()), class_="row"
        )
        for one in compared
    ]
    text = f"Images of {compared[0].split}, their labels and predictions. Click one to see it at source size."
    return _section("Predictions", text, element("ul", *swatches, class_="legend"), *rows)
