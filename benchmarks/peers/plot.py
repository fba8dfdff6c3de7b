"""Draw the results of benchmarks/peers/run.py as a dot plot: CPU time per image of each loader.

Run:  python benchmarks/peers/plot.py benchmarks/results/peers.json     (measures nothing; writes peers.png beside it)

Dots suit a logarithmic axis because they are read by position; bars are read by length and have no base there
(Cleveland and McGill: Graphical Perception, Journal of the American Statistical Association 79, 1984). A dot is the
median of the runs; the line through it spans the fastest to the slowest run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

COLUMN = "CPU ms/image"
OWN, OTHER, INK, MUTED = "#b3261e", "#3c4650", "#1b1f24", "#5b636c"


def save_plot(results: Path) -> Path:
    """Write the plot of a results file as a PNG beside it; return the path of the PNG."""
    found = json.loads(results.read_text())
    path = results.with_suffix(".png")
    figure = draw(found)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    return path


def draw(found: dict[str, Any]) -> Any:
    """Return the Matplotlib figure of the results, the slowest loader at the top."""
    from matplotlib.figure import Figure

    rows = [row for row in found["rows"] if row[COLUMN] != ""]
    figure: Any = Figure(figsize=(8, 0.36 * len(rows) + 1.6), layout="constrained")
    axes = figure.subplots()
    for height, row in enumerate(reversed(rows)):
        runs = [run[COLUMN] for run in found["variants"][row["loader"]]["runs"]]
        color = OWN if row["loader"].startswith("mhp") else OTHER
        axes.plot([min(runs), max(runs)], [height, height], color=color, linewidth=1.4)
        axes.plot(row[COLUMN], height, "o", color=color, markersize=7)
        axes.annotate(
            f"{row[COLUMN]:.3g}", (max(runs), height), (8, 0), textcoords="offset points", va="center", color=color
        )
    axes.set_yticks(range(len(rows)), [row["loader"] for row in reversed(rows)])
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.set_xlim(low, high * 1.35)
    ticks = [tick for tick in (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200) if low <= tick <= high * 1.35]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("CPU ms per image (logarithmic; left is better)", color=INK)
    axes.grid(axis="x", color="#dde1e6", linewidth=0.8)
    axes.grid(axis="y", color="#c3c9d0", linewidth=0.8, linestyle=":")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0, colors=INK)
    axes.set_title(caption(found), loc="right", fontsize=9, color=MUTED)
    return figure


def caption(found: dict[str, Any]) -> str:
    """Return the caption: the task, the machine, the version and the date."""
    settings, machine = found["settings"], found["machine"]
    how = (
        f"train-768, {settings['dtype']}, {settings['workers']} workers, median and range of {settings['rounds']} runs"
    )
    version = f"mhp {machine['mhp']} ({machine['commit']})"
    return f"{how}\n{machine['cpu']}, {machine['cores']} cores, {version}, {machine['date']}"


@click.command()
@click.argument("results", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(results: tuple[Path, ...]) -> None:
    """Draw each file of RESULTS, such as benchmarks/results/peers.json."""
    for path in results:
        print(save_plot(path))


if __name__ == "__main__":
    main()
