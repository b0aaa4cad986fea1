"""How the steps of a block are predicted at once: one after the other, as one batch, or on several devices."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from thbench.accel.denoiser import Repeating, able
from thbench.accel.tree import moved
from thbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from thbench.accel.denoiser import Denoiser
    from thbench.accel.moves import Predict


def times_of(latent: Tensor, time: float) -> Tensor:
    """Return the times (B,) of latents (B, ...): int64 for a whole one, float32 for a fractional one."""
    return torch.full((len(latent),), time, device=latent.device)


@dataclass(frozen=True, slots=True)
class OneByOne:
    """One evaluation for each step; for denoisers that cannot be batched, and where memory is short."""

    def start(self, denoiser: Denoiser, changed: Callable[[Denoiser], Denoiser]) -> Predict:
        """Return the function that predicts a block."""
        del changed
        return lambda latents, times, condition, deep: [
            denoiser.shallow(latent, times_of(latent, time), condition, deep)
            for latent, time in zip(latents, times, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Batched:
    """One evaluation of all steps as a batch."""

    def start(self, denoiser: Denoiser, changed: Callable[[Denoiser], Denoiser]) -> Predict:
        """Return the function that predicts a block.

        Raises:
            MethodError: The denoiser is not `Repeating`.
        """
        del changed
        repeating = able(denoiser, Repeating, "prediction of several steps as one batch")  # type: ignore[type-abstract]

        def predict(latents: list[Tensor], times: list[float], condition: Any, deep: Any) -> list[Tensor]:
            count = len(latents)
            told, entered = repeating.repeated(condition, deep, count)
            # The copies of a clip lie together, so that the two halves of guidance stay the two halves of the batch.
            z = torch.stack(latents, dim=1).flatten(0, 1)
            t = torch.cat([times_of(z[:1], time) for time in times]).repeat(len(latents[0]))
            predicted = denoiser.shallow(z, t, told, entered)
            return list(predicted.view(-1, count, *predicted.shape[1:]).unbind(1))

        return predict


@dataclass(frozen=True, slots=True)
class Replicas:
    """Each device predicts some of the steps, all at the same time."""

    copies: Sequence[tuple[Denoiser, torch.device]]
    """A denoiser on each device, with equal weights; conditions and latents travel to it and predictions back."""

    def __post_init__(self) -> None:
        if not self.copies:
            raise UsageError("no device was given to predict steps on; give at least one copy of the denoiser")

    def start(self, denoiser: Denoiser, changed: Callable[[Denoiser], Denoiser]) -> Predict:
        """Return the function that predicts a block."""
        del denoiser
        copies = [(changed(copy), device) for copy, device in self.copies]
        gradients, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

        def predict(latents: list[Tensor], times: list[float], condition: Any, deep: Any) -> list[Tensor]:
            def on_device(number: int) -> list[Tensor]:
                copy, device = copies[number]
                own = list(zip(latents, times, strict=True))[number :: len(copies)]
                # A thread starts with gradients, whatever the caller's setting.
                with torch.set_grad_enabled(gradients), torch.inference_mode(inference):
                    told, entered = moved((condition, deep), device)
                    return [
                        copy.shallow(z.to(device), times_of(z, time).to(device), told, entered).to(z.device)
                        for z, time in own
                    ]

            busy = min(len(copies), len(latents))
            with ThreadPoolExecutor(busy) as pool:
                parts = list(pool.map(on_device, range(busy)))
            return [parts[index % len(copies)][index // len(copies)] for index in range(len(latents))]

        return predict
