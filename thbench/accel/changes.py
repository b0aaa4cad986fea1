"""What a plan alters beside its moves. Needs no torch until it is used.

Source: Long et al., "Lightning Fast Caching-based Parallel Denoising Prediction", AAAI 2026, for foreground attention
and reference removal; Ma et al., "DeepCache", CVPR 2024; Li et al., "Faster Diffusion", NeurIPS 2024; Lv et al.,
"FasterCache", ICLR 2025, for cached guidance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thbench.accel.moves import Change, Kind, Move
from thbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from thbench.accel.denoiser import Denoiser, Schedule

STAGES = {"reference": "attentions", "audio": "audio_modules", "temporal": "motion_modules"}
"""Attentions of the last up layer: reference attention, self-attention of the audio module, temporal attentions."""


@dataclass(frozen=True, slots=True)
class ForegroundAttention(Change):
    """Decoupled foreground attention (DFA): between full passes, the last layer attends in the foreground only.

    Foreground tokens are gathered, attend to each other and to the foreground of the reference, and are put back; the
    background keeps its outputs of the last full pass. With a mask of all ones this is full attention.
    """

    foreground: Tensor
    """Shape (h, w) of the latent, bool; `thbench.accel.masks.foreground` makes it of a portrait's mask."""
    attentions: tuple[str, ...] = tuple(STAGES)
    """Which attentions are restricted: names of `STAGES`."""

    def __post_init__(self) -> None:
        unknown = [name for name in self.attentions if name not in STAGES]
        if unknown or not self.attentions:
            raise UsageError(f"foreground attention in {list(self.attentions)}; allowed are some of {list(STAGES)}")
        if self.foreground.ndim != 2 or str(self.foreground.dtype) != "torch.bool":
            raise UsageError(
                f"a foreground of shape {tuple(self.foreground.shape)} and type {self.foreground.dtype}; it must be "
                "(height, width) of the latent and bool"
            )

    def denoiser(self, denoiser: Denoiser) -> Denoiser:
        """Return the denoiser with a last layer that attends in the foreground."""
        from thbench.accel.denoiser import Focusing, able

        focusing = able(denoiser, Focusing, "foreground attention")  # type: ignore[type-abstract]
        return focusing.focused(self.foreground, [STAGES[name] for name in self.attentions])


@dataclass(frozen=True, slots=True)
class ReferenceRemoval(Change):
    """Some layers read no reference at some steps.

    There the conditional and the unconditional half do the same, and the networks then skip the second attention that
    the published code makes for the unconditional half.
    """

    places: Sequence[str] | None = None
    """Names of layers as in the denoiser's `reference_places`; None for the last one, which is all that the paper's
    operation counts leave room for."""
    steps: frozenset[int] | None = None
    """Steps at which they read none; None for all that are not key steps."""

    def denoiser(self, denoiser: Denoiser) -> Denoiser:
        """Return the denoiser as it is, if it reads a reference at all."""
        from thbench.accel.denoiser import ReferenceReading, able

        able(denoiser, ReferenceReading, "reference removal")  # type: ignore[type-abstract]
        return denoiser

    def condition(self, denoiser: Denoiser, condition: Any, move: Move) -> Any:
        """Return the condition without features at these layers, if the move is one of those steps.

        Raises:
            UsageError: A layer is unknown.
        """
        from thbench.accel.denoiser import ReferenceReading, able

        if not self._concerns(move):
            return condition
        reading = able(denoiser, ReferenceReading, "reference removal")  # type: ignore[type-abstract]
        known = reading.reference_places
        places = known[-1:] if self.places is None else self.places
        unknown = sorted(set(places) - set(known))
        if unknown:
            raise UsageError(f"no reference is read at {', '.join(unknown)}; layers that read one: {', '.join(known)}")
        return reading.without_reference(condition, places)

    def _concerns(self, move: Move) -> bool:
        if self.steps is None:
            return move.kind is Kind.SHALLOW
        inside = [step in self.steps for step in range(move.first, move.first + move.count)]
        if any(inside) != all(inside):
            raise UsageError(
                f"steps {move.first} to {move.first + move.count - 1} are predicted at once, but only some of them are "
                "without reference; use blocks of 1 step or list all of them"
            )
        return all(inside)


@dataclass(frozen=True, slots=True)
class Cut(Change):
    """The shallow pass runs more up layers than the last one, and the down layers whose skips they take (DeepCache)."""

    layers: int
    """How many up layers; 1 is the last one alone."""

    def __post_init__(self) -> None:
        if self.layers < 1:
            raise UsageError(f"a shallow pass of {self.layers} up layers; at least 1 is allowed")

    def denoiser(self, denoiser: Denoiser) -> Denoiser:
        """Return the denoiser, cut there."""
        from thbench.accel.denoiser import Cuttable, able

        return able(denoiser, Cuttable, "DeepCache").cut(self.layers)  # type: ignore[type-abstract]


@dataclass(frozen=True, slots=True)
class EncoderPropagation(Change):
    """The shallow pass runs all of the decoder, on the encoder's features of the key step (Faster Diffusion).

    The latent enters through the encoder only, so the shallow pass does not read it: a block of steps can be predicted
    at once without estimates.
    """

    def denoiser(self, denoiser: Denoiser) -> Denoiser:
        """Return the denoiser, cut behind its encoder."""
        from thbench.accel.denoiser import Cuttable, able

        return able(denoiser, Cuttable, "Faster Diffusion").decoder()  # type: ignore[type-abstract]


@dataclass(frozen=True, slots=True)
class PriorNoise(Change):
    """Adds a little of the initial noise to the latent at low times, which restores texture (Faster Diffusion)."""

    weight: float = 0.003
    """Of the initial noise, as published."""
    below: float = 500
    """Steps at times below this one, as published (of 1000)."""

    def schedule(self, schedule: Schedule, noise: Tensor) -> Schedule:
        """Return the schedule with noise added before each such step."""
        return _Textured(schedule, noise, self)


@dataclass(frozen=True, slots=True)
class _Textured:
    inner: Schedule
    noise: Tensor
    prior: PriorNoise

    @property
    def times(self) -> Sequence[float]:
        return self.inner.times

    def step(self, index: int, latent: Tensor, prediction: Tensor) -> Tensor:
        if self.times[index] < self.prior.below:
            latent = latent + self.prior.weight * self.noise
        return self.inner.step(index, latent, prediction)


@dataclass(frozen=True, slots=True)
class CachedGuidance(Change):
    """Lets passes of the conditional half reuse what guidance added at the last pass of both (FasterCache's CFG-Cache).

    Which passes do is the plan's: `thbench.accel.rivals.cached_guidance`.
    """

    def denoiser(self, denoiser: Denoiser) -> Denoiser:
        """Return the denoiser, able to run its conditional half alone."""
        from thbench.accel.denoiser import CachingGuidance, able

        return able(denoiser, CachingGuidance, "cached guidance").with_cached_guidance()  # type: ignore[type-abstract]
