"""Pair the left classes of a label set with their right counterparts, by name.

The rule: a name with the word left or right ("left arm", "Left_Lower_Arm", "armLeft") belongs to the name in which left
and right are swapped, and to no other; each class has at most one counterpart. A table that breaks the rule would swap
wrong labels in mirrored images, so it is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from mhpdata.errors import OptionError
from mhpdata.label_sets.classes import LabelSet

PLACE = "classes"
"""Place of the errors; the caller knows the file."""

_SIDE = re.compile(r"(?:(?<![A-Za-z])|(?<=[a-z])(?=[LR]))(?:[Ll]eft|LEFT|[Rr]ight|RIGHT)(?![a-z])")
_SHORT = re.compile(r"(?<![A-Za-z])[Ll](?![A-Za-z])")
_SWAPPED = {"left": "right", "Left": "Right", "LEFT": "RIGHT", "right": "left", "Right": "Left", "RIGHT": "LEFT"}


def mirror_name(name: str) -> str | None:
    """Return the name with the words left and right swapped; None for a name without them."""
    swapped = _SIDE.sub(lambda match: _SWAPPED[match[0]], name)
    return None if swapped == name else swapped


def pair_sides(names: Sequence[str], given: Sequence[tuple[str, str]] = ()) -> dict[str, str]:
    """Return the counterpart of each class that has one, both ways.

    Args:
        names: Class names, all different.
        given: Further pairs, of classes whose names have no such word; others must agree with the names.

    Raises:
        OptionError: A class lacks its counterpart, or ``given`` contradicts the names or itself.
    """
    mirrors: dict[str, str] = {}
    for name in names:
        mirror = mirror_name(name)
        if mirror is None:
            continue
        if mirror not in names:
            remedy = f'Add "{mirror}" to "classes", or rename "{name}" if it has no side.'
            raise OptionError(PLACE, f'has "{name}" but not "{mirror}"', "left and right classes in pairs", remedy)
        mirrors[name] = mirror
    for pair in given:
        for name, other in (pair, pair[::-1]):
            if name not in names:
                remedy = f'Write names that are listed under "classes", or add "{name}" there.'
                raise OptionError(PLACE, f'"pairs" names "{name}"', "names of classes", remedy)
            wanted = mirrors.setdefault(name, other)
            if wanted != other or name == other:
                right = f'"{wanted}"' if wanted != other else "another class"
                remedy = f'Correct this entry of "pairs", which pairs "{pair[0]}" with "{pair[1]}".'
                raise OptionError(PLACE, f'"pairs" makes "{other}" the mirror image of "{name}"', right, remedy)
    return mirrors


def remarks_on_sides(labels: LabelSet) -> list[str]:
    """Return a remark if classes without a mirror image differ only in l and r, such as "arm_l" and "arm_r"."""
    single = {one.name for one in labels.classes if one.mirror is None}
    swapped = ((name, _SHORT.sub(lambda match: "r" if match[0] == "l" else "R", name)) for name in labels.names)
    pairs = [[name, other] for name, other in swapped if name != other and {name, other} <= single]
    if not pairs:
        return []
    text = "are not swapped in mirrored images; if they are left and right, add "
    return [f'classes {" and ".join(pairs[0])} {text}"pairs": {json.dumps(pairs, ensure_ascii=False)}']
