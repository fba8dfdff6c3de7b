"""Pack records of packed folders again: a subset, several folders in one, other splits, other shards.

::

    packs ──choose──> records, in order ──a pool of threads: read, check──> the main thread: shards ──> manifest last

No image is decoded and no record changes, except for the index in its header. Without a selection, the result is
byte-identical to a pack of the download with the same options, manifest included. An interrupted edit is resumed by the
same command, through the same journal as a pack.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

from mhpdata.editing.packs import Folders, read_build, refuse_same
from mhpdata.editing.plan import EditOptions, Plan, open_plan
from mhpdata.editing.selection import asked
from mhpdata.options import Folder, check_folder
from mhpdata.packing.build import describe_build
from mhpdata.packing.journal import Journal
from mhpdata.packing.open_shard import Target
from mhpdata.packing.output.bucket import AnyOutput
from mhpdata.packing.output.contents import Wanted
from mhpdata.packing.pack import RESUME, open_output
from mhpdata.packing.run import MB
from mhpdata.packing.shard_stream import Publisher, ShardStream
from mhpdata.processes.threads import crew, usable_cores
from mhpdata.source.remote import open_place
from mhpdata.source.scan import LAYOUTS
from mhpdata.storage.manifest import Manifest, dump
from mhpdata.wording import writing


def edit(
    folders: Folders, out: str | Folder, options: EditOptions | None = None, *, overwrite: bool = False
) -> Manifest:
    """Pack records of packed folders again; call it again with the same arguments to resume an interrupted edit.

    Args:
        folders: Packed folders, or their addresses, with the same layout, classes and options.
        out: Packed folder to write, or its address in object storage: new, empty, or an unfinished edit with the same
            arguments.
        options: What to take, and how to write it; everything, as it is, by default.
        overwrite: Whether to replace another packed dataset in ``out``, which stays until the new one is complete; at
            an address, it is deleted first.

    Returns:
        The manifest that was written. If ``out`` already holds the result, nothing is written.

    Raises:
        OptionError: An argument is invalid, or the packs do not fit together.
        PackedError: A packed folder is damaged.
        OutputError: ``out`` cannot be written, or holds something else.
    """
    with ExitStack() as stack:
        place = open_place("out", out)
        for folder in folders:
            refuse_same(check_folder("from", folder), place)
        plan = open_plan(folders, options or EditOptions(), stack)
        stack.enter_context(writing(place, RESUME))
        output = open_output(place, LAYOUTS[plan.first.layout].SPLITS)
        stack.enter_context(output)
        manifest = None if overwrite else _already_done(plan, output)
        if manifest is None:
            output.begin(Wanted(plan.key, overwrite, skip=False))
            manifest = _write(plan, output)
        output.end(manifest)
        return manifest


def preview_edit(folders: Folders, options: EditOptions | None = None) -> dict[str, list[str]]:
    """Return the names that ``edit`` would take, for each split of its result; write nothing."""
    with ExitStack() as stack:
        plan = open_plan(folders, options or EditOptions(), stack)
        return {split: [entry.name for entry in entries] for split, entries in plan.entries.items()}


def _already_done(plan: Plan, output: AnyOutput) -> Manifest | None:
    """Return the manifest in the folder if it is complete and the result of this edit."""
    manifest = output.manifest()
    if manifest is None:
        return None
    theirs, ours = (manifest.layout, manifest.options, manifest.selection), plan.first
    same = theirs == (ours.layout, plan.recorded_options, plan.selection)
    return manifest if same and output.read_build().get("source_content") == plan.content() else None


def _write(plan: Plan, output: AnyOutput) -> Manifest:
    """Write the shards that an interrupted edit has not finished, then build.json and the manifest."""
    started, options = time.perf_counter(), plan.recorded_options
    journal = Journal(output, plan.key, plan.sources)
    finished = {split: journal.finished(split, entries, True) for split, entries in plan.entries.items()}
    classes, limit = len(plan.first.classes), options["shard_mb"] * MB
    total, workers = sum(map(len, plan.chosen.values())), plan.options.workers or usable_cores()
    with Publisher() as publisher, crew(total, "images", workers, plan.options.progress) as threads:
        streams = {
            split: ShardStream(
                Target(journal, options["format"], split, plan.entries[split], classes), publisher, limit, done
            )
            for split, done in finished.items()
        }
        todo = [one for split, taken in plan.chosen.items() for one in taken[streams[split].position :]]
        threads.skip(total - len(todo))
        try:
            for one, made in zip(todo, threads.each(plan.read, asked(plan.packs, todo)), strict=True):
                stream = streams[one.split]
                stream.add(made)
                if stream.position == len(plan.entries[one.split]):
                    stream.close()
            packed = {split: stream.finished() for split, stream in streams.items()}
        except BaseException:
            for stream in streams.values():
                stream.abort()
            raise
    manifest = plan.manifest(packed)
    content = plan.content()
    build = describe_build(Path(), content, content, False, workers, time.perf_counter() - started)
    build |= {"source": [str(pack.folder) for pack in plan.packs], "maker": _maker(plan)}
    output.complete(dump(build), manifest)
    return manifest


def _maker(plan: Plan) -> object:
    """Return the libraries that made the records, by the build.json of the packs; None if they differ."""
    first, *others = (read_build(pack.folder).get("maker") for pack in plan.packs)
    return first if all(other == first for other in others) else None
