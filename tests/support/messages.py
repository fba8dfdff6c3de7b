"""Sample error messages at random, for a reader new to mhp to say what each asks of them.

Run:  python tests/support/messages.py --seed 1 --count 10 [-- pytest's arguments, such as -n 2]

This runs the tests and records each message that reaches mhp's caller under the code location that raised it, without
messages that mhp caught and reworded. It prints one message each of ``count`` locations; the seed determines both.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from mhpdata.errors import MhpError, SourceError

OURS = ("mhpdata", "mhpmodels", "mhptools", "tools")
FOLDER = "MHP_MESSAGES"
"""Environment variable: folder to which pytest processes with this plugin write the messages."""
Messages = dict[str, set[str]]


def keep_messages() -> tuple[Messages, set[str]]:
    """Start to record messages by code location, and messages that were caught and reworded."""
    kept: Messages = {}
    caught: set[str] = set()
    make, name_below = MhpError.__init__, SourceError.below

    def make_and_keep(self: MhpError, *fields: str, **named: str) -> None:
        make(self, *fields, **named)
        inner = sys.exc_info()[1]
        if isinstance(inner, MhpError):
            caught.add(_said(inner))
        frame = sys._getframe(1)
        while frame.f_code.co_name == "below" and frame.f_back:
            frame = frame.f_back
        path = Path(frame.f_code.co_filename)
        if set(OURS) & set(path.parts):
            kept.setdefault(f"{path.name}:{frame.f_lineno}", set()).add(_said(self))

    def name_below_and_forget(self: SourceError, folder: object) -> SourceError:
        caught.add(_said(self))
        return name_below(self, folder)

    MhpError.__init__ = make_and_keep  # type: ignore[method-assign]
    SourceError.below = name_below_and_forget  # type: ignore[method-assign]
    return kept, caught


def _said(error: MhpError) -> str:
    return f"{type(error).__name__}: {error}"


if FOLDER in os.environ:
    KEPT, CAUGHT = keep_messages()

    def pytest_sessionfinish() -> None:
        """Write the messages of this process; each of xdist's processes does so."""
        content = {place: sorted(said - CAUGHT) for place, said in KEPT.items()}
        (Path(os.environ[FOLDER]) / f"{os.getpid()}.json").write_text(json.dumps(content))


def draw(messages: Messages, seed: int, count: int) -> list[str]:
    """Sample one message each of ``count`` code locations."""
    chance = random.Random(seed)
    places = sorted(place for place, said in messages.items() if said)
    return [chance.choice(sorted(messages[place])) for place in chance.sample(places, min(count, len(places)))]


def main() -> int:
    """Run the tests and print the sample; return the status of pytest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("arguments", nargs="*", help="of pytest")
    given = parser.parse_args()
    messages: Messages = {}
    with tempfile.TemporaryDirectory() as folder:
        path = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
        command = [sys.executable, "-m", "pytest", "-p", "messages", *given.arguments]
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path, FOLDER: folder}, check=False)
        for file in sorted(Path(folder).glob("*.json")):
            for place, said in json.loads(file.read_text()).items():
                messages.setdefault(place, set()).update(said)
    print(f"{len(messages)} places, seed {given.seed}:")
    for message in draw(messages, given.seed, given.count):
        # as for a user's folder, regardless of the names of test folders
        print("-", re.sub(r"/\S*?/pytest-of-[^/]+/pytest-\d+/(popen-gw\d+/)?([^/ :,]*/)?", "/data/", message))
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
