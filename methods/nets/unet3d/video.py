"""The UNet over video: a face-located first feature, the whole pass and the pass of the last up layer alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from thbench_methods.nets.unet3d.layout import clips, images
from thbench_methods.nets.unet3d.unet import UNet

if TYPE_CHECKING:
    from torch import Tensor


class Located(Protocol):
    """A condition that says where the face is."""

    @property
    def locator(self) -> Tensor:
        """Shape (B, channels, F, h, w), or with 1 in the place of F."""
        ...


ConditionT = TypeVar("ConditionT", bound=Located)


class VideoUNet(UNet, Generic[ConditionT]):
    """A denoiser of latent video; a method says how its condition is laid out for its stages."""

    def call(self, condition: ConditionT, frames: int) -> Any:
        """Return what the stages want to know of a forward pass over clips of so many frames."""
        raise NotImplementedError

    def full(self, z: Tensor, t: Tensor, condition: ConditionT) -> tuple[Tensor, Tensor]:
        """Return the prediction, and what enters the last up layer.

        Args:
            z: Noisy latents (B, latent, F, h, w).
            t: Times, shape () or (B,).
            condition: Of the same batch.

        Returns:
            Prediction (B, latent, F, h, w), and the input of the last up layer without its skip (B, channels, F, h, w).
        """
        first, time, call = self._enter(z, t, condition)
        deep = self.trunk(first, time, call)
        return clips(self.head(deep, first, time, call), z.shape[2]), clips(deep, z.shape[2])

    def shallow(self, z: Tensor, t: Tensor, condition: ConditionT, deep: Tensor) -> Tensor:
        """Return the prediction of the last up layer alone, from what entered it in a full pass."""
        first, time, call = self._enter(z, t, condition)
        return clips(self.head(images(deep), first, time, call), z.shape[2])

    def _enter(self, z: Tensor, t: Tensor, condition: ConditionT) -> tuple[Tensor, Tensor, Any]:
        frames = z.shape[2]
        first = images(clips(self.conv_in(images(z)), frames) + condition.locator)
        return first, self.time_embedding(t.reshape(-1)), self.call(condition, frames)
