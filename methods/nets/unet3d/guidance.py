"""Classifier-free guidance of a denoiser that is given [unconditional | conditional] as one batch.

Source: Ho and Salimans, "Classifier-Free Diffusion Guidance", 2022, equation 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import torch

if TYPE_CHECKING:
    from torch import Tensor

ConditionT = TypeVar("ConditionT", contravariant=True)
DeepT = TypeVar("DeepT")
WholeT = TypeVar("WholeT")


class Denoiser(Protocol[ConditionT, DeepT]):
    """A network that can run whole, or its last layer alone."""

    def full(self, z: Tensor, t: Tensor, condition: ConditionT, /) -> tuple[Tensor, DeepT]:
        """Return the prediction, and what enters the last up layer."""
        ...

    def shallow(self, z: Tensor, t: Tensor, condition: ConditionT, deep: DeepT, /) -> Tensor:
        """Return the prediction of the last up layer alone, from what entered it earlier."""
        ...


@dataclass(frozen=True, slots=True)
class Guided(Generic[WholeT, DeepT]):
    """The same for latents without the pair: both halves are run together and joined."""

    denoiser: Denoiser[WholeT, DeepT]
    """Takes conditions of a pair."""
    scale: float
    """0 is unconditional, 1 conditional."""

    def full(self, z: Tensor, t: Tensor, condition: WholeT) -> tuple[Tensor, DeepT]:
        """Return the guided prediction, and what enters the last up layer of both halves.

        Args:
            z: Noisy latents (B, latent, F, h, w).
            t: Times, shape () or (B,).
            condition: Of the pair, 2 B.
        """
        prediction, deep = self.denoiser.full(*_twice(z, t), condition)
        return self._join(prediction), deep

    def shallow(self, z: Tensor, t: Tensor, condition: WholeT, deep: DeepT) -> Tensor:
        """Return the guided prediction of the last up layer alone."""
        return self._join(self.denoiser.shallow(*_twice(z, t), condition, deep))

    def _join(self, prediction: Tensor) -> Tensor:
        plain, led = prediction.chunk(2)
        return plain + self.scale * (led - plain)


def is_guided(scale: float) -> bool:
    """Return whether both halves are run; as published, scales up to 1 run the conditional half alone."""
    return scale > 1


def with_guidance(denoiser: Denoiser[WholeT, DeepT], scale: float) -> Denoiser[WholeT, DeepT]:
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
