"""Seeds of generations."""

from __future__ import annotations

import hashlib


def clip_seed(seed: int, clip: str) -> int:
    """Return the seed that a method is given for a clip.

    All variants are given the same one, so that they can be compared in pairs. Clips are given different ones: noise
    that is the same in all of them would move all heads alike, and distances of distributions, such as FVD, would take
    that for a lack of variety.

    Args:
        seed: Of the suite.
        clip: Id of the clip.

    Returns:
        At least 0 and below 2 ** 31.
    """
    digest = hashlib.sha256(f"{seed}/{clip}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1
