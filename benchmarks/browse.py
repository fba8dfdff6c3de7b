"""Measure the page of mhp browse with 25,000 samples in headless Chromium, and check its accessibility with axe-core.

Run:  make browser, or python benchmarks/browse.py --out benchmarks/results

It needs Playwright (pip install playwright), Chromium (on the PATH, or named by CHROMIUM) and npm, which downloads
axe-core into a temporary folder. The samples are generated: numbers from a seed, and thumbnails of noise as large as
those of images. Layers come from a small synthetic pack. The exit status is 1 if a limit is exceeded.
"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from harness import ROOT, machine, save, table

import mhpdata
from mhpdata.labels import MHP_V1
from mhpdata.synth.writing.folder import synthesize
from mhpmodels.browsing.columns import Shown, samples_script
from mhpmodels.browsing.predicted import Score
from mhpmodels.browsing.site import save_site
from mhpmodels.browsing.site_folder import thumb_of
from mhpmodels.browsing.site_options import SiteOptions
from mhpmodels.files.png import encode_indexed

sys.path.insert(0, str(ROOT / "tests/support"))
from browser import DESKTOP, PHONE, opened, started

OPEN_S, FILTER_MS = 3.0, 100.0
"""Limits: seconds until all thumbnails in the window are shown; milliseconds until a filter's result is laid out."""
AXE = "axe-core@4.14.1"
SHOWN = "document.querySelector('.cell') && [...document.querySelectorAll('.cell img')].every(one => one.complete)"
FILTER = """async ([selector, value]) => {
  const box = document.querySelector(selector), begun = performance.now();
  if (box.type === 'checkbox' || box.type === 'button') box.click();
  else {
    box.value = value;
    box.dispatchEvent(new Event('input'));
    box.dispatchEvent(new Event('change'));
  }
  document.body.getBoundingClientRect();
  const laid = performance.now() - begun;
  await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
  return [laid, performance.now() - begun];
}"""
FILTERS = {
    "name contains 17": ("#search", "17"),
    "name, all again": ("#search", ""),
    "at least 4 persons": ("input[aria-label='Persons, least']", "4"),
    "mean IoU at most 40 %": ("input[aria-label^='Mean IoU'][aria-label$='most']", "40"),
    "with a class": (".class", ""),
    "without the class": (".class", ""),
    "one split": ("#form .chips input", ""),
    "order by mean IoU": ("#form select", "iou1"),
    "order by name": ("#form select", "name"),
}
SCROLL = """async () => {
  const took = [];
  for (let k = 0, before = performance.now(); k < 120; k++) {
    scrollBy(0, 700);
    await new Promise(done => requestAnimationFrame(done));
    took.push(performance.now() - before);
    before = performance.now();
  }
  return took;
}"""
VIEWS: dict[str, tuple[str, Callable[[Any], None]]] = {
    "samples": ("", lambda page: None),
    "labels, one selected": ("", lambda page: (page.keyboard.press("l"), page.locator(".cell input").first.check())),
    "filters": ("#with=hat&without=bag&persons=2~4", lambda page: page.evaluate("byId('filters').open = true")),
    "nothing found": ("#q=nothing", lambda page: None),
    "keys": ("", lambda page: page.keyboard.press("?")),
    "sample": ("#sample=train/000001", lambda page: page.wait_for_function("mhp.page.view.known")),
    "side by side": (
        "#sample=train/000001&left=image,persons,overlaps&right=image,pred_1,wrong_1",
        lambda page: page.wait_for_function("mhp.page.view.known"),
    ),
    "sample without layers": ("#sample=train/000100", lambda page: None),
}


def write_small(root: Path) -> Path:
    """Write a site of a small synthetic pack with predictions and a second rule."""
    synthesize(root / "MHP", images=12, scale=0.5, seed=0, workers=1)
    mhpdata.pack(root / "MHP", root / "rec", size=384, workers=1)
    (root / "pred").mkdir()
    for sample in mhpdata.open(root / "rec", "train"):
        labels = cv2.resize(sample.labels, sample.record.source_size[::-1], interpolation=cv2.INTER_NEAREST)
        labels[:, ::3] = 0
        (root / f"pred/{sample.name}.png").write_bytes(encode_indexed(labels, MHP_V1.palette))
    options = SiteOptions(full="all", predictions=(str(root / "pred"),), overlap="last")
    save_site(root / "rec", root / "site", options, workers=1)
    return root / "site"


