"""Classifier-free guidance of a denoiser that is given [unconditional | conditional] as one batch.

Source: Ho and Salimans, "Classifier-Free Diffusion Guidance", 2022, equation 6.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import torch

from thbench.accel.denoiser import Cuttable, Denoiser, Focusing, ReferenceReading, Repeating, able

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from torch import Tensor

AbilityT = TypeVar("AbilityT")


@runtime_checkable
class Halving(Protocol):
    """A denoiser whose condition [unconditional | conditional] can be halved."""

    def conditional(self, condition: Any, /) -> Any:
        """Return the conditional half of a condition."""
        ...


@dataclass(frozen=True, slots=True)
class Guided:
    """The same for latents without the pair: both halves are run together and joined.

    What else the denoiser can do (`thbench.accel.denoiser`), it can do under guidance.
    """

    denoiser: Denoiser
    """Takes conditions of a pair."""
    scale: float
    """0 is unconditional, 1 conditional."""

    def full(self, z: Tensor, t: Tensor, condition: Any) -> tuple[Tensor, Any]:
        """Return the guided prediction, and what enters the last up layer of both halves.

        Args:
            z: Noisy latents (B, latent, F, h, w).
            t: Times, shape () or (B,).
            condition: Of the pair, 2 B.
        """
        prediction, deep = self.denoiser.full(*_twice(z, t), condition)
        return self._join(prediction), deep

    def shallow(self, z: Tensor, t: Tensor, condition: Any, deep: Any) -> Tensor:
        """Return the guided prediction of the last up layer alone."""
        return self._join(self.denoiser.shallow(*_twice(z, t), condition, deep))

    def repeated(self, condition: Any, deep: Any, times: int) -> tuple[Any, Any]:
        """Return condition and `deep` for latents whose rows are each repeated; each half keeps its place."""
        return self._able(Repeating).repeated(condition, deep, times)  # type: ignore[type-abstract]

    def cut(self, layers: int) -> Guided:
        """Return the same with a shallow pass of the last `layers` up layers."""
        return replace(self, denoiser=self._able(Cuttable).cut(layers))  # type: ignore[type-abstract]

    def decoder(self) -> Guided:
        """Return the same with a shallow pass of everything behind the down and middle blocks."""
        return replace(self, denoiser=self._able(Cuttable).decoder())  # type: ignore[type-abstract]

    def focused(self, foreground: Tensor, attentions: Collection[str] = ()) -> Guided:
        """Return the same with a last layer that attends in the foreground (h, w) of the latent only."""
        return replace(self, denoiser=self._able(Focusing).focused(foreground, attentions))  # type: ignore[type-abstract]

    @property
    def reference_places(self) -> Sequence[str]:
        """Where features of a reference image are read."""
        return self._able(ReferenceReading).reference_places  # type: ignore[type-abstract]

    def without_reference(self, condition: Any, places: Collection[str]) -> Any:
        """Return the condition without the features of some places."""
        return self._able(ReferenceReading).without_reference(condition, places)  # type: ignore[type-abstract]

    def with_cached_guidance(self) -> CachedGuidance:
        """Return the same, able to run its conditional half alone."""
        return CachedGuidance(self.denoiser, self.scale)

    def _join(self, prediction: Tensor) -> Tensor:
        plain, led = prediction.chunk(2)
        return plain + self.scale * (led - plain)

    def _able(self, ability: type[AbilityT]) -> AbilityT:
        return able(self.denoiser, ability, ability.__name__)


class Led(NamedTuple):
    """What is kept of a pass under guidance."""

    deep: Any
    """The denoiser's own, of both halves or of the conditional one."""
    difference: Tensor
    """Conditional less unconditional prediction of the last pass of both, (B, latent, F, h, w)."""
    half: bool
    """`deep` is of the conditional half."""


