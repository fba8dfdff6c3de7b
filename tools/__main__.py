"""Run ``mhp`` as ``python -m mhptools``."""

import sys

from mhptools.mhp import main

if __name__ == "__main__":
    sys.exit(main())
