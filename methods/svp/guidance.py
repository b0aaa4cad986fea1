"""Guidance by speech and by style: a weighted sum of what the denoiser predicts of less and more.

    prediction = null + speech (heard - null) + style (styled - heard)

Source: Brooks et al., "InstructPix2Pix", CVPR 2023, equation 3 (two scales); that SVP's style has a scale of its own is
the project's choice. A part whose weight is 0 is not run, so that equal scales cost no more than one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from thbench_methods.nets.unet3d.guidance import Guided

from thbench.accel.denoiser import Cuttable, Denoiser, Focusing, ReferenceReading, Repeating, able

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from torch import Tensor

AbilityT = TypeVar("AbilityT")


class Told(IntEnum):
    """What a row of a batch is told."""

    NULL = 0
    """Nothing: no portrait, no speech, no key points, no style."""
    HEARD = 1
    """Everything but the style."""
    STYLED = 2
    """Everything."""


def weights_of(speech: float, style: float) -> dict[Told, float]:
    """Return the weights of the parts that are run, which sum to 1.

    Args:
        speech: Scale of the guidance by speech and portrait; 1 is none.
        style: Scale of the guidance by style; 0 leaves the style out.
    """
    weights = {Told.NULL: 1 - speech, Told.HEARD: speech - style, Told.STYLED: style}
    return {part: weight for part, weight in weights.items() if weight}


def with_weights(denoiser: Denoiser, weights: Mapping[Told, float]) -> Denoiser:
    """Return the denoiser under guidance; conditions are of all parts, in their order.

    Of two parts the result is guidance as the other methods have it, with all its abilities.
    """
    values = tuple(weights.values())
    if len(values) == 1:
        return denoiser
    return Guided(denoiser, values[1]) if len(values) == 2 else Weighted(denoiser, values)


@dataclass(frozen=True, slots=True)
class Weighted:
    """The same for latents without the parts: all are run as one batch and summed.

    What else the denoiser can do (`thbench.accel.denoiser`), it can do under guidance, but for running one part alone.
    """

    denoiser: Denoiser
    """Takes conditions of all parts."""
    weights: tuple[float, ...]
    """Of each part."""

    def full(self, z: Tensor, t: Tensor, condition: Any) -> tuple[Tensor, Any]:
        """Return the prediction, and what enters the last up layer of all parts.

        Args:
            z: Noisy latents (B, latent, F, h, w).
            t: Times, shape () or (B,).
            condition: Of all parts, (parts B) rows.
        """
        prediction, deep = self.denoiser.full(*self._rows(z, t), condition)
        return self._sum(prediction), deep

    def shallow(self, z: Tensor, t: Tensor, condition: Any, deep: Any) -> Tensor:
        """Return the prediction of the last up layer alone."""
        return self._sum(self.denoiser.shallow(*self._rows(z, t), condition, deep))

    def repeated(self, condition: Any, deep: Any, times: int) -> tuple[Any, Any]:
        """Return condition and `deep` for latents whose rows are each repeated; each part keeps its place."""
        return self._able(Repeating).repeated(condition, deep, times)  # type: ignore[type-abstract]

    def cut(self, layers: int) -> Weighted:
        """Return the same with a shallow pass of the last `layers` up layers."""
        return replace(self, denoiser=self._able(Cuttable).cut(layers))  # type: ignore[type-abstract]

    def decoder(self) -> Weighted:
        """Return the same with a shallow pass of everything behind the down and middle blocks."""
        return replace(self, denoiser=self._able(Cuttable).decoder())  # type: ignore[type-abstract]

    def focused(self, foreground: Tensor, attentions: Collection[str] = ()) -> Weighted:
        """Return the same with a last layer that attends in the foreground (h, w) of the latent only."""
        return replace(self, denoiser=self._able(Focusing).focused(foreground, attentions))  # type: ignore[type-abstract]

    @property
    def reference_places(self) -> Sequence[str]:
        """Where features of a reference image are read."""
        return self._able(ReferenceReading).reference_places  # type: ignore[type-abstract]

    def without_reference(self, condition: Any, places: Collection[str]) -> Any:
        """Return the condition without the features of some places."""
        return self._able(ReferenceReading).without_reference(condition, places)  # type: ignore[type-abstract]

    def _rows(self, z: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        count = len(self.weights)
        return torch.cat([z] * count), torch.cat([t] * count) if t.ndim else t

    def _sum(self, prediction: Tensor) -> Tensor:
        parts = prediction.chunk(len(self.weights))
        total = self.weights[0] * parts[0]
        for weight, part in zip(self.weights[1:], parts[1:], strict=True):
            total = total + weight * part
        return total

    def _able(self, ability: type[AbilityT]) -> AbilityT:
        return able(self.denoiser, ability, ability.__name__)
