"""A2V-FDM: sound, pose and blinks to the motion of a whole clip, by diffusion of flow and occlusion.

Source: DAWN, section 3.3; Hanbo-Cheng/DAWN-pytorch, DM_3/modules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from thbench_methods.dawn.config import PUBLISHED_SPACE
from thbench_methods.dawn.lfg.blocks import coordinate_grid
from thbench_methods.dawn.lfg.flow import Flow
from thbench_methods.dawn.schedule import NoiseSchedule, cosine_schedule
from thbench_methods.dawn.unet import TOLD, UNet
from thbench_methods.nets.unet3d.guidance import Guided
from torch import Tensor, nn

from thbench.accel import sample
from thbench.accel.plans import EveryStep

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from thbench_methods.dawn.config import MotionSpace, UNetSizes
    from thbench_methods.dawn.schedule import StochasticDDIM
    from thbench_methods.dawn.unet import Condition

    from thbench.accel import Plan, Step

EVERY_STEP = EveryStep()


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

    def sample(
        self,
        sampler: StochasticDDIM,
        condition: Condition,
        initial: Tensor,
        guidance: float = 1.0,
        untold: Sequence[str] = TOLD,
        plan: Plan = EVERY_STEP,
        on_step: Callable[[Step], None] | None = None,
    ) -> Tensor:
        """Return clean motion of whole clips.

        Args:
            sampler: Which steps to take.
            condition: What the motion depends on.
            initial: Standard normal numbers, shape (N, 3, F, h, w).
            guidance: Scale; 1 is none.
            untold: What guidance goes away from is told nothing of these.
            plan: What of the network runs at each step.
            on_step: Told of each step.
        """
        if guidance == 1:
            return sample(self.denoise_fn, sampler, initial, condition, plan, on_step)
        return sample(Guided(self.denoise_fn, guidance), sampler, initial, condition.paired(untold), plan, on_step)


def flow_of(motion: Tensor, space: MotionSpace = PUBLISHED_SPACE) -> Flow:
    """Return the flows of N F frames, clip by clip, of motion (N, 3, F, h, w)."""
    frames = motion.transpose(1, 2).flatten(0, 1)
    moved = frames[:, :2].movedim(1, 3) / space.gain
    grid = coordinate_grid(frames, centred=space.centred)
    occlusion = (frames[:, 2:] + 1) / 2
    return Flow(moved + grid if space.residual else moved, occlusion.clamp(0, 1) if space.clamped else occlusion)


def motion_of(flow: Flow, clips: int, space: MotionSpace = PUBLISHED_SPACE) -> Tensor:
    """Undo `flow_of`."""
    places = flow.optical_flow
    grid = coordinate_grid(flow.occlusion_map, centred=space.centred)
    moved = (places - grid if space.residual else places) * space.gain
    frames = torch.cat((moved.movedim(3, 1), 2 * flow.occlusion_map - 1), dim=1)
    return frames.view(clips, -1, *frames.shape[1:]).transpose(1, 2)
