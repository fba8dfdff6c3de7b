"""mhp pack: convert a downloaded dataset into packed shards."""

from __future__ import annotations

import json
import sys

import click
from click.core import ParameterSource

from mhpdata.options import DAMAGE, FORMATS, IMAGES, LAYOUT_NAMES, ON_ERROR, OVERLAPS, SIZES_OF
from mhptools.arguments import ALLOW_EMPTY, AS_JSON, FOLLOW_LINKS, WORKERS, choice
from mhptools.messages import progress
from mhptools.paths import DOWNLOAD, FILE, PACKED, PLACE
from mhptools.running import DATA, Command

EXAMPLE = """\b
Examples:
  mhp pack --src LV-MHP-v1 --out rec/ --on-error skip    skips 3492.jpg, which is damaged in the release
  mhp pack --src LV-MHP-v1 --out rec/ --dry-run          lists what would be packed; writes nothing
  mhp pack --src LV-MHP-v1 --out rec/ --task 3/100       packs the share of one of 100 machines (docs/cluster.md)
  mhp pack --src LV-MHP-v1 --out rec/ --merge            run after all 100 have finished: completes the pack
  mhp pack --src photos/ --labels mine.json --out rec/   packs your own dataset (docs/datasets.md)
  mhp pack --from rec/ --out crowds/ --where "persons >= 4 and 'scarf' in classes"
  mhp pack --from a/ --from b/ --out both/ --shard-mb 64
  mhp pack --src LV-MHP-v1 --from rec/ --out rec2/       converts only what has changed since rec/ was packed

Run the same command again to resume an interrupted pack; the result is byte-identical to that of an uninterrupted run,
for any number of workers. With --on-error skip, rec/manifest.json lists each skipped image, and why.

\b
To check a download beforehand:
  mhp verify --src LV-MHP-v1
"""

GROUPS = (
    ("Input and output", ("src", "out", "layout", "labels", "splits", "follow_links", "overwrite")),
    ("Packed folders as input", ("packs", "names", "where")),
    ("Images and masks", ("size", "size_of", "overlap", "image", "quality")),
    ("Shards", ("format", "shard_mb")),
    ("Run", ("workers", "dry_run", "as_json")),
    ("Several machines", ("task", "merge", "dask")),
    ("Errors", ("on_error", "damaged", "allow_empty")),
)

_WITH_FROM = ("names", "where", "splits", "format", "shard_mb", "workers", "allow_empty", "overwrite", "dry_run")
"""Options that may be given with --from."""
_WITH_BOTH = (
    *(
        "layout",
        "labels",
        "splits",
        "format",
        "size",
        "size_of",
        "overlap",
        "image",
        "quality",
        "shard_mb",
        "workers",
        "on_error",
    ),
    *("damaged", "follow_links", "allow_empty", "overwrite"),
)
"""Options that may be given with --src and --from."""
_FLAGS = {"splits": "--split"}


