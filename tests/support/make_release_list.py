"""Write the list of a release's files that mhp ships (mhpdata/checking/release.py)::

    python tests/support/make_release_list.py --tsv lv_mhp_v1.tsv --out mhpdata/checking/lv_mhp_v1.gz
    python tests/support/make_release_list.py --folder LV-MHP-v1 --out mhpdata/checking/lv_mhp_v1.gz

The table has one line per file: path below the archive's folder LV-MHP-v1/, bytes, SHA-256 in hexadecimal digits,
separated by tabs. From an extracted folder, the script computes it. Both give the same content.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
from pathlib import Path

DIGEST_BYTES = 16
Row = tuple[str, int, bytes]


def rows_of_table(tsv: Path) -> list[Row]:
    """Return (path, bytes, SHA-256) of each line."""
    rows = []
    for line in tsv.read_text(encoding="utf-8").splitlines():
        path, size, digits = line.split("\t")
        root, _, below = path.partition("/")
        if not root or not below or len(digits) != 64:
            raise SystemExit(f"{tsv}: expected path, bytes and SHA-256 of a file in a folder, found {line!r}")
        rows.append((below, int(size), bytes.fromhex(digits)))
    return rows


def rows_of_folder(folder: Path) -> list[Row]:
    """Return (path, bytes, SHA-256) of each file below a folder."""
    rows = []
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            rows.append((path.relative_to(folder).as_posix(), len(data), hashlib.sha256(data).digest()))
    return rows


def content(rows: list[Row]) -> bytes:
    """Return the list before compression."""
    rows = sorted(rows)
    if len({path for path, *_ in rows}) != len(rows) or not rows:
        raise SystemExit("expected at least one file, and each path once")
    names = "\n".join(f"{path}\t{size}" for path, size, _ in rows)
    return names.encode() + b"\n\n" + b"".join(digest[:DIGEST_BYTES] for *_, digest in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--tsv", type=Path, help="table of the files")
    given.add_argument("--folder", type=Path, help="extracted release")
    parser.add_argument("--out", type=Path, required=True, help="list to write")
    arguments = parser.parse_args()
    rows = rows_of_table(arguments.tsv) if arguments.tsv else rows_of_folder(arguments.folder)
    arguments.out.write_bytes(gzip.compress(content(rows), 9, mtime=0))
    print(f"{arguments.out}: {len(rows)} files, {arguments.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
