"""The 3-D U-Net of A2V-FDM, which denoises the motion of all frames of a clip at once.

Source: DAWN, section 3.3; Hanbo-Cheng/DAWN-pytorch, DM_3/modules/video_flow_diffusion_multiGPU_v0_crema_plus_faceemb_
ca_multi_test.py (DynamicNfUnet3D); after Ho et al., "Video Diffusion Models" (2022). Maps are (N, C, F, h, w): clips,
channels, frames, height, width.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
import torch.nn.functional as F
from thbench_methods.dawn.attention import RelativePositionBias, Rotary, TemporalAttention
from thbench_methods.dawn.unet_blocks import (
    ConditionedBlock,
    Context,
    FullSpatialAttention,
    OverFrames,
    OverPixels,
    ResidualBlock,
    SpatialLinearAttention,
    normed,
)
from thbench_methods.nets.embeddings import angles, frequencies
from torch import Tensor, nn

if TYPE_CHECKING:
    from thbench_methods.dawn.config import UNetSizes

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

    def null(self) -> Condition:
        """Return the condition that says nothing of sound, pose and blinks."""
        silent = {name: torch.zeros_like(getattr(self, name)) for name in ("audio", "pose", "blink")}
        return self._replace(**silent)


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
        self.init_conv = nn.Conv3d(sizes.motion + sizes.still, sizes.width, (1, 7, 7), padding=(0, 3, 3))
        self.init_temporal_attn = normed(sizes.width, temporal(sizes.width))
        self.time_mlp = nn.Sequential(
            TimeEmbedding(sizes.width),
            nn.Linear(sizes.width, 4 * sizes.width),
            nn.GELU(),
            nn.Linear(4 * sizes.width, 4 * sizes.width),
        )
        self.downs = nn.ModuleList(
            Level(i, o, sizes, rotary, nn.Conv3d(o, o, KERNEL, STRIDE, PADDING)) for i, o in levels[:-1]
        )
        self.downs.append(Level(*levels[-1], sizes, rotary, nn.Identity()))
        self.mid_block1 = ConditionedBlock(bottom, bottom, sizes)
        self.mid_spatial_attn = normed(bottom, OverPixels(FullSpatialAttention(bottom, sizes.heads, sizes.head_width)))
        self.mid_temporal_attn = normed(bottom, temporal(bottom))
        self.mid_block2 = ConditionedBlock(bottom, bottom, sizes)
        self.ups = nn.ModuleList(
            Level(2 * o, i, sizes, rotary, nn.ConvTranspose3d(i, i, KERNEL, STRIDE, PADDING))
            for i, o in reversed(levels[1:])
        )
        first, second = levels[0]
        self.ups.append(Level(2 * second, first, sizes, rotary, nn.Identity()))
        self.final_conv = self._head(sizes.motion - 1)
        self.occlusion_map = self._head(1)

    def _head(self, channels: int) -> nn.Sequential:
        width = self.sizes.width
        return nn.Sequential(ResidualBlock(2 * width, width, self.sizes), nn.Conv3d(width, channels, 1))

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
        context = self._context(motion, time, condition)
        stem, skip = self._enter(motion, condition, context)
        deep = self._deep(skip, context)
        return self._leave(deep, skip, stem, context), deep

    def shallow(self, motion: Tensor, time: Tensor, condition: Condition, deep: Tensor) -> Tensor:
        """Run the uppermost level only, on what `full` gave at another time."""
        context = self._context(motion, time, condition)
        stem, skip = self._enter(motion, condition, context)
        return self._leave(deep, skip, stem, context)

    def _context(self, motion: Tensor, time: Tensor, condition: Condition) -> Context:
        window = self.sizes.window
        bias = self.time_rel_pos_bias(motion.shape[2], window)
        return Context(self.time_mlp(time), condition.audio, condition.pose, condition.blink, bias, window)

    def _enter(self, motion: Tensor, condition: Condition, context: Context) -> tuple[Tensor, Tensor]:
        still = torch.cat((condition.source_feature, condition.face_mask_feature), dim=1)
        stem = self._stem(motion, still)
        x = self.init_temporal_attn(stem, context.bias, context.window)
        return stem, self.downs[0](x, context)

    def _stem(self, motion: Tensor, still: Tensor) -> Tensor:
        """Convolve motion and, repeated over the frames, what stands still; the latter only once."""
        convolution = self.init_conv
        moving, resting = torch.split(convolution.weight, [motion.shape[1], still.shape[1]], dim=1)
        padding = (0, 3, 3)
        return F.conv3d(motion, moving, convolution.bias, padding=padding) + F.conv3d(
            still[:, :, None], resting, padding=padding
        )

    def _deep(self, skip: Tensor, context: Context) -> Tensor:
        skips = [skip]
        downs, ups = (cast("list[Level]", list(levels)) for levels in (self.downs, self.ups))
        for above, level in pairwise(downs):
            skips.append(level(above.resample(skips[-1]), context))
        x: Tensor = self.mid_block1(skips[-1], context)
        x = self.mid_temporal_attn(self.mid_spatial_attn(x), context.bias, context.window)
        x = self.mid_block2(x, context)
        for level, beside in zip(ups[:-1], reversed(skips[1:]), strict=True):
            x = level.resample(level(torch.cat((x, beside), dim=1), context))
        return x

    def _leave(self, deep: Tensor, skip: Tensor, stem: Tensor, context: Context) -> Tensor:
        x = self.ups[-1](torch.cat((deep, skip), dim=1), context)
        x = torch.cat((x, stem), dim=1)
        return torch.cat((self.final_conv(x), self.occlusion_map(x)), dim=1)


def guided(predict: UNet, scale: float, motion: Tensor, time: Tensor, condition: Condition) -> Tensor:
    """Return the prediction under classifier-free guidance; a scale of one is the plain one, at half the cost."""
    prediction: Tensor = predict(motion, time, condition)
    if scale == 1:
        return prediction
    null: Tensor = predict(motion, time, condition.null())
    return null + scale * (prediction - null)
