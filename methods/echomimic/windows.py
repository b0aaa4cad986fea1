"""How a video of any length is denoised in windows that move from step to step.

Source: antgroup/echomimic, src/pipelines/context.py and pipeline_echo_mimic.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from thbench.accel.denoiser import (
    CachingGuidance,
    Cuttable,
    Denoiser,
    Focusing,
    Led,
    ReferenceReading,
    Repeating,
    able,
)
from thbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from thbench_methods.echomimic.config import Sampling
    from thbench_methods.echomimic.networks import Condition
    from torch import Tensor

Window = tuple[int, ...]
"""Indices of the frames that are denoised together."""


def windows(frames: int, step: int, sampling: Sampling) -> tuple[Window, ...]:
    """Return the windows of one denoising step.

    They start every `window - overlap` frames and go on from the end of the video at its beginning. Each step moves all
    of them by `shift` frames. A video that fits into a window is one window, which is moved too.

    Args:
        frames: Of the video.
        step: 0 for the first.
        sampling: The published settings unless stated.

    Raises:
        UsageError: Windows overlap by their whole length, or the video is empty.
    """
    if frames < 1 or not 0 <= sampling.overlap < sampling.window:
        raise UsageError(
            f"{frames} frames in windows of {sampling.window} that overlap by {sampling.overlap}; allowed are at least "
            "1 frame and an overlap from 0 to below the window"
        )
    moved = step * sampling.shift
    if frames <= sampling.window:
        return (tuple((frame + moved) % frames for frame in range(frames)),)
    starts = range(0, frames, sampling.window - sampling.overlap)
    return tuple(tuple((start + frame + moved) % frames for frame in range(sampling.window)) for start in starts)


def blended(
    z: Tensor, condition: Condition, parts: Sequence[Window], predict: Callable[[Tensor, Condition], Tensor]
) -> Tensor:
    """Return the prediction for a whole video: in each frame the mean over the windows that hold it.

    Args:
        z: Noisy latents (B, latent, F, h, w).
        condition: Of the whole video.
        parts: Windows that cover it.
        predict: Latents and condition of a window to the prediction.
    """
    total, count = torch.zeros_like(z), z.new_zeros(z.shape[2])
    for part in parts:
        index = torch.tensor(part, device=z.device)
        own = replace(condition, audio=condition.audio[:, index])
        total.index_add_(2, index, predict(z[:, :, index], own))
        count.index_add_(0, index, torch.ones_like(index, dtype=count.dtype))
    return total / count[:, None, None]


class Kept(NamedTuple):
    """What a full pass over all windows keeps."""

    parts: tuple[Window, ...]
    """Where they were."""
    deep: tuple[Any, ...]
    """Of each, what the denoiser keeps."""


@dataclass(frozen=True, slots=True)
class Windowed:
    """A denoiser of a whole video, made of one of a window.

    Windows move from step to step; what a full pass keeps belongs to the frames of its windows, so they stand still
    until the next full pass. The paper of LightningCP does not say what it does with them.
    """

    denoiser: Denoiser
    """Of a window, guidance included."""
    times: Sequence[float]
    """Those of the schedule; the number of a step says where its windows are."""
    sampling: Sampling
    """Windows."""
    keeps: bool = True
    """A full pass keeps what the denoiser keeps; False saves the memory of all windows where no later step needs it."""

    def full(self, z: Tensor, t: Tensor, condition: Condition) -> tuple[Tensor, Kept]:
        """Return the prediction for a video (B, latent, F, h, w) at times (B,), all equal, and what is kept."""
        parts = windows(z.shape[2], self.times.index(t[0].item()), self.sampling)
        return self._passed(z, condition, parts, lambda part, own, _: self.denoiser.full(part, t, own))

    def shallow(self, z: Tensor, t: Tensor, condition: Condition, deep: Kept) -> Tensor:
        """Return the prediction of the last layer alone, in the windows of the last full pass."""
        kept = iter(deep.deep)
        return blended(z, condition, deep.parts, lambda part, own: self.denoiser.shallow(part, t, own, next(kept)))

    def led(self, z: Tensor, t: Tensor, condition: Condition, deep: Kept) -> tuple[Tensor, Kept]:
        """Return the prediction of the conditional half, in the windows for which guidance is known."""
        inner = able(self.denoiser, Led, "a pass of the conditional half alone")  # type: ignore[type-abstract]
        return self._passed(
            z, condition, deep.parts, lambda part, own, number: inner.led(part, t, own, deep.deep[number])
        )

    def repeated(self, condition: Condition, deep: Kept, times: int) -> tuple[Condition, Kept]:
        """Return condition and what is kept, for latents whose rows are each repeated."""
        inner = able(self.denoiser, Repeating, "prediction of several steps as one batch")  # type: ignore[type-abstract]
        kept = tuple(inner.repeated(condition, part, times)[1] for part in deep.deep)
        return inner.repeated(condition, None, times)[0], Kept(deep.parts, kept)

    def cut(self, layers: int) -> Windowed:
        """Return the same with a shallow pass of the last `layers` up layers."""
        inner = able(self.denoiser, Cuttable, "DeepCache")  # type: ignore[type-abstract]
        return replace(self, denoiser=inner.cut(layers))

    def decoder(self) -> Windowed:
        """Return the same with a shallow pass of everything behind the down and middle blocks."""
        inner = able(self.denoiser, Cuttable, "Faster Diffusion")  # type: ignore[type-abstract]
        return replace(self, denoiser=inner.decoder())

    def focused(self, foreground: Tensor, attentions: Collection[str] = ()) -> Windowed:
        """Return the same with a last layer that attends in the foreground (h, w) of the latent only."""
        inner = able(self.denoiser, Focusing, "foreground attention")  # type: ignore[type-abstract]
        return replace(self, denoiser=inner.focused(foreground, attentions))

    @property
    def reference_places(self) -> Sequence[str]:
        """Where features of a reference image are read."""
        return able(self.denoiser, ReferenceReading, "reference removal").reference_places  # type: ignore[type-abstract]

    def without_reference(self, condition: Condition, places: Collection[str]) -> Condition:
        """Return the condition without the features of some places."""
        return condition.without_reference(places)

    def with_cached_guidance(self) -> Windowed:
        """Return the same, able to run its conditional half alone."""
        inner = able(self.denoiser, CachingGuidance, "cached guidance")  # type: ignore[type-abstract]
        return replace(self, denoiser=inner.with_cached_guidance())

    def _passed(
        self,
        z: Tensor,
        condition: Condition,
        parts: tuple[Window, ...],
        run: Callable[[Tensor, Condition, int], tuple[Tensor, Any]],
    ) -> tuple[Tensor, Kept]:
        kept: list[Any] = []
        number = 0

        def predict(part: Tensor, own: Condition) -> Tensor:
            nonlocal number
            prediction, deep = run(part, own, number)
            number += 1
            if self.keeps:
                kept.append(deep)
            return prediction

        return blended(z, condition, parts, predict), Kept(parts, tuple(kept))
