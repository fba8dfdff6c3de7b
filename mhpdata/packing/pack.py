"""Pack a downloaded folder, the library call of mhp pack: check the arguments and start mhpdata.packing.run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from mhpdata.address import Address
from mhpdata.errors import OptionError, OutputError, SourceError
from mhpdata.faults import FAULTS, describe
from mhpdata.options import (
    ON_ERROR,
    Damage,
    Folder,
    Format,
    ImageCodec,
    Layout,
    OnError,
    Overlap,
    PackOptions,
    SizeOf,
    check_choice,
    check_range,
)
from mhpdata.packing.output.bucket import AnyOutput, BucketOutput
from mhpdata.packing.output.contents import Wanted
from mhpdata.packing.output.local import Output
from mhpdata.packing.run import Run
from mhpdata.packing.sources import Source
from mhpdata.packing.tasks.bucket_parts import parts_of
from mhpdata.packing.tasks.plan import blocks_of
from mhpdata.processes.threads import usable_cores
from mhpdata.source.entry import Listing, empty_split
from mhpdata.source.remote import Root, open_place, open_root
from mhpdata.source.scan import AUTO, LAYOUTS, scan
from mhpdata.storage.manifest import Manifest
from mhpdata.wording import either, writing

if TYPE_CHECKING:
    from typing_extensions import Unpack

RESUME = "run the same command again to resume the pack"


class PackChoices(TypedDict, total=False):
    """The fields of PackOptions, as keyword arguments of ``pack``."""

    format: Format
    size: int
    size_of: SizeOf
    overlap: Overlap
    image: ImageCodec
    quality: int
    shard_mb: int
    damaged: Damage


class Choices(PackChoices, total=False):
    """The keyword arguments of ``pack`` that a pack by tasks has, too."""

    layout: Layout
    labels: str | Path | None
    splits: Sequence[str] | None
    workers: int | None
    on_error: OnError
    follow_links: bool
    allow_empty: bool
    progress: bool


def pack(
    src: str | Folder,
    out: str | Folder,
    *,
    layout: Layout = AUTO,
    labels: str | Path | None = None,
    splits: Sequence[str] | None = None,
    workers: int | None = None,
    on_error: OnError = "fail",
    overwrite: bool = False,
    follow_links: bool = False,
    allow_empty: bool = False,
    progress: bool = False,
    **options: Unpack[PackChoices],
) -> Manifest:
    """Pack a downloaded dataset into shards. Call again with the same arguments to resume an interrupted pack.

    Args:
        src: Extracted folder, such as LV-MHP-v1, or its address in object storage. Nothing is written there.
        out: Packed folder, or its address in object storage: new, empty, or an unfinished pack with the same options.
        layout: "auto", or a name in mhpdata.source.scan.LAYOUTS.
        labels: Path of the label file of a dataset of one's own (docs/datasets.md), for the layout "folder".
        splits: Splits to pack; all by default.
        workers: Number of threads, by default one per core that this process may use. It changes no byte.
        on_error: "fail" raises the first error; "skip" leaves such entries out and records them in the manifest.
        overwrite: Replace another packed dataset in ``out``, which stays until the new one is complete; at an address,
            it is deleted first.
        follow_links: Follow links that point outside ``src``; otherwise they are refused.
        allow_empty: Allow a split without images, or whose images are all left out; otherwise it is an error.
        progress: Show a bar with images/s and the time left, if stderr is a terminal.
        options: Fields of PackOptions: format, size, size_of, overlap, image, quality, shard_mb, damaged.

    Returns:
        The manifest that was written. If ``out`` already holds this dataset, packed from a source of the same content,
        nothing is written and its manifest is returned, with ``written`` False, also in format 1.

    Raises:
        SourceError: The download is damaged or incomplete.
        RemoteError: Object storage does not answer.
        OutputError: ``out`` cannot be written, is full, or holds something else.
        OptionError: An argument is invalid.
    """
    chosen: Choices = {
        **options,
        "layout": layout,
        "labels": labels,
        "splits": splits,
        "workers": workers,
        "on_error": on_error,
        "follow_links": follow_links,
        "allow_empty": allow_empty,
        "progress": progress,
    }
    with open_run(src, out, chosen) as run:
        manifest = None if overwrite else run.already_done(refuse=True)
        if manifest is None:
            begin(run, overwrite)
            manifest = run.pack()
        run.output.end(manifest)
        return manifest


@contextmanager
def open_run(src: str | Folder, out: str | Folder, choices: Choices, lock: bool = True) -> Iterator[Run]:
    """Check the arguments of a pack, scan its source, create its folder, and lock that until the context ends.

    Args:
        src, out, choices: Arguments of ``pack``.
        lock: Whether to lock the folder; tasks do not.

    Raises:
        SourceError: The download is damaged or incomplete.
        OutputError: The folder cannot be written or locked.
        OptionError: An argument is invalid.
    """
    chosen = Chosen.of(choices)
    root, place = open_root("src", src), open_place("out", out)
    with below(root):
        source = open_source(root, chosen)
        if source.problems and not chosen.skip:
            raise source.problems[0].error
        if not chosen.allow_empty:
            refuse_empty(source)
    splits = LAYOUTS[source.listing.layout].SPLITS
    with below(root), writing(place, RESUME), open_output(place, splits, lock) as output:
        yield Run(source, output, chosen.options, chosen.skip, chosen.allow_empty, chosen.follow_links)


def open_output(out: Folder, splits: Sequence[str], lock: bool = True) -> AnyOutput:
    """Return the output at a path or address; a folder is created, and locked with ``lock``."""
    if isinstance(out, Address):
        return BucketOutput(out, splits)
    make_folder(out)
    return Output(out, splits, lock)


def begin(run: Run, overwrite: bool) -> None:
    """Prepare the output of a pack in one process. Raises OutputError if it holds something else."""
    parts_of(run.output, run.key, {}).refuse(overwrite)
    run.output.begin(Wanted(run.key, overwrite, run.skip, run.source.listing.labels.names))
    remove_parts(run)


def remove_parts(run: Run) -> None:
    """Delete the parts of a pack, which is finished or is begun from scratch."""
    parts = parts_of(run.output, run.key, {})
    if parts.is_there():
        parts.remove(blocks_of(len(run.source.entries)))


@dataclass(frozen=True)
class Chosen:
    """Checked arguments of ``pack``, with their defaults; ``skip`` is on_error="skip"."""

    options: PackOptions
    layout: str
    labels: str | Path | None
    splits: Sequence[str] | None
    workers: int
    skip: bool
    follow_links: bool
    allow_empty: bool
    progress: bool

    @classmethod
    def of(cls, choices: Choices) -> Chosen:
        """Check the keyword arguments of a call; raise OptionError if one is invalid."""
        given: dict[str, Any] = {"layout": AUTO, "splits": None, "workers": None, "on_error": "fail", **choices}
        layout, splits, workers, on_error = (given.pop(name) for name in ("layout", "splits", "workers", "on_error"))
        labels = given.pop("labels", None)
        switches = [given.pop(name, False) for name in ("follow_links", "allow_empty", "progress")]
        options = PackOptions(**given)
        check_choice("on_error", on_error, ON_ERROR)
        workers = usable_cores() if workers is None else workers
        check_range("workers", workers, 1, 4096)
        return cls(options, layout, labels, splits, workers, on_error == "skip", *switches)


def open_source(src: Root, chosen: Chosen) -> Source:
    """Scan a download, and select the splits to pack."""
    listing = scan(src, chosen.layout, chosen.follow_links, chosen.labels)
    splits = _splits(chosen.splits, tuple(listing.entries))
    return Source(src, listing, splits, chosen.workers, chosen.progress)


def _splits(splits: Sequence[str] | None, known: tuple[str, ...]) -> tuple[str, ...]:
    for split in splits or ():
        check_choice("split", split, known)
    if splits is not None and not splits:
        remedy = f"Pass splits=[{known[0]!r}], or leave splits out to pack all."
        raise OptionError("splits", "an empty list", either(known), remedy)
    return tuple(split for split in known if splits is None or split in splits)


def refuse_empty(source: Source) -> None:
    """Raise FolderError if a split has no entry that can be packed."""
    for split in source.splits:
        if not source.listing.entries[split]:
            problems = [problem for problem in source.problems if problem.split in ("", split)]
            faults = [(p.name, str(p.error.fault[0]), p.error.fault[1:]) for p in problems]
            left_out = [(name, describe(FAULTS, code, values)) for name, code, values in faults]
            raise empty_split(split, _filled(source.listing), left_out, source.listing.flags)


def _filled(listing: Listing) -> list[str]:
    """Return the splits that have entries."""
    return [split for split, entries in listing.entries.items() if entries]


def make_folder(out: Path) -> None:
    """Create the folder of a pack; raise OutputError if a file is in the way."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        remedy = "Choose another --out, such as rec/, or move the file away."
        raise OutputError(out, "is a file, or inside a file", "a folder, new or empty", remedy) from error


@contextmanager
def below(src: object) -> Iterator[None]:
    """Prepend the source folder to the place of source errors, which name files relative to it."""
    try:
        yield
    except SourceError as error:
        raise error.below(src) from error.__cause__