@click.command(cls=Command, epilog=EXAMPLE, groups=GROUPS, resumes=True)
@click.option(
    "--src",
    type=DOWNLOAD,
    help="Extracted dataset, such as LV-MHP-v1, or its address, s3://bucket/LV-MHP-v1; its files are only read.",
)
@click.option(
    "-o",
    "--out",
    required=True,
    type=PLACE,
    help="Packed folder to write, or its address, s3://bucket/rec: new, empty, or an unfinished pack.",
)
@choice("--layout", LAYOUT_NAMES, "Layout of --src.")
@click.option("--labels", type=FILE, help="Label file of your own dataset, for --layout folder (docs/datasets.md).")
@choice("--format", FORMATS, "Format of shards.")
@click.option(
    "--split",
    "splits",
    multiple=True,
    help="Split to pack; may be repeated. With --from, val=train packs the records of train as val.  [default: all]",
)
@click.option(
    "--from",
    "packs",
    multiple=True,
    type=PACKED,
    help="Packed folder, or its address, to take records from without decoding images; may be repeated. Only --split, "
    "--format and --shard-mb may differ from its options. With --src, only the records of unchanged images are taken.",
)
@click.option(
    "--names", type=FILE, help="Text file with the names of the samples to take, one per line: NAME or SPLIT/NAME."
)
@click.option(
    "--where",
    metavar="CONDITION",
    help="Condition on the samples to take, such as \"persons >= 4 and 'scarf' in classes\" (docs/editing.md).",
)
@click.option(
    "--size",
    default=768,
    show_default=True,
    help="Resize images so that the side named by --size-of has this length, 8 to 8192 pixels; smaller images are "
    "upsampled. 0 keeps the source size.",
)
@choice("--size-of", SIZES_OF, "Side that --size sets.")
@choice(
    "--overlap",
    OVERLAPS,
    "Which person gets a pixel labelled by several: the first or last by person number, the smallest (fewest "
    "pixels) or nearest (the person whose closest unshared pixel is nearest). ignore acts as first, but labels the "
    "pixel 255 where the persons' labels differ. Each person's own mask is kept as well.",
)
@choice(
    "--image",
    IMAGES,
    "How images are stored: jpeg (smallest), yuv420 (fast to load, about five times as large), raw (lossless, "
    "largest).",
)
@click.option("--quality", default=95, show_default=True, help="JPEG quality of re-encoded images, 1 to 100.")
@click.option(
    "--shard-mb",
    default=256,
    show_default=True,
    help="Maximum total size of the records in a shard, in MB (2**20 bytes).",
)
@WORKERS
@choice(
    "--on-error",
    ON_ERROR,
    "Stop at the first image or list line with an error, including errors in its masks; or skip these and report "
    "them. skip also accepts lists with CRLF line endings.",
)
@choice(
    "--damaged",
    DAMAGE,
    "A JPEG whose pixels are damaged: treat it as an error, or keep the pixels that decode, re-encode them and "
    "note it in the manifest.",
)
@FOLLOW_LINKS
@ALLOW_EMPTY
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace the packed dataset in --out. It stays until the new one is complete, so both need room; at an "
    "address, it is deleted first.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="List what would be packed and skipped, and estimate the size of the pack; write nothing.",
)
@click.option(
    "--task",
    metavar="NUMBER/COUNT",
    help="Convert the share of task NUMBER of COUNT, counted from 1, such as 3/100. All tasks need the same dataset "
    "and options and a common --out; they do not communicate in any other way. auto, or auto/COUNT, takes the number "
    "from the environment of Slurm, Kubernetes, AWS Batch or torchrun.",
)
@click.option(
    "--merge",
    is_flag=True,
    help="Complete the pack from the parts of all tasks; if any are missing, only list the tasks to run.",
)
@click.option(
    "--dask",
    metavar="ADDRESS",
    help="Pack on the Dask cluster whose scheduler is at ADDRESS, such as tcp://10.0.0.1:8786; local starts processes "
    "on this machine.",
)
@AS_JSON
@click.pass_context
def main(
    ctx: click.Context,
    src: str | None,
    out: str,
    packs: tuple[str, ...],
    splits: tuple[str, ...],
    dry_run: bool,
    task: str | None,
    merge: bool,
    dask: str | None,
    as_json: bool,
    **options: object,
) -> None:
    """Convert a downloaded dataset into packed shards.

    Merges the masks of all persons into a label map and a map of the person that each pixel belongs to, converts gray
    images to RGB, resizes, and writes RecordIO or HDF5 shards and a manifest.
    """
    import mhpdata
    from mhpdata.packing.preview import preview
    from mhpdata.packing.summary import as_dict, report

    if packs:
        _pack_records(ctx, packs, src, out, as_json)
        return
    if src is None:
        raise click.UsageError("Give --src with a download, or --from with packed folders.")
    for name in ("names", "where"):
        if options.pop(name) is not None:
            raise click.UsageError(f"--{name} requires --from with a packed folder.")
    given = {**options, "splits": splits or None, "progress": progress()}
    several = {"--task": task is not None, "--merge": merge, "--dask": dask is not None}
    _refuse_together({**several, "--dry-run": dry_run})
    _refuse_together({**several, "--overwrite": options["overwrite"]})
    if dry_run or any(several.values()):
        del given["overwrite"]
    if task is not None:
        from mhpdata.packing.tasks.work import pack_task

        done = pack_task(src, out, task, **given)  # type: ignore[arg-type]
        print(json.dumps(done.as_dict(), indent=1) if as_json else done.text())
        return
    if dry_run:
        found = preview(src, **given)  # type: ignore[arg-type]
        print(json.dumps(found.as_dict(), indent=1) if as_json else found.text())
        if found.stops:
            sys.exit(DATA)
        return
    if merge:
        from mhpdata.packing.tasks.assembly import merge_tasks

        manifest = merge_tasks(src, out, **given)  # type: ignore[arg-type]
    elif dask is not None:
        from mhpdata.packing.tasks.dask import pack_dask

        manifest = pack_dask(src, out, dask, **given)  # type: ignore[arg-type]
    else:
        manifest = mhpdata.pack(src, out, **given)  # type: ignore[arg-type]
    print(json.dumps(as_dict(manifest, out), indent=1) if as_json else report(manifest, out, src, _flags(ctx)))


