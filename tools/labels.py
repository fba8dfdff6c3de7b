"""mhp labels: show label sets, convert one to another, and check a table of one's own."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from mhptools.paths import FILE, PATH
from mhptools.running import DATA, Command

EXAMPLE = """\b
Examples:
  mhp labels                                    lists the label sets
  mhp labels cihp                               lists the classes of CIHP
  mhp labels cihp --to lip                      shows what each class becomes, and what is lost
  mhp labels --common mhp-v1 cihp lip --json    prints a table for mhp train --remap
  mhp labels --check mine.json                  checks the classes of your own dataset (docs/datasets.md)

SET is the name of a label set, or a JSON file with classes. The JSON of a set is such a file; that of --to and --common
is a table for --remap. Exit status: 0 if nothing is wrong, 1 if the table of --check is wrong, 2
for invalid usage.
"""


@click.command(cls=Command, epilog=EXAMPLE)
@click.argument("sets", nargs=-1, metavar="[SET]...", type=PATH)
@click.option("--to", metavar="SET", type=PATH, help="Show the conversion of SET to this label set.")
@click.option("--common", is_flag=True, help="Show the classes that the given sets share, and what each class becomes.")
@click.option("--check", type=FILE, help="Check the table of classes in a JSON file.")
@click.option("--meanings", is_flag=True, help="List the meanings by which classes of different sets correspond.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def main(sets: tuple[str, ...], to: str | None, common: bool, check: str | None, meanings: bool, as_json: bool) -> None:
    """List label sets, convert between them, or check your own.

    Shows the classes of datasets and parsers with colours and left/right pairs, what the classes of one set become in
    another, and the classes that several sets share.
    """
    given = {"--to": to is not None, "--common": common, "--check": check is not None, "--meanings": meanings}
    modes = [flag for flag, is_given in given.items() if is_given]
    if len(modes) > 1:
        raise click.UsageError(f"{modes[0]} and {modes[1]} exclude each other. Pass one of them.")
    most = {"--common": None, "--check": 0, "--meanings": 0}.get(modes[0] if modes else "", 1)
    if most is not None and len(sets) > most:
        raise click.UsageError(f"Got the label sets {', '.join(sets)}. To see what they share, pass --common.")
    if (to is not None and not sets) or (common and not sets):
        raise click.UsageError(f"{modes[0]} needs a label set: mhp labels cihp {modes[0]}{' lip' * (to is not None)}.")
    print(*_shown(sets, to, common, check, meanings, as_json))


def _shown(
    sets: tuple[str, ...], to: str | None, common: bool, check: str | None, meanings: bool, as_json: bool
) -> list[str]:
    """Return the output, as text or JSON."""
    from mhpdata.label_sets import report
    from mhpdata.label_sets.built_in import find_table
    from mhpdata.label_sets.meanings import convert
    from mhpdata.label_sets.sharing import share

    content: Any
    if check is not None:
        content, text = _checked(check)
    elif meanings:
        content, text = report.meanings_dict(), report.meanings_text()
    elif common:
        labels, maps = share([find_table(one) for one in dict.fromkeys(sets)])
        content, text = report.shared_dict(labels, maps), report.shared_text(labels, maps)
    elif to is not None:
        one = convert(find_table(sets[0]), find_table(to))
        content, text = report.conversion_dict(one), report.conversion_text(one)
    elif sets:
        table = find_table(sets[0])
        content, text = report.table_dict(table), report.table_text(table)
    else:
        content, text = report.list_dict(), report.list_text()
    return [json.dumps(content, indent=1, ensure_ascii=False) if as_json else text]


def _checked(path: str) -> tuple[Any, str]:
    """Return a table of one's own, as JSON types and as text; exit with DATA if it is wrong."""
    from mhpdata.errors import OptionError
    from mhpdata.label_sets import report
    from mhpdata.label_sets.built_in import find_table
    from mhpdata.label_sets.sides import remarks_on_sides
    from mhpdata.source.own.description import describe
    from mhpdata.wording import printable

    try:
        table = find_table(path)
        if table.folder is not None:
            describe(table, path)
    except OptionError as error:
        if isinstance(error.__cause__, OSError):
            raise
        print(printable(str(error)), file=sys.stderr)
        sys.exit(DATA)
    remarks = [f"Remark: {remark}." for remark in remarks_on_sides(table.labels)]
    lines = ["", printable(f"Background: {table.labels.names[0]}"), *map(printable, remarks), "No problems found."]
    return report.table_dict(table), "\n".join([report.table_text(table), *lines])


if __name__ == "__main__":
    sys.exit(main())
