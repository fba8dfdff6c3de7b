"""mhp fetch: download a dataset, or extract its archive, and check every file."""

from __future__ import annotations

import json
import sys

import click

from mhpdata.fetching.datasets import DATASETS
from mhptools.arguments import AS_JSON
from mhptools.messages import progress
from mhptools.paths import FILE, PATH
from mhptools.running import DATA, Command
from mhptools.verify import SHOWN

EXAMPLE = """\b
Examples:
  mhp fetch mhp-v1 --accept-licence --out LV-MHP-v1                         from Google Drive (pip install gdown)
  mhp fetch mhp-v1 --accept-licence --out LV-MHP-v1 --zip LV-MHP-v1.zip     from an archive on this machine
  mhp fetch mhp-v1 --accept-licence --out LV-MHP-v1 --url https://host/LV-MHP-v1.zip

Run the same command again to resume. Without --accept-licence, the command prints licence and citation, and ends.

Exit status: 0 every file of the release is in the folder, 1 the archive is damaged or another one, 2 invalid usage or
the licence is not accepted, 3 a reason outside the data (network, disk, permission, gdown is missing).
"""


@click.command(cls=Command, epilog=EXAMPLE, resumes=True)
@click.argument("dataset", type=click.Choice(list(DATASETS)))
@click.option("-o", "--out", required=True, type=PATH, help="Folder for the files of the release; right ones are kept.")
@click.option("--accept-licence", is_flag=True, help="You have read the licence of the dataset, and accept it.")
@click.option("--url", metavar="URL", help="Address of the zip archive, instead of the authors' file on Google Drive.")
@click.option("--zip", "archive", type=FILE, help="Zip archive that you have already; it is only read.")
@click.option(
    "--all",
    "show_all",
    is_flag=True,
    help=f"List every problem: all wrong files, not just the first {SHOWN}, and all missing ones.",
)
@AS_JSON
def main(
    dataset: str,
    out: str,
    accept_licence: bool,
    url: str | None,
    archive: str | None,
    show_all: bool,
    as_json: bool,
) -> None:
    """Download a dataset and extract it, or extract its zip archive, and check every file.

    Shows licence and citation first. Compares each file with the size and SHA-256 of the release, and writes it only if
    it is right. The folder is then ready for mhp pack --src. Files that are there already are kept and never replaced.
    """
    print(DATASETS[dataset].terms(), file=sys.stderr, flush=True)
    if not accept_licence:
        raise click.UsageError("The licence is not accepted. Pass --accept-licence if you accept it.")
    import mhpdata

    done = mhpdata.fetch(dataset, out, accept_licence=accept_licence, url=url, archive=archive, progress=progress())
    print(json.dumps(done.as_dict(), indent=1) if as_json else done.text(None if show_all else SHOWN))
    if not done.complete:
        sys.exit(DATA)


if __name__ == "__main__":
    sys.exit(main())