@dataclass(frozen=True, slots=True)
class CachedGuidance:
    """Guidance whose unconditional half can be left out; what it made of the prediction before is used again.

    Source: Lv et al., "FasterCache", ICLR 2025, CFG-Cache; here without its weights for low and high frequencies, both
    of which are 1.
    """

    denoiser: Denoiser
    """Takes conditions of a pair, and of its conditional half."""
    scale: float
    """0 is unconditional, 1 conditional."""

    def full(self, z: Tensor, t: Tensor, condition: Any) -> tuple[Tensor, Led]:
        """Return the guided prediction of both halves, and what is kept."""
        prediction, deep = self.denoiser.full(*_twice(z, t), condition)
        plain, led = prediction.chunk(2)
        return plain + self.scale * (led - plain), Led(deep, led - plain, half=False)

    def led(self, z: Tensor, t: Tensor, condition: Any, deep: Led) -> tuple[Tensor, Led]:
        """Return the prediction of the conditional half, guided as before, and what is kept."""
        led, own = self.denoiser.full(z, t, self._half(condition))
        return self._guided(led, deep), Led(own, deep.difference, half=True)

    def shallow(self, z: Tensor, t: Tensor, condition: Any, deep: Led) -> Tensor:
        """Return the prediction of the last layer alone, of as many halves as the last pass had."""
        if deep.half:
            return self._guided(self.denoiser.shallow(z, t, self._half(condition), deep.deep), deep)
        plain, led = self.denoiser.shallow(*_twice(z, t), condition, deep.deep).chunk(2)
        return plain + self.scale * (led - plain)

    def repeated(self, condition: Any, deep: Led, times: int) -> tuple[Any, Led]:
        """Return condition and what is kept, for latents whose rows are each repeated."""
        repeating = able(self.denoiser, Repeating, "prediction of several steps as one batch")  # type: ignore[type-abstract]
        if not deep.half:
            told, own = repeating.repeated(condition, deep.deep, times)
        else:
            # The halves are told apart by `shallow`, which is given the condition of the pair.
            told, _ = repeating.repeated(condition, None, times)
            _, own = repeating.repeated(self._half(condition), deep.deep, times)
        return told, Led(own, deep.difference.repeat_interleave(times, dim=0), deep.half)

    @property
    def reference_places(self) -> Sequence[str]:
        """Where features of a reference image are read."""
        return able(self.denoiser, ReferenceReading, "reference removal").reference_places  # type: ignore[type-abstract]

    def without_reference(self, condition: Any, places: Collection[str]) -> Any:
        """Return the condition without the features of some places."""
        reading = able(self.denoiser, ReferenceReading, "reference removal")  # type: ignore[type-abstract]
        return reading.without_reference(condition, places)

    def cut(self, layers: int) -> CachedGuidance:
        """Return the same with a shallow pass of the last `layers` up layers."""
        return replace(self, denoiser=able(self.denoiser, Cuttable, "DeepCache").cut(layers))  # type: ignore[type-abstract]

    def decoder(self) -> CachedGuidance:
        """Return the same with a shallow pass of everything behind the down and middle blocks."""
        return replace(self, denoiser=able(self.denoiser, Cuttable, "Faster Diffusion").decoder())  # type: ignore[type-abstract]

    def focused(self, foreground: Tensor, attentions: Collection[str] = ()) -> CachedGuidance:
        """Return the same with a last layer that attends in the foreground (h, w) of the latent only."""
        focusing = able(self.denoiser, Focusing, "foreground attention")  # type: ignore[type-abstract]
        return replace(self, denoiser=focusing.focused(foreground, attentions))

    def _guided(self, led: Tensor, deep: Led) -> Tensor:
        # plain + scale (led - plain), with the difference of before in the place of led - plain.
        return led + (self.scale - 1) * deep.difference

    def _half(self, condition: Any) -> Any:
        return able(self.denoiser, Halving, "a pass of the conditional half alone").conditional(condition)  # type: ignore[type-abstract]


def is_guided(scale: float) -> bool:
    """Return whether both halves are run; as published, scales up to 1 run the conditional half alone."""
    return scale > 1


def with_guidance(denoiser: Denoiser, scale: float) -> Denoiser:
    """Return the denoiser under guidance of a scale, or as it is where there is none."""
    return Guided(denoiser, scale) if is_guided(scale) else denoiser


def paired(led: Tensor, plain: Tensor | None = None, *, guided: bool) -> Tensor:
    """Return [unconditional | conditional], or the conditional rows alone where there is no guidance.

    Args:
        led: The conditional rows.
        plain: The unconditional ones; zeros unless stated.
        guided: Whether both halves are run.
    """
    return torch.cat((torch.zeros_like(led) if plain is None else plain, led)) if guided else led


def _twice(z: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    return torch.cat((z, z)), torch.cat((t, t)) if t.ndim else t
