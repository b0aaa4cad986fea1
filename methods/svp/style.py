"""The style of a clip: a Gaussian over codes, from expression and speech; and the tokens that a code becomes.

Of the paper (arXiv 2409.03270) are the Gaussian, that it is inferred of paired speech features and 3DMM expression, and
the style projection before the cross-attention; layers and sizes are the project's choice (`config`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from thbench_methods.dreamtalk.networks import AttentionPooling
from thbench_methods.nets.embeddings import position_table
from torch import Tensor, nn

if TYPE_CHECKING:
    from thbench_methods.svp.config import StyleSizes

LOG_VARIANCE = (-8.0, 4.0)
"""Range of the logarithm of the variance."""


class Gaussian(NamedTuple):
    """Distribution of a style."""

    mean: Tensor
    """Shape (N, code)."""
    deviation: Tensor
    """Shape (N, code), above 0."""

    def drawn(self, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """Return codes (N, code) of standard normal noise of that shape; a temperature of 0 gives the mean."""
        return self.mean + temperature * self.deviation * noise

    def towards(self, other: Gaussian, shares: Tensor) -> Gaussian:
        """Return what lies between two styles, linearly in mean and deviation.

        Args:
            other: As many rows as this one.
            shares: Shape (M, 1) or (N, 1): 0 is this one and 1 the other.
        """
        return Gaussian(*(torch.lerp(a, b, shares) for a, b in zip(self, other, strict=True)))

    def divergence(self) -> Tensor:
        """Return the Kullback-Leibler divergence from the standard normal distribution, (N,)."""
        variance = self.deviation.square()
        return 0.5 * (self.mean.square() + variance - 1 - variance.log()).sum(dim=1)

    def distances(self, other: Gaussian) -> Tensor:
        """Return the 2-Wasserstein distance of each row to each row of another, (N, M)."""
        squares = sum(
            (a[:, None] - b[None]).square().sum(dim=-1) for a, b in zip(self, other, strict=True)
        )  # of equal ones exactly 0, whose root has no slope
        return torch.as_tensor(squares).clamp(min=1e-12).sqrt()


class StyleExtractor(nn.Module):
    """Transformer over the expression of a clip that attends to its speech; pooled to mean and variance."""

    positions: Tensor
    prior_mean: Tensor
    prior_root: Tensor
    """Root of the covariance, (code, code), a lower triangle."""
    resting_weight: Tensor
    """Shape (expression, code): of what a code tells of the mean expression."""
    resting_bias: Tensor
    """Shape (expression,)."""

    def __init__(self, sizes: StyleSizes) -> None:
        super().__init__()
        self.exp_in = nn.Linear(sizes.expression, sizes.width)
        self.aud_in = nn.Linear(sizes.audio, sizes.width)
        self.register_buffer("positions", position_table(sizes.longest, sizes.width), persistent=False)
        layer = nn.TransformerDecoderLayer(sizes.width, sizes.heads, sizes.feed_forward, 0.0, batch_first=True)
        self.fusion = nn.TransformerDecoder(layer, sizes.layers)
        self.pool = AttentionPooling(sizes.width)
        self.mu_head = nn.Linear(sizes.width, sizes.code)
        self.logvar_head = nn.Linear(sizes.width, sizes.code)
        self.register_buffer("prior_mean", torch.zeros(sizes.code))
        self.register_buffer("prior_root", torch.eye(sizes.code))
        self.register_buffer("resting_weight", torch.zeros(sizes.expression, sizes.code))
        self.register_buffer("resting_bias", torch.zeros(sizes.expression))

    def forward(self, expression: Tensor, audio: Tensor) -> Gaussian:
        """Return the style of clips.

        Args:
            expression: Shape (N, frames, expression), at least one frame; frames behind the longest are not read.
            audio: Shape (N, frames, audio), of the same frames.
        """
        longest = len(self.positions)
        known, heard = self.exp_in(expression[:, :longest]), self.aud_in(audio[:, :longest])
        places = self.positions[: known.shape[1]]
        fused = self.fusion(known + places, heard + places)
        pooled = self.pool(fused, fused.new_zeros(fused.shape[:2]))
        log_variance = self.logvar_head(pooled).clamp(*LOG_VARIANCE)
        return Gaussian(self.mu_head(pooled), (0.5 * log_variance).exp())

    def sampled(self, noise: Tensor) -> Gaussian:
        """Return styles of standard normal noise (N, code), drawn from the prior; they have no deviation any more.

        The prior is what styles are drawn from where none is given: standard normal until `keep_prior`.
        """
        codes = self.prior_mean + noise @ self.prior_root.T
        return Gaussian(codes, torch.zeros_like(codes))

    def resting(self, codes: Tensor) -> Tensor:
        """Return the mean expressions (..., expression) that codes (..., code) tell, none below 0.

        They are what `keep_resting` was given; 0 before.
        """
        return (codes @ self.resting_weight.T + self.resting_bias).clamp(min=0)

    @torch.no_grad()
    def keep_resting(self, told: nn.Linear) -> None:
        """Take over the map to statistics of expression that was trained with the codes; means lead in it."""
        count = len(self.resting_bias)
        self.resting_weight.copy_(told.weight[:count])
        self.resting_bias.copy_(told.bias[:count])

    @torch.no_grad()
    def keep_prior(self, styles: Gaussian) -> None:
        """Take over mean and covariance of the mixture of all training styles (N, code).

        The divergence draws it to the standard normal distribution, but is weighed too lightly to bring it there. Codes
        of contrast lie in few directions, so that values drawn each by itself would be no style that was ever seen.
        """
        mean, deviation = (part.double() for part in styles)
        self.prior_mean.copy_(mean.mean(dim=0))
        away, within = mean - mean.mean(dim=0), deviation.square().mean(dim=0)
        self.prior_root.copy_(torch.linalg.cholesky(away.T @ away / len(away) + within.diag()))


class StyleProjection(nn.Module):
    """Codes to tokens of the cross-attention."""

    def __init__(self, sizes: StyleSizes, outputs: int) -> None:
        super().__init__()
        self.shape = (sizes.tokens, outputs)
        self.net = nn.Sequential(
            nn.Linear(sizes.code, sizes.hidden),
            nn.SiLU(),
            nn.Linear(sizes.hidden, sizes.hidden),
            nn.SiLU(),
            nn.Linear(sizes.hidden, sizes.tokens * outputs),
        )
        self.norm = nn.LayerNorm(outputs)

    def forward(self, codes: Tensor) -> Tensor:
        """Map codes (..., code) to tokens (..., tokens, outputs)."""
        projected = self.net(codes)
        tokens: Tensor = self.norm(projected.reshape(*projected.shape[:-1], *self.shape))
        return tokens
