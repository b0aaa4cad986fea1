"""The normal distribution that a variational autoencoder makes of its input."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class Posterior(NamedTuple):
    """Distribution of latents, each number by itself."""

    mean: Tensor
    """Any shape."""
    log_variance: Tensor
    """Of the same shape."""

    def draw(self, noise: Tensor) -> Tensor:
        """Return latents, given standard normal numbers of the same shape (Kingma and Welling 2014, section 2.4)."""
        return self.mean + (self.log_variance / 2).exp() * noise

    def divergence(self) -> Tensor:
        """Return the KL divergence to the standard normal distribution, averaged over all numbers."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance).mean()
