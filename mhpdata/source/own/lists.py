"""Read the list of a split of a dataset of one's own: one image per line, with or without folder and ending."""

from __future__ import annotations

from mhpdata.errors import SKIP, FolderError
from mhpdata.source.entry import Listing, Problem
from mhpdata.source.lists import MAX_BYTES
from mhpdata.source.own.tree import Images


def read_list(data: bytes, place: str, images: Images, split: str, listing: Listing) -> list[str]:
    """Return the ids that a list names, in its order; a line that repeats one is a problem of the list.

    Args:
        data: Content of the list.
        place: Its path.
        images: The images of the split.
        split: The split.
        listing: Receives the problems.

    Raises:
        FolderError: It is not text, or too large.
    """
    try:
        if len(data) > MAX_BYTES:
            raise ValueError
        lines = data.decode("utf-8-sig").splitlines()
    except ValueError as error:
        remedy = "Save the list as plain text, one image per line."
        found = f"is not text of at most {MAX_BYTES >> 20} MiB"
        raise FolderError(place, found, "the names of images", remedy, fault=("not-text",)) from error
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        id = images.id_of(line.strip())
        if id in seen:
            found = f"lists {id} again, as line {seen[id]} does"
            remedy = f"Delete the line. To skip it, pass {SKIP}."
            again = FolderError(f"{place} line {number}", found, "each image once", remedy, fault=("list-repeat", id))
            listing.problems.append(Problem(split, id, again, entry=False))
            continue
        seen[id] = number
    return list(seen)
