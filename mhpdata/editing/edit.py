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

from mhpdata.editing.packs import Folders, read_build
from mhpdata.editing.plan import EditOptions, Plan, open_plan
from mhpdata.editing.selection import asked
from mhpdata.errors import OptionError
from mhpdata.filesystem.atomic import sync_folder, write_atomically
from mhpdata.options import check_folder, check_path
from mhpdata.packing.build import describe_build
from mhpdata.packing.journal import Journal
from mhpdata.packing.open_shard import Target
from mhpdata.packing.output import Output
from mhpdata.packing.pack import RESUME, make_folder
from mhpdata.packing.run import MB
from mhpdata.packing.shard_stream import Publisher, ShardStream
from mhpdata.source.scan import LAYOUTS
from mhpdata.storage.manifest import BUILD_NAME, NAME, Manifest, dump, read_manifest
from mhpdata.threads import crew, usable_cores
from mhpdata.wording import writing


def edit(folders: Folders, out: str | Path, options: EditOptions | None = None, *, overwrite: bool = False) -> Manifest:
    """Pack records of packed folders again; call it again with the same arguments to resume an interrupted edit.

    Args:
        folders: Packed folders, or their addresses, with the same layout, classes and options.
        out: Packed folder to write: new, empty, or an unfinished edit with the same arguments.
        options: What to take, and how to write it; everything, as it is, by default.
        overwrite: Whether to replace another packed dataset in ``out``.

    Returns:
        The manifest that was written. If ``out`` already holds the result, nothing is written.

    Raises:
        OptionError: An argument is invalid, or the packs do not fit together.
        PackedError: A packed folder is damaged.
        OutputError: ``out`` cannot be written, or holds something else.
    """
    with ExitStack() as stack:
        out = check_path("out", out)
        for folder in folders:
            place = check_folder("from", folder)
            if isinstance(place, Path) and place.resolve() == out.resolve():
                raise OptionError("out", f"{out} is also --from", "another folder", "Pass a new folder as --out.")
        plan = open_plan(folders, options or EditOptions(), stack)
        stack.enter_context(writing(out, RESUME))
        make_folder(out)
        output = stack.enter_context(Output(out, LAYOUTS[plan.first.layout].SPLITS))
        manifest = None if overwrite else _already_done(plan, output)
        if manifest is None:
            output.begin(plan.key, overwrite)
            manifest = _write(plan, output)
        output.end()
        return manifest


def preview_edit(folders: Folders, options: EditOptions | None = None) -> dict[str, list[str]]:
    """Return the names that ``edit`` would take, for each split of its result; write nothing."""
    with ExitStack() as stack:
        plan = open_plan(folders, options or EditOptions(), stack)
        return {split: [entry.name for entry in entries] for split, entries in plan.entries.items()}


def _already_done(plan: Plan, output: Output) -> Manifest | None:
    """Return the manifest in the folder if it is complete and the result of this edit."""
    out = output.out
    if not (out / NAME).is_file() or not output.is_ours(out / NAME):
        return None
    manifest = read_manifest(out)
    if any(not (out / f.file).is_file() or (out / f.file).stat().st_size != f.bytes for f in manifest.files):
        return None
    theirs, ours = (manifest.layout, manifest.options, manifest.selection), plan.first
    same = theirs == (ours.layout, plan.recorded_options, plan.selection)
    return manifest if same and output.read_build().get("source_content") == plan.content() else None


def _write(plan: Plan, output: Output) -> Manifest:
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
    output.remove_others({file.file for file in manifest.files})
    sync_folder(output.out)
    content = plan.content()
    build = describe_build(Path(), content, content, False, workers, time.perf_counter() - started)
    build |= {"source": [str(pack.folder) for pack in plan.packs], "maker": _maker(plan)}
    write_atomically(output.out / BUILD_NAME, dump(build))
    write_atomically(output.out / NAME, manifest.to_json())
    return manifest


def _maker(plan: Plan) -> object:
    """Return the libraries that made the records, by the build.json of the packs; None if they differ."""
    first, *others = (read_build(pack.folder).get("maker") for pack in plan.packs)
    return first if all(other == first for other in others) else None
