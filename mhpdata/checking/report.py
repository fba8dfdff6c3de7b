"""Report the result of a check of a folder: problems as errors that are not raised, counts, and remarks.

A check does not stop at the first problem. It collects the errors that other commands would raise, each with its place,
found and expected values and a remedy. A *remark* is informational; it never fails the check.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mhpdata.errors import MhpError, is_outside
from mhpdata.wording import counted, printable


@dataclass
class Report:
    """Result of ``verify_packed`` or ``verify_source``.

    Attributes:
        title: Subject of the check.
        findings: Problems, in the order of the folder: the manifest or the lists first, then split by split.
        counts: {split: {column: count}}, with the same columns in every split.
        remarks: Informational sentences, such as groups of byte-identical images.
        release: Comparison of a download with its release, as JSON types; None without a list of the release.
        more: Further remarks, only for a text of everything: ``remarks`` has a sentence that counts them, and
            ``release`` has their paths.
    """

    title: str
    findings: list[MhpError] = field(default_factory=list)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    release: dict[str, Any] | None = None
    more: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether the check found no problem."""
        return not self.findings

    @property
    def damaged(self) -> bool:
        """Whether data are damaged; data that could not be checked for an outside reason do not count."""
        return not all(map(is_outside, self.findings))

    def text(self, shown: int | None = None) -> str:
        """Return the report as text.

        Args:
            shown: Maximum number of remarks, and of findings; None for all.
        """
        problems = [f"{type(error).__name__}: {error}" for error in self.findings]
        head = "No problems found." if self.clean else f"{counted(len(problems), 'problem')}:"
        remarks = [*self.remarks, *(self.more if shown is None else ())]
        notes = [*_cut(remarks, shown), ""] if remarks else []
        return "\n".join([printable(self.title), "", *self._table(), "", *notes, head, *_cut(problems, shown)])

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON types; problems marked ``outside`` do not concern the data."""
        problems = [
            {
                "error": type(one).__name__,
                "place": one.place,
                "found": one.found,
                "expected": one.expected,
                "remedy": str(one.remedy),
                "outside": is_outside(one),
            }
            for one in self.findings
        ]
        release = {} if self.release is None else {"release": self.release}
        return {"title": self.title, "counts": self.counts, **release, "remarks": self.remarks, "problems": problems}

    def _table(self) -> list[str]:
        columns = list(next(iter(self.counts.values()), {}))
        total = {column: sum(row[column] for row in self.counts.values()) for column in columns}
        rows = [*self.counts.items(), ("all", total)]
        body = ["".join([f"{printable(name):8}", *(f"{row[c]:>{len(c) + 4}}" for c in columns)]) for name, row in rows]
        return ["".join([f"{'split':8}", *(f"{column:>{len(column) + 4}}" for column in columns)]), *body]


def _cut(lines: list[str], shown: int | None) -> list[str]:
    few = [f"  {printable(line)}" for line in lines[:shown]]
    return few if len(few) == len(lines) else [*few, f"  ... and {len(lines) - len(few)} more (--all shows them)"]
