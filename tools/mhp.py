"""mhp: the umbrella command; each sub-command is imported when it is run."""

from __future__ import annotations

import difflib
import importlib
import sys

import click
from click.shell_completion import CompletionItem

from mhptools.messages import version_option
from mhptools.running import HELP, Ended

COMMANDS = {
    "fetch": "Download a dataset or extract its zip archive, or download weights of others; check every file.",
    "pack": "Convert a downloaded dataset into packed shards.",
    "verify": "Check a packed folder, or a download before packing.",
    "diff": "Compare two packed folders, sample by sample.",
    "show": "Draw samples of a packed folder, or the curves of a training run.",
    "stats": "Count the classes, persons, sizes, overlaps and duplicates of a packed folder.",
    "browse": "Write a page that shows the samples of a packed folder, and opens from disk.",
    "export": "Export a packed folder in the form that other programs read: COCO, CIHP, MMSegmentation and others.",
    "labels": "List label sets, convert between them, or check your own.",
    "bench": "Measure the loader on a packed folder.",
    "synth": "Generate a synthetic dataset in the layout of LV-MHP v1 or another dataset.",
    "train": "Train a network on packed shards.",
    "eval": "Evaluate a trained network on a packed split.",
    "predict": "Predict label maps for images or a packed split.",
    "convert": "Convert weights between MXNet and PyTorch files, or export them to ONNX.",
    "score": "Score predictions against a packed split.",
}
"""Sub-commands in the order of a typical project; the help of each begins with its sentence."""

EXAMPLE = """\b
Example:
  mhp synth --out demo/MHP_v1 --images 24
  mhp pack --src demo/MHP_v1 --out demo/rec
  mhp show demo/rec --out demo/sheet.png

mhp COMMAND --help lists the options of a command. Each command is also installed under its own name, such as
mhp-pack.

Exit status: 0 for success, 1 for wrong data (a damaged download, packed folder, checkpoint or prediction), 2 for
invalid usage, 3 for a reason outside the data (permission, disk, memory, a library, existing output), 128 + n for an
end by signal n.
"""


class Umbrella(Ended, click.Group):
    """The group of all commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names of the commands in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; return None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"mhptools.{cmd_name}").main
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command named by the first argument; for an unknown name, suggest similar ones."""
        if args[0] in COMMANDS or ctx.resilient_parsing or args[0].startswith("-"):
            return super().resolve_command(ctx, args)
        alike = " or ".join(difflib.get_close_matches(args[0], COMMANDS))
        hint = f"Did you mean {alike}?" if alike else "Run mhp --help for the list of commands."
        raise click.UsageError(f"No such command '{args[0]}'. {hint}", ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands into the help without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command without importing any."""
        names = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]


@click.command(cls=Umbrella, epilog=EXAMPLE, params=[version_option()], context_settings=HELP)
def main() -> None:
    """Convert human-parsing datasets into verified shards; train, evaluate and score networks on them."""


if __name__ == "__main__":
    sys.exit(main())