def enlarge(site: Path, count: int) -> int:
    """Replace the samples of a site by generated ones; return the bytes of their thumbnails."""
    draw, noise = random.Random(0), np.random.default_rng(0)
    thumbs = []
    for _ in range(50):
        coarse = noise.integers(0, 256, (32, 16, 3), np.uint8)
        thumbs.append(cv2.imencode(".jpg", cv2.resize(coarse, (96, 256)), [cv2.IMWRITE_JPEG_QUALITY, 75])[1].tobytes())
    samples, total = [], 0
    for index in range(count):
        persons = min(18, 2 + int(draw.expovariate(0.6)))
        contested = draw.randrange(3000) * (draw.random() < 0.6)
        classes = 1 | sum(1 << label for label in range(1, 19) if draw.random() < 0.5)
        known = Score(draw.random(), draw.random()) if draw.random() < 0.9 else None
        size = draw.randrange(200, 2000), draw.randrange(200, 2000)
        samples.append(
            Shown(
                0, index, f"{index:06}", *size, persons, draw.randrange(50, 200), contested, contested // 4,
                draw.random() < 0.02, True, classes, contested // 2, -1, (known,),
            )
        )  # fmt: skip
        path = site / thumb_of(0, index)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(thumbs[index % len(thumbs)])
        total += len(thumbs[index % len(thumbs)])
    groups = [[2 * k, 2 * k + 1] for k in range(count // 50)]
    (site / "data/samples.js").write_bytes(samples_script(samples, range(5), groups, len(MHP_V1), 1))
    return total


def measure(browser: Any, site: Path, runs: int) -> dict[str, list[float]]:
    """Return seconds to open, milliseconds of each filter until laid out and painted, and of each scrolled frame."""
    found: dict[str, list[float]] = {"open": [], "frame": []}
    for run in range(runs + 1):
        begun = time.perf_counter()
        with opened(browser, site) as page:
            page.wait_for_function(SHOWN)
            took = time.perf_counter() - begun
            if run == 0:  # fills the disk's cache
                continue
            found["open"].append(took)
            for name, (selector, value) in FILTERS.items():
                laid, painted = page.evaluate(FILTER, [selector, value])
                found.setdefault(name, []).append(laid)
                found.setdefault(f"{name}, painted", []).append(painted)
            assert page.evaluate("mhp.page.grid.shown.length") > 0
            page.evaluate("mhp.page.state = EMPTY(); mhp.page.fillForm(); mhp.page.apply()")
            found["frame"] += page.evaluate(SCROLL)
    return found


def faults(browser: Any, site: Path, folder: Path) -> list[dict[str, Any]]:
    """Return what axe-core finds in each view of the page, on desktop and phone, light and dark."""
    install = [
        "npm",
        "install",
        "--silent",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--prefix",
        str(folder),
        AXE,
    ]
    subprocess.run(install, check=True)
    axe = folder / "node_modules/axe-core/axe.min.js"
    rows = []
    for view, (address, prepare) in VIEWS.items():
        for size, place in ((DESKTOP, "desktop"), (PHONE, "phone")):
            for scheme in ("light", "dark"):
                with opened(browser, site, address, size, scheme) as page:
                    prepare(page)
                    page.wait_for_timeout(200)
                    page.evaluate(axe.read_text(encoding="utf-8"))
                    result = page.evaluate("axe.run({preload: false})")  # it would fetch style sheets
                for one in result["violations"]:
                    where = "; ".join(node["html"][:120] for node in one["nodes"][:2])
                    rows.append(
                        {"view": f"{view}, {place}, {scheme}", "impact": one["impact"], "rule": one["id"], "at": where}
                    )
    return rows


@click.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the results.")
@click.option("--samples", default=25_000, show_default=True, help="Number of samples.")
@click.option("--runs", default=5, show_default=True, help="Number of runs.")
@click.option("--shots", type=click.Path(file_okay=False, path_type=Path), help="Folder for screenshots of all views.")
def main(out: Path, samples: int, runs: int, shots: Path | None) -> None:
    """Measure the page of mhp browse, and check its accessibility."""
    with tempfile.TemporaryDirectory() as folder, started() as browser:
        site = write_small(Path(folder))
        bytes_of_thumbs = enlarge(site, samples)
        script_bytes = (site / "data/samples.js").stat().st_size
        found = measure(browser, site, runs)
        rows = [{"what": f"open, {samples:,} samples, s", **_spread(found["open"])}]
        rows += [{"what": f"filter: {name}, ms", **_spread(found[name])} for name in FILTERS]
        painted = [value for name in FILTERS for value in found[f"{name}, painted"]]
        rows.append({"what": "any filter, until its frame is painted, ms", **_spread(painted)})
        rows.append({"what": "frame while scrolling, ms", **_spread(found["frame"])})
        wrong = faults(browser, site, Path(folder) / "npm")
        if shots is not None:
            _shoot(browser, site, shots)
        version = browser.version
    serious = [row for row in wrong if row["impact"] in ("serious", "critical")]
    about = machine("numpy", "playwright") | {"chromium": version, "axe": AXE}
    text = f"""# The page of mhp browse

{samples:,} generated samples, opened from disk in headless Chromium. "Open" ends when every thumbnail in the window is
shown; a filter ends when its result is laid out. Chromium paints in software here, beside other programs on the same
cores, so frames are slower than on a desktop. Thumbnails: {bytes_of_thumbs / 1e6:.0f} MB; data/samples.js:
{script_bytes / 1e6:.1f} MB.

{table(rows)}
Accessibility: {AXE} finds {len(serious)} serious or critical faults and {len(wrong) - len(serious)} others in
{len(VIEWS)} views, each on desktop and phone, light and dark.
{table(wrong) if wrong else ""}
{", ".join(f"{key} {value}" for key, value in about.items())}
"""
    save(out, "browse", {"machine": about, "rows": rows, "faults": wrong}, text)
    slow = [name for name in FILTERS if max(found[name]) > FILTER_MS]
    if max(found["open"]) > OPEN_S or slow or serious:
        sys.exit(
            f"A limit is exceeded: open {max(found['open']):.2f} s; slow filters {slow}; {len(serious)} serious faults."
        )


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "max": max(values), "runs": len(values)}


def _shoot(browser: Any, site: Path, shots: Path) -> None:
    shots.mkdir(parents=True, exist_ok=True)
    for view, (address, prepare) in VIEWS.items():
        for size, place, scheme in ((DESKTOP, "desktop", "light"), (PHONE, "phone", "dark")):
            with opened(browser, site, address, size, scheme) as page:
                prepare(page)
                page.wait_for_timeout(500)
                page.screenshot(path=shots / f"{view.replace(' ', '-').replace(',', '')}-{place}.png")


if __name__ == "__main__":
    main()
