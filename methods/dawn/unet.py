"""The 3-D U-Net of A2V-FDM, which denoises the motion of all frames of a clip at once.

Source: DAWN, section 3.3; Hanbo-Cheng/DAWN-pytorch, DM_3/modules/video_flow_diffusion_multiGPU_v0_crema_plus_faceemb_
ca_multi_test.py (DynamicNfUnet3D); after Ho et al., "Video Diffusion Models" (2022). Maps are (N, C, F, h, w): clips,
channels, frames, height, width.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from thbench_methods.dawn.attention import RelativePositionBias, Rotary, TemporalAttention
from thbench_methods.dawn.unet_blocks import (
    ConditionedBlock,
    Context,
    FrameConv,
    FrameConvTranspose,
    FullSpatialAttention,
    OverFrames,
    OverPixels,
    ResidualBlock,
    SpatialLinearAttention,
    by_frame,
    normed,
)
from thbench_methods.nets.embeddings import angles, frequencies
from torch import Tensor, nn

from thbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thbench_methods.dawn.config import UNetSizes

TOLD = ("audio", "pose", "blink")
"""What is told of each frame."""
KERNEL, STRIDE, PADDING = (1, 4, 4), (1, 2, 2), (0, 1, 1)
"""Of the convolutions that change the size."""


class Condition(NamedTuple):
    """What the motion of N clips of F frames depends on."""

    source_feature: Tensor
    """Shape (N, 256, h, w): the portrait, as the latent flow generator sees it."""
    face_mask_feature: Tensor
    """Shape (N, 16, h, w): where its face is."""
    audio: Tensor
    """Shape (N, F, 1024): sound at each frame."""
    pose: Tensor
    """Shape (N, F, 6): yaw, pitch, roll, scale and translation, less those of the portrait."""
    blink: Tensor
    """Shape (N, F, 2): openings of the eyes, less those of the portrait."""

    def null(self, untold: Sequence[str] = TOLD) -> Condition:
        """Return the condition that says nothing of some of sound, pose and blinks."""
        return self._replace(**{name: torch.zeros_like(getattr(self, name)) for name in untold})

    def paired(self, untold: Sequence[str] = TOLD) -> Condition:
        """Return twice as many clips: those of `null`, then these."""
        return Condition(*(torch.cat(pair) for pair in zip(self.null(untold), self, strict=True)))

    def between(self, start: int, stop: int) -> Condition:
        """Return the condition of the frames from `start` to before `stop`."""
        part = {name: getattr(self, name)[:, start:stop] for name in TOLD}
        return self._replace(**part)


class TimeEmbedding(nn.Module):
    """Sines, then cosines, of the diffusion time."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, time: Tensor) -> Tensor:
        """Map times (N,) to (N, width)."""
        turns = angles(time, frequencies(self.width // 2, reach_base=True).to(time.device))
        return torch.cat((turns.sin(), turns.cos()), dim=-1)


class Level(nn.ModuleList):
    """Two conditioned blocks, spatial and temporal attention, and a change of size; numbered as in the checkpoint."""

    def __init__(self, inputs: int, outputs: int, sizes: UNetSizes, rotary: Rotary, resample: nn.Module) -> None:
        spatial = SpatialLinearAttention(outputs, sizes.heads, sizes.head_width)
        super().__init__(
            [
                ConditionedBlock(inputs, outputs, sizes),
                ConditionedBlock(outputs, outputs, sizes),
                normed(outputs, spatial),
                normed(outputs, OverFrames(TemporalAttention(outputs, sizes.heads, sizes.head_width, rotary))),
                resample,
            ]
        )

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map (N, inputs, F, h, w) to (N, outputs, F, h, w), before the change of size."""
        first, second, spatial, temporal, _ = self
        x = spatial(second(first(x, context), context))
        y: Tensor = temporal(x, context.bias, context.window)
        return y

    def resample(self, x: Tensor) -> Tensor:
        """Change the size of (N, outputs, F, h, w)."""
        y: Tensor = self[-1](x)
        return y


class UNet(nn.Module):
    """Predicts the noise in the motion of a clip."""

    def __init__(self, sizes: UNetSizes) -> None:
        super().__init__()
        self.sizes = sizes
        widths = [sizes.width, *(sizes.width * multiplier for multiplier in sizes.multipliers)]
        bottom, levels = widths[-1], list(pairwise(widths))
        rotary = Rotary(min(32, sizes.head_width))

        def temporal(width: int) -> OverFrames:
            return OverFrames(TemporalAttention(width, sizes.heads, sizes.head_width, rotary))

        self.time_rel_pos_bias = RelativePositionBias(sizes.heads, sizes.buckets, sizes.max_distance)
        self.init_conv = FrameConv(sizes.motion + sizes.still, sizes.width, (1, 7, 7), padding=(0, 3, 3))
        self.init_temporal_attn = normed(sizes.width, temporal(sizes.width))
        self.time_mlp = nn.Sequential(
            TimeEmbedding(sizes.width),
            nn.Linear(sizes.width, 4 * sizes.width),
            nn.GELU(),
            nn.Linear(4 * sizes.width, 4 * sizes.width),
        )
        self.downs = nn.ModuleList(
            Level(i, o, sizes, rotary, FrameConv(o, o, KERNEL, STRIDE, PADDING)) for i, o in levels[:-1]
        )
        self.downs.append(Level(*levels[-1], sizes, rotary, nn.Identity()))
        self.mid_block1 = ConditionedBlock(bottom, bottom, sizes)
        self.mid_spatial_attn = normed(bottom, OverPixels(FullSpatialAttention(bottom, sizes.heads, sizes.head_width)))
        self.mid_temporal_attn = normed(bottom, temporal(bottom))
        self.mid_block2 = ConditionedBlock(bottom, bottom, sizes)
        self.ups = nn.ModuleList(
            Level(2 * o, i, sizes, rotary, FrameConvTranspose(i, i, KERNEL, STRIDE, PADDING))
            for i, o in reversed(levels[1:])
        )
        first, second = levels[0]
        self.ups.append(Level(2 * second, first, sizes, rotary, nn.Identity()))
        self.final_conv = self._head(sizes.motion - 1)
        self.occlusion_map = self._head(1)

    def _head(self, channels: int) -> nn.Sequential:
        width = self.sizes.width
        return nn.Sequential(ResidualBlock(2 * width, width, self.sizes), FrameConv(width, channels, 1))

    def forward(self, motion: Tensor, time: Tensor, condition: Condition) -> Tensor:
        """Predict the noise in noisy motion.

        Args:
            motion: Shape (N, 3, F, h, w): flow x, y and occlusion, noisy.
            time: Shape (N,): diffusion time of each clip, an integer.
            condition: What the motion depends on.

        Returns:
            Of the shape of `motion`.
        """
        return self.full(motion, time, condition)[0]

    def full(self, motion: Tensor, time: Tensor, condition: Condition) -> tuple[Tensor, Tensor]:
        """Run the whole network; returns the prediction and what `shallow` can use again.

        The second is the input of the last up level, (N, width, F, h, w).
        """
        return Cut(self).full(motion, time, condition)

    def shallow(self, motion: Tensor, time: Tensor, condition: Condition, deep: Tensor) -> Tensor:
        """Run the uppermost level only, on what `full` gave at another time."""
        return Cut(self).shallow(motion, time, condition, deep)

    def cut(self, layers: int) -> Cut:
        """Return the network as a denoiser whose shallow pass runs the last `layers` up levels."""
        return Cut(self, layers)

    def decoder(self) -> Cut:
        """Return the network as a denoiser whose shallow pass runs all up levels, on the skips of the full pass."""
        return Cut(self, len(self.ups), keeps_skips=True)

    def conditional(self, condition: Condition) -> Condition:
        """Return the second half of the clips of a condition."""
        return Condition(*(part.chunk(2)[1] for part in condition))

    def _context(self, motion: Tensor, time: Tensor, condition: Condition) -> Context:
        window = self.sizes.window
        bias = self.time_rel_pos_bias(motion.shape[2], window)
        return Context(self.time_mlp(time), condition.audio, condition.pose, condition.blink, bias, window)

    def _enter(self, motion: Tensor, condition: Condition, context: Context, layers: int) -> Entered:
        """Run the first `layers` down levels."""
        still = torch.cat((condition.source_feature, condition.face_mask_feature), dim=1)
        stem = self._stem(motion.contiguous(memory_format=torch.channels_last_3d), still)
        x = self.init_temporal_attn(stem, context.bias, context.window)
        downs = self._levels(self.downs)
        skips = [downs[0](x, context)]
        for above, level in pairwise(downs[:layers]):
            skips.append(level(above.resample(skips[-1]), context))
        return Entered(stem, tuple(skips))

    def _stem(self, motion: Tensor, still: Tensor) -> Tensor:
        """Convolve motion and, repeated over the frames, what stands still; the latter only once."""
        convolution = self.init_conv
        moving, resting = torch.split(convolution.weight[:, :, 0], [motion.shape[1], still.shape[1]], dim=1)
        moved = by_frame(motion, lambda frames: F.conv2d(frames, moving, convolution.bias, padding=3))
        return moved + F.conv2d(still.contiguous(memory_format=torch.channels_last), resting, padding=3)[:, :, None]

    def _within(self, skip: Tensor, context: Context, layers: int) -> Tensor:
        """Run everything below the first `layers` levels."""
        skips = [skip]
        for above, level in pairwise(self._levels(self.downs)[layers - 1 :]):
            skips.append(level(above.resample(skips[-1]), context))
        x: Tensor = self.mid_block1(skips[-1], context)
        x = self.mid_temporal_attn(self.mid_spatial_attn(x), context.bias, context.window)
        x = self.mid_block2(x, context)
        for level, beside in zip(self._levels(self.ups)[:-layers], reversed(skips[1:]), strict=True):
            x = level.resample(level(torch.cat((x, beside), dim=1), context))
        return x

    def _leave(self, deep: Tensor, entered: Entered, context: Context) -> Tensor:
        """Run the last up levels, as many as there are skips, and the heads."""
        x = deep
        for level, beside in zip(self._levels(self.ups)[-len(entered.skips) :], reversed(entered.skips), strict=True):
            x = level.resample(level(torch.cat((x, beside), dim=1), context))
        x = torch.cat((x, entered.stem), dim=1)
        return torch.cat((self.final_conv(x), self.occlusion_map(x)), dim=1)

    @staticmethod
    def _levels(levels: nn.ModuleList) -> list[Level]:
        return cast("list[Level]", list(levels))


class Entered(NamedTuple):
    """What the uppermost levels are given beside what comes from below."""

    stem: Tensor
    """Shape (N, width, F, h, w)."""
    skips: tuple[Tensor, ...]
    """Of the down levels, finest first."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The network as the sampler loop takes it, cut below some of its levels."""

    network: UNet
    layers: int = 1
    """How many up levels a shallow pass runs, and how many down levels beside them."""
    keeps_skips: bool = False
    """Whether a shallow pass runs no down level, and takes the skips of the full pass."""

    def __post_init__(self) -> None:
        if not 1 <= self.layers <= len(self.network.ups):
            raise UsageError(
                f"a shallow pass of {self.layers} up levels; DAWN's network has {len(self.network.ups)} of them"
            )

    def full(self, motion: Tensor, time: Tensor, condition: Condition) -> tuple[Tensor, Any]:
        """Return the prediction, and what a shallow pass needs."""
        net = self.network
        context = net._context(motion, time, condition)
        entered = net._enter(motion, condition, context, self.layers)
        deep = net._within(entered.skips[-1], context, self.layers)
        return net._leave(deep, entered, context), (deep, entered) if self.keeps_skips else deep

    def shallow(self, motion: Tensor, time: Tensor, condition: Condition, deep: Any) -> Tensor:
        """Return the prediction of the levels above the cut alone."""
        net = self.network
        context = net._context(motion, time, condition)
        below, entered = deep if self.keeps_skips else (deep, net._enter(motion, condition, context, self.layers))
        return net._leave(below, entered, context)

    def conditional(self, condition: Condition) -> Condition:
        """Return the second half of the clips of a condition."""
        return self.network.conditional(condition)
