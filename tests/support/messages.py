"""Error messages drawn by chance, for somebody who knows nothing of mhp to say what each tells them to do.

Run:  python tests/support/messages.py --seed 1 --count 10 [-- pytest's arguments, such as -n 2]

The tests are run, and each message that mhp gave its caller is kept by the place in the code that raised it: not those
that it caught and worded anew. Of ``count`` places, drawn with the seed, one message each is printed, drawn too.
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
"""Environment: where a process of pytest that has this file as a plugin writes what it has kept."""
Messages = dict[str, set[str]]


def keep_messages() -> tuple[Messages, set[str]]:
    """From now on: the messages by place, and those that were worded anew."""
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
        """Of each of xdist's processes, too."""
        content = {place: sorted(said - CAUGHT) for place, said in KEPT.items()}
        (Path(os.environ[FOLDER]) / f"{os.getpid()}.json").write_text(json.dumps(content))


def draw(messages: Messages, seed: int, count: int) -> list[str]:
    """The messages of so many places."""
    chance = random.Random(seed)
    places = sorted(place for place, said in messages.items() if said)
    return [chance.choice(sorted(messages[place])) for place in chance.sample(places, min(count, len(places)))]


def main() -> int:
    """Run the tests, and print what was drawn; the status of pytest."""
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
        # as in a folder of the user's, whatever the tests call theirs
        print("-", re.sub(r"/\S*?/pytest-of-[^/]+/pytest-\d+/(popen-gw\d+/)?([^/ :,]*/)?", "/data/", message))
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
