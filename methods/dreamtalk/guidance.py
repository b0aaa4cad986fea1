"""DreamTalk's denoiser under classifier-free guidance of the style, as the sampler loop takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from thbench_methods.dreamtalk.networks import Condition

from thbench.accel.tree import mapped

if TYPE_CHECKING:
    from thbench_methods.dreamtalk.networks import NoisePredictor
    from torch import Tensor

    Deep = Any


@dataclass(frozen=True, slots=True)
class Guided:
    """Predicts clean expression; a scale of 1 needs one pass instead of two.

    Its condition is the styled one; what is kept for cached steps is the decoders' input of each pass: the one under
    the style, and the one under no style if there is any.
    """

    network: NoisePredictor
    null_style: Tensor
    """Shape (1, width), from `DiffusionNet.null_style`."""
    scale: float
    """0 has no style, 1 has the style, more exaggerates it."""

    def full(self, z: Tensor, t: Tensor, condition: Condition) -> tuple[Tensor, Deep]:
        """Return the guided prediction of (N, frames, motion), and what cached steps start from."""
        passes = [self.network.full(z, t, one) for one in self._conditions(condition)]
        return self._guided([prediction for prediction, _ in passes]), [deep for _, deep in passes]

    def shallow(self, z: Tensor, t: Tensor, condition: Condition, deep: Deep) -> Tensor:
        """Return the guided prediction by the last layers alone."""
        pairs = zip(self._conditions(condition), deep, strict=True)
        return self._guided([self.network.shallow(z, t, one, kept) for one, kept in pairs])

    def repeated(self, condition: Condition, deep: Deep, times: int) -> tuple[Condition, Deep]:
        """Return condition and what is kept, for latents whose rows are each repeated, the copies of a row together."""
        rows, frames = condition.content.shape[:2]

        def several(kept: Tensor) -> Tensor:
            clips = kept.reshape(len(kept), rows, frames, *kept.shape[2:])
            return clips.repeat_interleave(times, dim=1).flatten(1, 2)

        more = mapped(condition, lambda tensor: tensor.repeat_interleave(times, dim=0))
        return more, None if deep is None else mapped(deep, several)

    def _conditions(self, condition: Condition) -> list[Condition]:
        """What is run: under the style, and under none where the scale asks for it."""
        if self.scale == 1:
            return [condition]
        return [condition, Condition(condition.content, self.null_style.expand_as(condition.style))]

    def _guided(self, predictions: list[Tensor]) -> Tensor:
        if len(predictions) == 1:
            return predictions[0]
        styled, plain = predictions
        return torch.lerp(plain, styled, self.scale)