def _pack_records(ctx: click.Context, packs: tuple[str, ...], src: str | None, out: str, as_json: bool) -> None:
    """Run the command with --from."""
    from mhpdata.editing.edit import edit, preview_edit
    from mhpdata.editing.plan import EditOptions
    from mhpdata.editing.update import update
    from mhpdata.packing.summary import as_dict, report

    options = ctx.params
    chosen = {name for name in options if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT}
    allowed = _WITH_BOTH if src is not None else _WITH_FROM
    for name in sorted(chosen - {"packs", "src", "out", "as_json"} - set(allowed)):
        there = "--src and --from" if src is not None else "--from"
        raise click.UsageError(f"{_FLAGS.get(name, '--' + name.replace('_', '-'))} cannot be used with {there}.")
    if src is not None:
        if len(packs) > 1:
            raise click.UsageError("With --src, give one --from: the earlier pack of the download.")
        given = {name: options[name] for name in allowed if name != "splits"}
        done = update(src, packs[0], out, splits=options["splits"] or None, progress=progress(), **given)
        text = report(done.manifest, out, src, _flags(ctx))
        print(json.dumps(as_dict(done.manifest, out), indent=1) if as_json else text)
        if not as_json and done.manifest.written:
            print(f"Records taken from {packs[0]}: {done.kept}.")
        return
    names = [name for name in EditOptions._fields if name in chosen or name in ("splits", "names", "where")]
    what = EditOptions(progress=progress())._replace(**{name: options[name] for name in names})
    if options["dry_run"]:
        found = preview_edit(packs, what)
        lines = [f"{split}: {len(taken)} samples" for split, taken in found.items()]
        print(json.dumps(found, indent=1) if as_json else "\n".join(lines))
        return
    manifest = edit(packs, out, what, overwrite=options["overwrite"])
    print(json.dumps(as_dict(manifest, out), indent=1) if as_json else report(manifest, out))


def _flags(ctx: click.Context) -> str:
    """Return the options with which mhp verify reads the same download."""
    from mhpdata.source.scan import flags_of

    return flags_of(ctx.params["layout"], ctx.params["labels"], ctx.params["follow_links"])


def _refuse_together(flags: dict[str, object]) -> None:
    """Raise UsageError if more than one of these flags is given."""
    given = [name for name, is_given in flags.items() if is_given]
    if len(given) > 1:
        raise click.UsageError(f"{given[0]} and {given[1]} exclude each other. Pass one of them.")


if __name__ == "__main__":
    sys.exit(main())
