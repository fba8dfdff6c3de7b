"""The page of mhp browse in headless Chromium, opened from disk. Skipped without Chromium or Playwright."""

from __future__ import annotations

from dataclasses import replace

import pytest
from boxes import write_folder, write_packed
from browser import DESKTOP, PHONE, chromium, opened, started
from click.testing import CliRunner

import mhpdata
import mhptools.pack
from mhpdata.labels import MHP_V1
from mhpmodels.browsing.columns import shown_from
from mhpmodels.browsing.pages import classes_of
from mhpmodels.browsing.site import save_site
from mhpmodels.browsing.site_options import SiteOptions
from mhpmodels.files.png import encode_indexed

pytestmark = pytest.mark.skipif(chromium() is None, reason="needs Chromium and Playwright (pip install playwright)")
HOSTILE = "<img src=x onerror=alert(1)>&\"'\u202e\u2028%2F#a=b+c"


@pytest.fixture(scope="module")
def browser():
    with started() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return a site with two networks, a second rule, and layers of three samples."""
    root = tmp_path_factory.mktemp("page")
    rec = write_packed(root)
    for name, label in (("good", 4), ("bad", 11)):
        (root / name).mkdir()
        for split in ("train", "val"):
            for sample in mhpdata.open(rec, split):
                pixels = 0 * sample.labels + label
                (root / name / f"{sample.name}.png").write_bytes(encode_indexed(pixels, MHP_V1.palette))
    predictions = (str(root / "good"), str(root / "bad"))
    save_site(rec, root / "site", SiteOptions(full=4, predictions=predictions, overlap="last"))
    return root / "site"


def names(page):
    """Return the samples of the grid in the order of reading."""
    cells = page.locator(".cell")
    found = cells.evaluate_all("all => all.map(one => [Number(one.dataset.at), one.querySelector('bdi').textContent])")
    return [name for _, name in sorted(found)]


def status(page):
    return page.locator("#status").inner_text()


def test_filters_and_orders(browser, site):
    with opened(browser, site) as page:
        assert names(page) == ["0001", "0002", "0003", "0004", "0005"] and status(page) == "All 5 samples"
        page.locator("input[aria-label='Persons, least']").fill("2")
        assert names(page) == ["0001", "0002", "0004", "0005"]
        page.get_by_role("button", name="face").click()
        page.locator("#form").get_by_label("val").check()
        assert names(page) == ["0004"] and status(page) == "1 of 5 samples"
        page.wait_for_function("location.hash === '#split=val&with=face&persons=2~'.replace('~', '%7E')")
        page.get_by_role("button", name="Clear the filters").click()
        page.get_by_label("Colour").select_option("gray")
        assert names(page) == ["0002"]
        page.get_by_label("Colour").select_option("")
        page.get_by_label("Order").select_option("iou1")
        scores = page.evaluate("mhp.page.grid.shown.map(i => mhp.samples.iou1[i])")
        assert scores[:4] == sorted(scores[:4]) and scores[4] == -1, "an unknown score comes last"
        page.get_by_label("Descending").check()
        assert page.evaluate("mhp.page.grid.shown.map(i => mhp.samples.iou1[i])") == sorted(scores, reverse=True)
        page.keyboard.press("/")
        page.keyboard.type("nothing")
        assert names(page) == [] and page.locator("#nothing").is_visible()


def test_a_page_without_samples_does_not_blame_the_filters(browser, site, tmp_path):
    source = write_folder(tmp_path / "MHP")
    (source / "test_list.txt").write_text("")
    mhpdata.pack(source, tmp_path / "rec", size=0, workers=1, allow_empty=True)
    save_site(tmp_path / "rec", tmp_path / "site", SiteOptions(splits=("test",)))
    with opened(browser, tmp_path / "site") as page:
        assert page.locator("#nothing").inner_text() == "The splits of this page have no samples."
    with opened(browser, site) as page:
        page.locator("input[aria-label='Persons, least']").fill("99")
        assert page.locator("#nothing").inner_text() == "No sample matches these filters."


def test_a_sample_opens_with_its_layers_side_by_side(browser, site):
    with opened(browser, site) as page:
        page.locator(".cell a").first.click()
        page.wait_for_function("mhp.page.view.known")
        assert page.locator("#sample-title").inner_text() == "train 0001"
        page.keyboard.press("2")
        page.keyboard.press("b")
        page.keyboard.press("m")
        page.keyboard.press("[")
        page.wait_for_function("[...document.querySelectorAll('.stack img')].every(one => one.complete)")
        shown = page.locator(".stack").evaluate_all(
            "all => all.map(one => [...one.querySelectorAll('img:not([hidden])')].map(image => "
            "[image.src.split('/').pop(), image.style.opacity, image.style.mixBlendMode, image.naturalWidth > 0]))"
        )
        prediction = ["0.5", "multiply", True]
        image = ["image.jpg", "1", "normal", True]
        assert shown[0] == [image, ["labels.png", *prediction], ["pred_1.png", *prediction]]
        assert shown[1] == [image, ["pred_2.png", *prediction]]
        assert page.locator("#legend").inner_text().split("\n") == ["upper clothes", "face"]
        page.wait_for_function("location.hash.includes('right=image')")
        address = page.url.partition("#")[2]
        page.keyboard.press("ArrowRight")
        assert page.locator("#sample-title").inner_text() == "train 0002"
        page.keyboard.press("Escape")
        assert not page.locator("#sample").is_visible()
    with opened(browser, site, f"#{address}") as page:
        page.wait_for_function("mhp.page.view.known")
        assert page.locator("#sample-title").inner_text() == "train 0001"
        assert page.locator(".pane:visible").count() == 2


def test_a_sample_without_layers_shows_its_thumbnail(browser, site):
    with opened(browser, site, "#sample=test/0005") as page:
        page.locator(".stack img.double").wait_for()
        assert "no layers at full size" in page.locator("#unlayered").inner_text()
        page.get_by_role("button", name="Next sample").click()
        assert page.locator("#sample-title").inner_text() == "test 0005", "it is the last"


def test_back_closes_a_sample(browser, site):
    with opened(browser, site) as page:
        page.locator(".cell a").first.click()
        page.wait_for_function("mhp.page.view.known")
        page.go_back()
        page.wait_for_function("!document.querySelector('#sample').open")


def test_a_selection_is_saved_copied_and_kept(browser, site, tmp_path):
    with opened(browser, site) as page:
        page.locator("#skip").focus()
        page.keyboard.press("Enter")
        page.keyboard.press("x")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("x")
        assert status(page) == "All 5 samples, 2 selected"
        with page.expect_download() as download:
            page.get_by_role("button", name="Save names").click()
        download.value.save_as(tmp_path / "names.txt")
        assert (tmp_path / "names.txt").read_text() == "train/0001\ntrain/0003\n"
        given = ["--from", site.parent / "rec", "--names", tmp_path / "names.txt", "--out", tmp_path / "some"]
        done = CliRunner().invoke(mhptools.pack.main, [*map(str, given), "--allow-empty"])
        assert done.exit_code == 0, done.output
        assert mhpdata.open(tmp_path / "some", "train").names == ("0001", "0003")
        page.get_by_role("button", name="Copy names").click()
        page.wait_for_function("document.querySelector('#status').textContent === 'Copied 2 names'")
        page.reload()
        page.wait_for_function("typeof mhp !== 'undefined' && mhp.page")
        assert status(page) == "All 5 samples, 2 selected"
        page.get_by_label("Show").select_option("chosen")
        assert names(page) == ["0001", "0003"]
        page.get_by_role("button", name="Select none").click()
        assert names(page) == []


def test_keys_are_listed_and_phones_have_no_sideways_scroll(browser, site):
    for size in (DESKTOP, PHONE):
        with opened(browser, site, size=size) as page:
            page.keyboard.press("?")
            assert page.locator("#help tbody tr").count() > 10
            page.keyboard.press("Escape")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            page.locator(".cell a").first.click()
            page.wait_for_function("mhp.page.view.known")
            page.keyboard.press("b")
            assert page.evaluate("document.querySelector('#sample').scrollWidth <= innerWidth")


def test_hostile_names_are_text(browser, tmp_path, monkeypatch):
    rec = write_packed(tmp_path)
    renamed = "mhpmodels.browsing.sample_work.shown_from"
    monkeypatch.setattr(renamed, lambda *given: replace(shown_from(*given), name=f"{HOSTILE}{given[1]}"))
    renamed = "mhpmodels.browsing.site.classes_of"
    monkeypatch.setattr(renamed, lambda manifest: [one | {"name": HOSTILE} for one in classes_of(manifest)])
    save_site(rec, tmp_path / "site", SiteOptions(full="all", splits=("train",)))
    with opened(browser, tmp_path / "site") as page:
        assert names(page) == [f"{HOSTILE}{k}" for k in range(3)]
        page.locator(".cell a").nth(1).click()
        page.wait_for_function("mhp.page.view.known")
        assert page.locator("#sample-title").text_content() == f"train {HOSTILE}1"
        page.wait_for_function("location.hash.includes('sample=')")
        page.wait_for_timeout(300)
        page.reload()
        page.wait_for_function("typeof mhp !== 'undefined' && mhp.page && mhp.page.view.known")
        assert page.locator("#sample-title").text_content() == f"train {HOSTILE}1"
        assert page.evaluate("document.querySelectorAll('img[src=x]').length") == 0
