"""The two ways to run a network and how a metric's name says which; imports nothing heavy.

A metric of the mode `fast` is a metric of its own, whose name is that of the exact one with `.fast` behind it, so that
a number of either kind never stands in a column of the other.
"""

from __future__ import annotations

from typing import Literal

Mode = Literal["exact", "fast"]
MODES: tuple[Mode, ...] = ("exact", "fast")
"""`exact`: float32, the fixtures' tolerances hold. `fast`: 8 bits."""

SUFFIX = ".fast"
"""Ends the names of metrics, and of their features, that come of networks in the mode `fast`."""


def split_mode(name: str) -> tuple[str, Mode]:
    """Return the name of the exact metric, and the mode that a name asks for.

    Example:
        >>> split_mode("fid/pytorch-fid.fast")
        ('fid/pytorch-fid', 'fast')
    """
    return (name.removesuffix(SUFFIX), "fast") if name.endswith(SUFFIX) else (name, "exact")


def in_mode(name: str, mode: Mode) -> str:
    """Return the name, of a metric or of features, in a mode.

    Example:
        >>> in_mode("fid/pytorch-fid", "fast")
        'fid/pytorch-fid.fast'
    """
    return name + SUFFIX if mode == "fast" else name
