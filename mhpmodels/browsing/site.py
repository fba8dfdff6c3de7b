"""Write a site that shows the samples of a packed folder: it opens from disk, without a server (mhp browse).

::

    records ─facts, scores, thumbnails─> rows, data/samples.js ─choose─> layers at full size ─> index.html

The result does not depend on the number of threads, nor on interruptions: the same command resumes and gives the same
bytes. mhpmodels.browsing.site_folder describes the files.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mhpdata.address import Address
from mhpdata.options import check_folder, check_path, short_name
from mhpdata.processes.threads import Crew, crew
from mhpdata.storage.manifest import Manifest, read_manifest
from mhpdata.storage.split import Split, open_split
from mhpdata.terms import licence_line
from mhpdata.wording import counted
from mhpmodels.browsing.columns import Shown, samples_script, script
from mhpmodels.browsing.layers import DIFFERENT
from mhpmodels.browsing.pages import assets, classes_of, index_page, layer_table, licence_text
from mhpmodels.browsing.predicted import Predictions
from mhpmodels.browsing.sample_work import Pack, SampleWork
from mhpmodels.browsing.site_folder import DATA, INDEX, LICENCE, SiteFolder, thumb_of
from mhpmodels.browsing.site_options import SiteOptions, source_key, titles
from mhpmodels.browsing.stats import chosen_splits
from mhpmodels.figures.colours import picture_palette

Place = str | os.PathLike[str] | Address


@dataclass(frozen=True)
class Site:
    """Result of ``save_site``.

    Attributes:
        index: path of the page.
        samples: number of samples.
        full: number of samples with layers at full size.
    """

    index: Path
    samples: int
    full: int


def save_site(
    folder: Place,
    out: str | Path,
    options: SiteOptions = SiteOptions(),  # noqa: B008  # frozen
    *,
    overwrite: bool = False,
    workers: int | None = None,
    progress: bool = False,
) -> Site:
    """Write a site of a packed folder (mhp browse).

    Args:
        folder: packed folder, or its address.
        out: folder of the site: new, empty, or an earlier site, which is completed.
        options: what the site shows.
        overwrite: replace a site of other data or options.
        workers: number of threads; None for one per core.
        progress: draw a progress bar if standard error is a terminal.

    Raises:
        OptionError: an argument is invalid.
        PackedError: a record is damaged.
        PredictionError: predictions are damaged, of another size, or of no image of the packed folder.
        OutputError: ``out`` may not be replaced, or cannot be written.
    """
    path, manifest = check_path("out", out), read_manifest(folder)
    against = None if options.against is None else read_manifest(options.against)
    names = chosen_splits(folder, manifest, options.splits)
    predictions = tuple(Predictions(one, manifest, names) for one in options.predictions)
    models = titles([str(one.folder) for one in predictions])
    rule = str(manifest.options["overlap"])
    other = "" if options.against is None else short_name(check_folder("against", options.against))
    table = tuple(layer_table(DIFFERENT, (rule, options.overlap), other, models))
    told = {"splits": list(names), "full": options.full, "predictions": models, "name": _name(folder), "other": other}
    site = SiteFolder(path, source_key(manifest, against, options.overlap), told, overwrite)
    with ExitStack() as opened:
        works = []
        for number, name in enumerate(names):
            mine = _open(opened, folder, name)
            theirs = None
            if options.against is not None and against is not None and name in against.splits:
                theirs = _open(opened, options.against, name)
            works.append(SampleWork(site, number, mine, theirs, options.overlap, predictions, table))
        total = sum(len(work.pack.split) for work in works)
        full = options.count_full(total)
        with crew(total + full, "samples", workers, progress) as hands:
            samples = _show(works, hands)
            chosen = choose_full(samples, full, bool(predictions))
            expected = _draw(works, samples, chosen, hands)
    groups = _groups(manifest, names, samples)
    about = {
        "name": _name(folder),
        "layout": manifest.layout,
        "content": manifest.content_id,
        "licence": licence_line(manifest.licence),
        "citation": manifest.citation,
        "pack": {key: manifest.options.get(key) for key in ("overlap", "image", "size")},
        "splits": list(names),
        "classes": classes_of(manifest),
        "layers": [{**layer._asdict(), "file": layer.file} for layer in table],
        "models": models,
        "rule": options.overlap,
        "other": other,
        "skipped": len(manifest.skipped),
    }
    site.write(f"{DATA}/site.js", script("mhp.site = ", about, ";"))
    columns = samples_script(samples, chosen, groups, len(manifest.classes), len(models))
    site.write(f"{DATA}/samples.js", columns)
    for name, data in assets().items():
        site.write(name, data)
    site.write(LICENCE, licence_text(manifest))
    site.tidy(expected)
    site.write(INDEX, index_page(f"{_name(folder)}: {counted(total, 'sample')}", licence_line(manifest.licence)))
    return Site(path / INDEX, total, len(chosen))


def choose_full(samples: Sequence[Shown], count: int, by_score: bool) -> list[int]:
    """Return the positions of the samples with layers, in order: the worst predicted, else evenly spread."""
    if by_score:
        return sorted(sorted(range(len(samples)), key=lambda position: samples[position].merit)[:count])
    return [(2 * k + 1) * len(samples) // (2 * count) for k in range(count)]


def _name(folder: Place) -> str:
    return short_name(check_folder("folder", folder))


def _open(opened: ExitStack, folder: Place, name: str) -> Pack:
    split: Split = open_split(folder, name, allow_empty=True)
    opened.callback(split.close)
    manifest = split.manifest
    numbers = {one: index for index, one in enumerate(split.names)}
    return Pack(split, picture_palette(manifest.labels), str(manifest.options["overlap"]), numbers)


def _show(works: Sequence[SampleWork], hands: Crew) -> list[Shown]:
    return [shown for work in works for shown in hands.each(work.show, range(len(work.pack.split)))]


def _draw(works: Sequence[SampleWork], samples: Sequence[Shown], chosen: Sequence[int], hands: Crew) -> set[str]:
    """Draw the layers of the chosen samples; return the relative paths of all thumbnails and layers."""
    expected = {thumb_of(one.split, one.index) for one in samples}
    for work in works:
        mine = [samples[position].index for position in chosen if samples[position].split == work.number]
        for paths in hands.each(work.draw, mine):
            expected.update(paths)
    return expected


def _groups(manifest: Manifest, splits: Sequence[str], samples: Sequence[Shown]) -> list[list[int]]:
    """Return the groups of byte-identical images as positions; images of other splits are left out."""
    places: dict[str, int] = {f"{splits[one.split]}/{one.name}": k for k, one in enumerate(samples)}
    found: list[list[int]] = [[places[name] for name in group if name in places] for group in manifest.duplicates]
    return [group for group in found if len(group) > 1]


def summary(site: Site) -> str:
    """Return a line about a site."""
    layers: Any = counted(site.full, "sample")
    return f"{site.index}: {counted(site.samples, 'sample')}, {layers} at full size"
