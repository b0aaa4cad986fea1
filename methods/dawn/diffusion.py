"""A2V-FDM: sound, pose and blinks to the motion of a whole clip, by diffusion of flow and occlusion.

Source: DAWN, section 3.3; Hanbo-Cheng/DAWN-pytorch, DM_3/modules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from thbench_methods.dawn.lfg.flow import Flow
from thbench_methods.dawn.schedule import NoiseSchedule, StochasticDDIM, cosine_schedule
from thbench_methods.dawn.unet import Condition, UNet, guided
from thbench_methods.nets.sampling import sample
from torch import Tensor, nn

if TYPE_CHECKING:
    from thbench_methods.dawn.config import UNetSizes


class A2VFDM(nn.Module):
    """The denoiser and its noise schedule, as the checkpoint's entry `diffusion` holds them."""

    def __init__(self, sizes: UNetSizes, steps: int = 1000) -> None:
        super().__init__()
        with torch.device("cpu"):  # computed, and kept where the weights are still to come
            schedule = cosine_schedule(steps)
        for name in NoiseSchedule.__slots__:
            self.register_buffer(name, getattr(schedule, name))
        self.denoise_fn = UNet(sizes)

    @property
    def schedule(self) -> NoiseSchedule:
        """The tables of the noise schedule."""
        return NoiseSchedule(**{name: self.get_buffer(name) for name in NoiseSchedule.__slots__})

    def sample(self, sampler: StochasticDDIM, condition: Condition, initial: Tensor, guidance: float = 1.0) -> Tensor:
        """Return clean motion of whole clips.

        Args:
            sampler: Which steps to take.
            condition: What the motion depends on.
            initial: Standard normal numbers, shape (N, 3, F, h, w).
            guidance: Scale, as in `unet.guided`.
        """

        def denoise(motion: Tensor, time: float) -> Tensor:
            times = torch.full((len(motion),), int(time), device=motion.device)
            return guided(self.denoise_fn, guidance, motion, times, condition)

        return sample(sampler, denoise, initial)


def flow_of(motion: Tensor) -> Flow:
    """Return the flows of N F frames, clip by clip, of motion (N, 3, F, h, w)."""
    frames = motion.transpose(1, 2).flatten(0, 1)
    return Flow(frames[:, :2].movedim(1, 3), (frames[:, 2:] + 1) / 2)


def motion_of(flow: Flow, clips: int) -> Tensor:
    """Undo `flow_of`."""
    frames = torch.cat((flow.optical_flow.movedim(3, 1), 2 * flow.occlusion_map - 1), dim=1)
    return frames.view(clips, -1, *frames.shape[1:]).transpose(1, 2)
