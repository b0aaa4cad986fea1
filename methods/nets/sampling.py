"""Sampling with a bare function in place of a denoiser, by the loop of `thbench.accel`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thbench.accel.loop import sample as run
from thbench.errors import MethodError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from thbench.accel.denoiser import Schedule as Sampler


@dataclass(frozen=True, slots=True)
class _Function:
    predict: Callable[[Tensor, float], Tensor]

    def full(self, z: Tensor, t: Tensor, condition: Any) -> tuple[Tensor, None]:
        del condition
        return self.predict(z, t[0].item()), None

    def shallow(self, z: Tensor, t: Tensor, condition: Any, deep: Any) -> Tensor:
        raise MethodError("a bare function has no last layer that could run alone; sample with a denoiser instead")


def sample(sampler: Sampler, denoise: Callable[[Tensor, float], Tensor], noise: Tensor) -> Tensor:
    """Denoise from pure noise, each step in full.

    Args:
        sampler: Which steps to take.
        denoise: Latent and time to the prediction.
        noise: The latent to start from.
    """
    return run(_Function(denoise), sampler, noise, None)
