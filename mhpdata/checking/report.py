"""What a check of a folder has found: every problem as an error that is not raised, counts, and remarks.

A check never stops at the first problem. It collects the errors that other verbs would raise, so each says its place,
what was found, what was expected and what to do. A *remark* is worth knowing and keeps nobody from anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mhpdata.errors import MhpError, is_outside
from mhpdata.wording import counted, printable


@dataclass
class Report:
    """What ``verify_packed`` and ``verify_source`` return.

    Attributes:
        title: what was checked, in words.
        findings: every problem, in the order of the folder: the manifest or the lists first, then split by split.
        counts: split -> column -> count; the columns are the same in every split.
        remarks: sentences that are no problems, such as which photos are byte-identical.
    """

    title: str
    findings: list[MhpError] = field(default_factory=list)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    @property
    def damaged(self) -> bool:
        """Whether data are wrong; what could not be checked for a reason outside the data may be whole."""
        return not all(map(is_outside, self.findings))

    def text(self, shown: int | None = None) -> str:
        """The report in words.

        Args:
            shown: at most so many remarks, and so many findings; None for all.
        """
        found = [f"{type(error).__name__}: {error}" for error in self.findings]
        head = "Nothing wrong." if self.clean else f"{counted(len(found), 'problem')}:"
        notes = [*_cut(self.remarks, shown), ""] if self.remarks else []
        return "\n".join([printable(self.title), "", *self._table(), "", *notes, head, *_cut(found, shown)])

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON types; ``outside`` problems say nothing about the data."""
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
        return {"title": self.title, "counts": self.counts, "remarks": self.remarks, "problems": problems}

    def _table(self) -> list[str]:
        columns = list(next(iter(self.counts.values()), {}))
        total = {column: sum(row[column] for row in self.counts.values()) for column in columns}
        rows = [*self.counts.items(), ("all", total)]
        body = ["".join([f"{printable(name):8}", *(f"{row[c]:>{len(c) + 4}}" for c in columns)]) for name, row in rows]
        return ["".join([f"{'split':8}", *(f"{column:>{len(column) + 4}}" for column in columns)]), *body]


def _cut(lines: list[str], shown: int | None) -> list[str]:
    few = [f"  {printable(line)}" for line in lines[:shown]]
    return few if len(few) == len(lines) else [*few, f"  ... and {len(lines) - len(few)} more (--all shows them)"]
