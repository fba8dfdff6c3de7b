"""Run ``mhp fetch`` with the files of a folder in place of the release::

python tests/support/fetch_pretended.py FOLDER mhp-v1 --accept-licence --out OUT --zip ARCHIVE
"""

from __future__ import annotations

import sys
from pathlib import Path

from released import list_of

from mhpdata.checking import release
from mhpdata.fetching import fetch
from mhptools.fetch import main

if __name__ == "__main__":
    files = list_of(Path(sys.argv.pop(1)))
    for module in (release, fetch):
        module.release_files = lambda layout: files
    main()
