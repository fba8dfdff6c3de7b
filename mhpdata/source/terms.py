"""Licence and citation of each dataset, as its authors state them; a manifest repeats them.

None where nothing is known that has a source.
"""

from __future__ import annotations

from typing import NamedTuple


class Terms(NamedTuple):
    """Under which licence a dataset is given, and how it wants to be cited; one sentence each."""

    licence: str | None = None
    citation: str | None = None


TERMS = {
    "mhp-v1": Terms(
        "non-commercial research only (https://lv-mhp.github.io)",
        "Jianshu Li, Jian Zhao, Yunchao Wei, Congyan Lang, Yidong Li, Terence Sim, Shuicheng Yan, Jiashi Feng: "
        "Multiple-Human Parsing in the Wild. arXiv:1705.07206, 2017.",
    ),
    "mhp-v2": Terms(
        None,
        "Jian Zhao, Jianshu Li, Yu Cheng, Terence Sim, Shuicheng Yan, Jiashi Feng: Understanding Humans in Crowded "
        "Scenes: Deep Nested Adversarial Learning and A New Benchmark for Multi-Human Parsing. ACM Multimedia, 2018, "
        "pages 792-800.",
    ),
    "cihp": Terms(None, None),
}
"""By layout. Sources: lv-mhp.github.io (licence of v1); arXiv 1705.07206; doi 10.1145/3240508.3240509."""
