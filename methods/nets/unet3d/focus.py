"""Attention in the foreground only: where the attentions of a layer act, and what they keep for the background.

Source: Long et al., "Lightning Fast Caching-based Parallel Denoising Prediction", AAAI 2026, Decoupled Foreground
Attention. An attention hands its tokens and itself to an `Attend`, which may gather some of the tokens, attend, and put
the outputs that it kept at the last full pass in the place of the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import torch

Choose = Callable[[Tensor], Tensor]
"""Rows (N, L, ...) of some pixels to the rows of those that are attended with."""
Run = Callable[[Tensor, Choose], Tensor]
"""An attention: chosen tokens (N, L', ...), and what chooses among everything else, to outputs (N, L', ...)."""


class Attend(Protocol):
    """Runs the attentions of one stage."""

    def __call__(self, name: str, tokens: Tensor, run: Run, /) -> Tensor:
        """Return the outputs (N, L, ...) of an attention over tokens (N, L, ...), whose second axis is pixels."""
        ...


class Focus(Protocol):
    """Where the attentions of a layer act."""

    def at(self, place: str, /) -> Attend:
        """Return what runs the attentions of the stage at a place."""
        ...


def everywhere(name: str, tokens: Tensor, run: Run) -> Tensor:
    """Run an attention over all tokens."""
    del name
    return run(tokens, _all)


def attend_at(focus: Focus | None, place: str) -> Attend:
    """Return what runs the attentions of the stage at a place; over all tokens where there is no focus."""
    return everywhere if focus is None else focus.at(place)


@dataclass(frozen=True, slots=True)
class Foreground:
    """Pixels of a picture, by number in reading order."""

    inside: Tensor
    """Shape (L',), int64."""
    outside: Tensor
    """Shape (L - L',), int64: the others."""
    stages: frozenset[str] = frozenset()
    """Stages whose attentions act in the foreground only; none stated are all."""

    @classmethod
    def of(cls, mask: Tensor, stages: Iterable[str] = ()) -> Foreground:
        """Return the pixels of a mask (h, w), bool."""
        flat = mask.flatten()
        return cls(flat.nonzero()[:, 0], (~flat).nonzero()[:, 0], frozenset(stages))

    def to(self, device: torch.device) -> Foreground:
        """Return the same pixels with their numbers on a device."""
        return replace(self, inside=self.inside.to(device), outside=self.outside.to(device))

    def fits(self, tokens: Tensor) -> bool:
        """Return whether tokens (N, L, ...) are of a picture of this size; those of lower levels are not."""
        return tokens.shape[1] == len(self.inside) + len(self.outside)

    def covers(self, place: str) -> bool:
        """Return whether the attentions at a place act in the foreground only."""
        return not self.stages or place.split(".")[-2] in self.stages

    def choose(self, rows: Tensor) -> Tensor:
        """Return the foreground's rows (N, L', ...) of (N, L, ...)."""
        return rows.index_select(1, self.inside)

    def merge(self, fresh: Tensor, kept: Tensor) -> Tensor:
        """Return rows (N, L, ...) of the foreground's (N, L', ...) and the background's (N, L - L', ...)."""
        whole = fresh.new_empty(len(fresh), len(self.inside) + len(self.outside), *fresh.shape[2:])
        return whole.index_copy_(1, self.inside, fresh).index_copy_(1, self.outside, kept)


@dataclass(frozen=True, slots=True)
class Keeping:
    """Attends everywhere and keeps the background's outputs."""

    foreground: Foreground
    kept: dict[str, Tensor] = field(default_factory=dict)
    """Attention to the background's outputs (N, L - L', ...); filled during the pass."""

    def at(self, place: str) -> Attend:
        """Return what runs the attentions of the stage at a place."""
        if not self.foreground.covers(place):
            return everywhere

        def attend(name: str, tokens: Tensor, run: Run) -> Tensor:
            outputs = run(tokens, _all)
            if not self.foreground.fits(tokens):
                return outputs
            self.kept[f"{place}.{name}"] = outputs.index_select(1, self.foreground.outside)
            return outputs

        return attend


@dataclass(frozen=True, slots=True)
class Restricted:
    """Attends in the foreground, by its own tokens; the background keeps its outputs."""

    foreground: Foreground
    kept: Mapping[str, Tensor]
    """Of the last full pass."""

    def at(self, place: str) -> Attend:
        """Return what runs the attentions of the stage at a place."""
        if not self.foreground.covers(place):
            return everywhere

        def attend(name: str, tokens: Tensor, run: Run) -> Tensor:
            if not self.foreground.fits(tokens):
                return run(tokens, _all)
            kept = self.kept[f"{place}.{name}"]
            if not len(self.foreground.inside):
                return kept
            return self.foreground.merge(run(self.foreground.choose(tokens), self.foreground.choose), kept)

        return attend


def _all(rows: Tensor) -> Tensor:
    return rows
