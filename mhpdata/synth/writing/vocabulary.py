"""Translate the labels of the drawn shapes, which are those of LV-MHP v1, to the classes of each dataset.

Shape and outfit determine which of MHP v2's 59 classes replaces a label of LV-MHP v1:

=============  =======================================================================================================
hat            cap/hat; a beanie is headwear
upper clothes  jacket: jacket/windbreaker/hoodie, and t-shirt under it; tank top: singlet; crop top: bikini/bra;
               tucked-in shirt: polo-shirt; knitted or long-sleeved: sweater; else t-shirt
pants          shorts/swim-shorts if they end above the knee
shoes          boots; highheels with a skirt or a dress; sandals with shorts; else shoes
arms           arm and hand; with a beanie, the hand is a glove
legs           leg, and foot if it is bare
bag            carrybag in the hand, backpack across the body
=============  =======================================================================================================

Other classes, such as helmets, stockings and objects, are not drawn. In CIHP, a jacket is a coat, the hands of a person
with a beanie are gloves, a belt belongs to the garment that it holds, and bags are background. LIP is as CIHP without
the skin of the torso, CCIHP with bags and without dresses. Datasets of one's own have seven classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mhpdata.labels import CIHP, LABEL_SETS, MHP_V1, MHP_V2, LabelSet
from mhpdata.synth.painting.shapes import Points, Shape
from mhpdata.synth.planning.person import Outfit
from mhpdata.synth.writing.own_forms import OWN, OWN_FORMS

Named = Iterator[tuple[tuple[Points, ...], int]]
"""Pairs of polygons and their label, in painting order."""
Name = Callable[[Shape, Outfit], Named]

_V2 = {name: label for label, name in enumerate(MHP_V2.names)}
_CIHP = {name: label for label, name in enumerate(CIHP.names)}
_LIP = {name: label for label, name in enumerate(LABEL_SETS["lip"].names)}
_CCIHP = {name: label for label, name in enumerate(LABEL_SETS["ccihp"].names)}
_OWN = {name: label for label, name in enumerate(OWN.names)}
_SHORT = 1.3
"""Length below which pants are shorts; 1 is the knee."""


def name_v1(shape: Shape, outfit: Outfit) -> Named:
    """Yield the polygons with the label of LV-MHP v1."""
    yield shape.polygons, shape.label


def name_v2(shape: Shape, outfit: Outfit) -> Named:
    """Yield the polygons with the classes of MHP v2."""
    drawn = MHP_V1.names[shape.label]
    side, _, part = drawn.rpartition(" ") if drawn.startswith(("left", "right")) else ("", "", drawn)
    if part == "shoe":
        yield shape.polygons, _V2[f"{side}-{_footwear(outfit)}"]
    elif side:
        end = "foot" if part == "leg" else "hand"
        yield shape.polygons[: len(shape.polygons) - shape.tips], _V2[f"{side}-{part}"]
        yield (
            shape.polygons[len(shape.polygons) - shape.tips :],
            _V2["glove" if end == "hand" and outfit.hat == "beanie" else f"{side}-{end}"],
        )
    else:
        yield shape.polygons, _V2[_wear(part, shape, outfit)]


def name_cihp(shape: Shape, outfit: Outfit) -> Named:
    """Yield the polygons with the classes of CIHP."""
    drawn = MHP_V1.names[shape.label]
    if drawn.endswith("arm") and outfit.hat == "beanie":
        yield shape.polygons[: len(shape.polygons) - shape.tips], _CIHP[drawn.replace(" ", "-")]
        yield shape.polygons[len(shape.polygons) - shape.tips :], _CIHP["glove"]
        return
    if drawn == "upper clothes":
        drawn = "coat" if outfit.top == "jacket" and shape.surface == "top" else "upper-clothes"
    elif drawn == "belt":
        drawn = outfit.bottom
    yield shape.polygons, 0 if drawn == "bag" else _CIHP[drawn.replace(" ", "-")]


def name_lip(shape: Shape, outfit: Outfit) -> Named:
    """Yield the polygons with the classes of LIP, in which the skin of the torso is background."""
    for polygons, label in name_cihp(shape, outfit):
        yield polygons, _LIP.get(CIHP.names[label], 0)


def name_ccihp(shape: Shape, outfit: Outfit) -> Named:
    """Yield the polygons with the classes of CCIHP, which has bags, and no dresses."""
    if MHP_V1.names[shape.label] == "bag":
        yield shape.polygons, _CCIHP["bag"]
        return
    for polygons, label in name_cihp(shape, outfit):
        name = CIHP.names[label].replace("dress", "upper-clothes").replace("upper-clothes", "upperclothes")
        yield polygons, _CCIHP[name]


def name_own(shape: Shape, outfit: Outfit) -> Named:
    """Yield the polygons with the classes of the datasets of one's own."""
    drawn = MHP_V1.names[shape.label]
    side, _, part = drawn.rpartition(" ") if drawn.startswith(("left", "right")) else ("", "", drawn)
    if side:
        yield shape.polygons, _OWN[f"{side}-{'arm' if part == 'arm' else 'leg'}"]
    elif drawn == "bag":
        yield shape.polygons, 0
    else:
        yield shape.polygons, _OWN["head" if drawn in ("hat", "hair", "face", "sunglasses") else "body"]


def _footwear(outfit: Outfit) -> str:
    if outfit.shoe == "boot":
        return "boot"
    if outfit.bottom in ("skirt", "dress"):
        return "highheel"
    return "sandal" if outfit.length < _SHORT else "shoe"


def _wear(drawn: str, shape: Shape, outfit: Outfit) -> str:
    """Return the MHP v2 name of a garment, or of the head and the trunk."""
    if drawn == "hat":
        return "headwear" if outfit.hat == "beanie" else "cap/hat"
    if drawn == "upper clothes":
        return _top(shape, outfit)
    if drawn == "pants":
        return "shorts/swim-shorts" if outfit.length < _SHORT else "pants"
    if drawn == "bag":
        return "carrybag" if outfit.bag == "hand" else "backpack"
    return "torso-skin" if drawn == "torso skin" else drawn


def _top(shape: Shape, outfit: Outfit) -> str:
    if outfit.top == "jacket":
        return "jacket/windbreaker/hoodie" if shape.surface == "top" else "t-shirt"
    if outfit.top in ("tank", "crop"):
        return {"tank": "singlet", "crop": "bikini/bra"}[outfit.top]
    if outfit.tucked:
        return "polo-shirt"
    return "sweater" if outfit.surfaces["top"].pattern == "knit" or outfit.sleeve >= 1.9 else "t-shirt"


VOCABULARIES: dict[str, tuple[Name, LabelSet]] = {
    "mhp-v1": (name_v1, MHP_V1),
    "mhp-v2": (name_v2, MHP_V2),
    "cihp": (name_cihp, CIHP),
    "lip": (name_lip, LABEL_SETS["lip"]),
    "ccihp": (name_ccihp, LABEL_SETS["ccihp"]),
    **dict.fromkeys(OWN_FORMS, (name_own, OWN)),
}
