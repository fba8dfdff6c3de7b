"""The drawing of the rooms in docs/design.md matches the source tree."""

import re

from places import ROOT, files

ROOM_OF_MHP = re.compile(r"^((?:mhpdata|mhpmodels|tools)/(?:\w+/)?) {2,}\S")


def drawing() -> dict[str, list[str]]:
    """Return the file names of each room, in order, without suffix: storage/shards/file is shards/file of storage."""
    page = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    text = page.split("Each room, in this order")[1].split("```text")[1].split("```")[0]
    rooms: dict[str, list[str]] = {}
    for line in text.splitlines():
        if room := ROOM_OF_MHP.match(line):
            names = rooms.setdefault(room[1], [])
        elif line:
            assert line.startswith(" " * 20), f"neither a room nor its files: {line}"
            names += line.split()
    return rooms


def test_the_drawing_has_every_room():
    rooms = {f"{path.parent.relative_to(ROOT)}/" for path in ROOT.glob("mhp*/*/__init__.py")}
    assert set(drawing()) == rooms | {"mhpdata/", "mhpmodels/", "tools/"}


def test_the_drawing_names_files_that_exist_and_each_once():
    for room, names in drawing().items():
        assert len(set(names)) == len(names), room
        for name in names:
            assert (ROOT / room / f"{name}.py").is_file(), f"{room}{name}.py is drawn and does not exist"


def test_the_drawing_names_every_file():
    drawn = {f"{room}{name}.py" for room, names in drawing().items() for name in names}
    there = {path.relative_to(ROOT).as_posix() for path in files("mhpdata", "mhpmodels", "tools")}
    assert not {path for path in there - drawn if not path.endswith("__init__.py")}
