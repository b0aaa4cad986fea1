"""Jobs: one clip and all that is to be made and scored for it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from thbench.run.suite import Variant

OTHER_CLIPS = 10
"""How many other clips lend their sound for chance levels."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Task:
    """One record to be made."""

    key: str
    """Content hash; the record's key."""
    name: str
    """The record's variant."""
    seed: int = 0
    """Seed of the generation."""
    generated: Path | None = None
    """The finished video, when somebody else made it (`thbench eval`)."""
    variant: Variant | None = None
    """What generates the video (`thbench run`)."""
    failure: str | None = None
    """Why there is nothing to score, when that is known beforehand."""


@dataclass(frozen=True, slots=True)
class ClipJob:
    """One clip and its tasks; they share one pass over the reference."""

    clip: str
    """Clip id."""
    identity: str
    """Who speaks."""
    reference: Path | None
    """The reference video."""
    tasks: tuple[Task, ...]
    """What has no record yet."""
    others: tuple[Path, ...] = ()
    """Other clips with sound, for chance levels and shuffled audio; the first is the one shuffled in."""
    seconds: float = 0.0
    """Length of the clip, for progress."""


def others_of(
    clip: str, identities: Mapping[str, str], paths: Mapping[str, T], most: int = OTHER_CLIPS
) -> tuple[T, ...]:
    """Other clips for `clip`: those that follow it in order of names, around the end, other identities first.

    Args:
        clip: Clip id.
        identities: Clip id to identity.
        paths: Clip id to what is wanted of it; clips that are not in it are passed over.
        most: How many at most.
    """
    order: Sequence[str] = sorted(paths)
    start = next((i for i, name in enumerate(order) if name > clip), 0)
    ring = [name for name in itertools.chain(order[start:], order[:start]) if name != clip]
    strangers_first = sorted(ring, key=lambda name: identities[name] == identities[clip])
    return tuple(paths[name] for name in strangers_first[:most])
