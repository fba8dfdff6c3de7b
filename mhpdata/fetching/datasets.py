"""The datasets that mhp fetches: where their archives are, and the terms to show before the first byte.

Sources: lv-mhp.github.io links the archive; the id of the file on Google Drive is that of GluonCV's script
``scripts/datasets/mhp_v1.py``.
"""

from __future__ import annotations

from typing import NamedTuple

from mhpdata.terms import TERMS


class Dataset(NamedTuple):
    """A dataset that can be fetched.

    Attributes:
        layout: Its layout, which is also its name on the command line.
        title: Its name for people.
        page: Address of its authors' page.
        drive_id: Id of the archive on Google Drive.
    """

    layout: str
    title: str
    page: str
    drive_id: str

    @property
    def drive_page(self) -> str:
        """Address at which a browser downloads the archive."""
        return f"https://drive.google.com/file/d/{self.drive_id}/view"

    @property
    def otherwise(self) -> str:
        """Advice for the archive after a browser has downloaded it."""
        return "pass it with --zip"

    def terms(self) -> str:
        """Return licence and citation as lines of text."""
        terms = TERMS[self.layout]
        lines = [f"{self.title}, {self.page}", f"Licence: {terms.licence}", f"Cite: {terms.citation}"]
        return "\n".join(
            [*lines, "The licence also covers what is made from the images: packed folders, figures, label maps."]
        )


DATASETS = {"mhp-v1": Dataset("mhp-v1", "LV-MHP v1", "https://lv-mhp.github.io", "1hTS8QJBuGdcppFAr_bvW2tsD9hW_ptr5")}
"""By name on the command line."""
