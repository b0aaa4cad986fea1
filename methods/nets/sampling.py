"""The sampling loop: a sampler's steps around a denoiser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor


class Sampler(Protocol):
    """Which times are visited, and how a latent moves from one to the next."""

    @property
    def times(self) -> Sequence[float]:
        """What the network is told, in the order visited."""
        ...

    def step(self, index: int, latent: Tensor, prediction: Tensor, /) -> Tensor:
        """Return the latent after step `index`, from what the network made of it."""
        ...


def sample(sampler: Sampler, denoise: Callable[[Tensor, float], Tensor], noise: Tensor) -> Tensor:
    """Denoise from pure noise.

    Args:
        sampler: Which steps to take.
        denoise: Latent and time to the prediction.
        noise: The latent to start from.
    """
    latent = noise
    for index, time in enumerate(sampler.times):
        latent = sampler.step(index, latent, denoise(latent, time))
    return latent
