"""mhp fetch: download a dataset, extract its archive, or download trained weights; check every file."""

from __future__ import annotations

import json
import sys

import click

from mhpdata.fetching.datasets import DATASETS
from mhpdata.fetching.published import WEIGHTS
from mhptools.arguments import AS_JSON
from mhptools.messages import progress
from mhptools.paths import FILE, PATH
from mhptools.running import DATA, Command
from mhptools.verify import SHOWN

EXAMPLE = """\b
Examples:
  mhp fetch mhp-v1 --accept-licence --out LV-MHP-v1                         from Google Drive (pip install "gdown>=6.5")
  mhp fetch mhp-v1 --accept-licence --out LV-MHP-v1 --zip LV-MHP-v1.zip     from an archive on this machine
  mhp fetch mhp-v1 --accept-licence --out LV-MHP-v1 --url https://host/LV-MHP-v1.zip
  mhp fetch icnet_resnet50_mhpv1 --accept-licence --out weights/            weights that GluonCV trained

Run the same command again to resume. Without --accept-licence, the command prints licence and citation, and ends.

Exit status: 0 if every file is in the folder, 1 if the archive or a file is damaged or another one, 2 for invalid usage
or a licence that is not accepted, 3 for a reason outside the data (network, disk, permission, gdown is missing).
"""

NAMES = f"""
NAME is a dataset, {", ".join(DATASETS)}, or the name of weights: {", ".join(WEIGHTS)}.
"""


@click.command(cls=Command, epilog=EXAMPLE + NAMES, resumes=True)
@click.argument("name", metavar="NAME", type=click.Choice([*DATASETS, *WEIGHTS]))
@click.option("-o", "--out", required=True, type=PATH, help="Folder for the files; right ones are kept.")
@click.option("--accept-licence", is_flag=True, help="You have read the licence, and accept it.")
@click.option(
    "--url",
    metavar="URL",
    help="Address of the dataset's zip archive, or of a folder with the files of the weights, instead of the authors' "
    "own.",
)
@click.option("--zip", "archive", type=FILE, help="Zip archive of the dataset that you have already; it is only read.")
@click.option(
    "--all",
    "show_all",
    is_flag=True,
    help=f"List every problem: all wrong files, not just the first {SHOWN}, and all missing ones.",
)
@AS_JSON
def main(
    name: str,
    out: str,
    accept_licence: bool,
    url: str | None,
    archive: str | None,
    show_all: bool,
    as_json: bool,
) -> None:
    """Download a dataset or extract its zip archive, or download weights of others; check every file.

    Shows licence and citation first. Compares each file of a dataset with the size and SHA-256 of the release, and each
    file of weights with its checksum where one is known, and writes it only if it is right. The folder of a dataset is
    then ready for mhp pack --src. Files that are there already are kept and never replaced.
    """
    print((DATASETS[name] if name in DATASETS else WEIGHTS[name]).terms(), file=sys.stderr, flush=True)
    if not accept_licence:
        raise click.UsageError("The licence is not accepted. Pass --accept-licence if you accept it.")
    import mhpdata

    if name in WEIGHTS:
        if archive is not None or show_all:
            raise click.UsageError("--zip and --all are for datasets. Omit them; --url names another address.")
        given = mhpdata.fetch_weights(name, out, accept_licence=accept_licence, url=url, progress=progress())
        print(json.dumps(given.as_dict(), indent=1) if as_json else given.text())
        return
    done = mhpdata.fetch(name, out, accept_licence=accept_licence, url=url, archive=archive, progress=progress())
    print(json.dumps(done.as_dict(), indent=1) if as_json else done.text(None if show_all else SHOWN))
    if not done.complete:
        sys.exit(DATA)


if __name__ == "__main__":
    sys.exit(main())
