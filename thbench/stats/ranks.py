"""Rank groups: those that are not told apart share a rank."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


def rank_groups(names: Sequence[Name], better: Callable[[Name, Name], bool]) -> dict[Name, int]:
    """Ranks from 1; two that are not told apart always share one.

    If a is not told apart from b, nor b from c, all three share a rank, though a may be told apart from c: a cut lies
    only where everyone above is told apart from everyone below. Groups are the strongly connected components of "is not
    told to be worse than", which are always in one order, even where pairs of clips differ so that comparisons run in a
    circle. The clusters of the WMT shared tasks (Bojar et al. 2014, section 3) are the same.

    Args:
        names: Who competes.
        better: Whether the first is told apart from the second and better; never true both ways.

    Returns:
        Name to rank: 1 + the number of those in better groups.

    Example:
        >>> rank_groups([1, 2, 9], lambda a, b: a + 1 < b)
        {1: 1, 2: 1, 9: 3}
    """
    reaches = {a: {b for b in names if not better(b, a)} for a in names}
    for middle in names:
        for a in names:
            if middle in reaches[a]:
                reaches[a] |= reaches[middle]
    return {a: 1 + sum(a in reaches[b] and b not in reaches[a] for b in names) for a in names}
