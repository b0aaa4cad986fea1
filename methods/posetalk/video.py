"""The three video networks: CoarseNet moves the head, RefineNet the lips, the Portrait Enhancer repairs the frame.

Source: PoseTalk, section 3.3 and figure 2; PIRenderer (Ren et al., ICCV 2021) for the mapping, warping and editing that
they are made of. Images are (N, 3, H, W), RGB in [-1, 1]; flows are (N, 2, h, w), x and y in their own pixels.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from thbench_methods.nets.pirenderer.editing import Encoder
from thbench_methods.nets.pirenderer.layers import AdaptiveInstanceNorm, ConvBlock, activate, widths
from thbench_methods.nets.pirenderer.mapping import MappingNetwork
from thbench_methods.nets.pirenderer.warping import WarpingNetwork, warp
from torch import Tensor, nn

if TYPE_CHECKING:
    from thbench_methods.posetalk.config import VideoSizes


def around(track: Tensor, radius: int) -> Tensor:
    """Return the window of a track (N, F, C) around each frame: (N F, C, 2 radius + 1); ends are repeated."""
    padded = F.pad(track.mT, (radius, radius), mode="replicate")
    return padded.unfold(2, 2 * radius + 1, 1).transpose(1, 2).flatten(0, 1)


class Driver(nn.Module):
    """Pose, gaze and sound in one track, whose window around each frame becomes a descriptor."""

    def __init__(self, sizes: VideoSizes) -> None:
        super().__init__()
        self.radius = sizes.radius
        self.hear = nn.Linear(sizes.audio, sizes.audio_width)
        self.map = MappingNetwork(sizes.track + sizes.audio_width, sizes.descriptor, sizes.mapping_layers)

    def forward(self, track: Tensor, audio: Tensor) -> Tensor:
        """Map tracks (N, F, track) and speech (N, F, audio) to descriptors (N F, descriptor), clip by clip."""
        driving = torch.cat((track, self.hear(audio)), dim=2)
        descriptor: Tensor = self.map(around(driving, self.radius))
        return descriptor


class Coarse(NamedTuple):
    """What CoarseNet returns."""

    flow: Tensor
    """Shape (N, 2, H / 4, W / 4) at the default sizes."""
    image: Tensor
    """Shape (N, 3, H, W): the portrait, moved."""


class CoarseNet(nn.Module):
    """Moves the whole portrait: head, gaze and, roughly, lips."""

    def __init__(self, sizes: VideoSizes) -> None:
        super().__init__()
        self.driver = Driver(sizes)
        self.warping = WarpingNetwork(
            descriptor_nc=sizes.descriptor,
            base_nc=sizes.coarse_width,
            max_nc=sizes.widest,
            encoder_layer=sizes.coarse_encoder,
            decoder_layer=sizes.coarse_decoder,
        )

    def forward(self, portrait: Tensor, track: Tensor, audio: Tensor) -> Coarse:
        """Return the frames of clips.

        Args:
            portrait: Shape (N, 3, H, W).
            track: Shape (N, F, track): pose and gaze of each frame.
            audio: Shape (N, F, audio).

        Returns:
            N F frames, clip by clip.
        """
        portraits = portrait.repeat_interleave(track.shape[1], dim=0)
        flow = self.warping(portraits, self.driver(track, audio))
        return Coarse(flow, warp(portraits, flow))


class Refined(NamedTuple):
    """What RefineNet makes at one resolution."""

    flow: Tensor
    """Shape (N, 2, h, w): the whole motion so far of the coarse frame."""
    image: Tensor
    """Shape (N, 3, h, w)."""


class RefineStage(nn.Module):
    """One resolution of RefineNet: corrects the flow, and paints what it cannot bring."""

    def __init__(self, skip: int, below: int, descriptor: int) -> None:
        super().__init__()
        self.join = nn.Conv2d(skip + below, skip, 3, padding=1)
        self.norm = AdaptiveInstanceNorm(skip, descriptor)
        self.conv = nn.Conv2d(skip, skip, 3, padding=1)
        self.out = nn.Conv2d(skip, 2 + 3 + 1, 3, padding=1)
        # Training starts from the coarse frame as it is: no motion, hardly anything painted.
        nn.init.zeros_(self.out.weight)
        self.out.bias = nn.Parameter(torch.tensor([0.0] * 5 + [-4.0]))

    def forward(
        self, image: Tensor, skip: Tensor, below: Tensor, flow: Tensor, descriptor: Tensor
    ) -> tuple[Refined, Tensor]:
        """Refine N frames.

        Args:
            image: The coarse frame at this resolution, (N, 3, h, w).
            skip: Its features, (N, skip, h, w).
            below: Features of the resolution below, (N, below, h / 2, w / 2).
            flow: Its flow, (N, 2, h / 2, w / 2).
            descriptor: Shape (N, descriptor).

        Returns:
            Flow and image, and features (N, skip, h, w) for the resolution above.
        """
        flow = 2 * F.interpolate(flow, scale_factor=2, mode="bilinear")
        moved = torch.cat((warp(skip, flow), F.interpolate(below, scale_factor=2)), dim=1)
        x = activate(self.norm(self.join(moved), descriptor))
        x = x + self.conv(x)
        change, painted, share = self.out(activate(x)).split((2, 3, 1), dim=1)
        flow = flow + change
        return Refined(flow, torch.lerp(warp(image, flow), painted.tanh(), share.sigmoid())), x


class RefineNet(nn.Module):
    """Moves the lips of the coarse frame, from low to high resolution."""

    def __init__(self, sizes: VideoSizes) -> None:
        super().__init__()
        self.driver = Driver(sizes)
        channels = widths(sizes.refine_width, sizes.refine_levels, sizes.widest)
        self.encoder = Encoder(3, channels)
        self.stages = nn.ModuleList(
            RefineStage(fine, coarse, sizes.descriptor) for fine, coarse in reversed(list(pairwise(channels)))
        )

    def forward(self, coarse: Tensor, track: Tensor, audio: Tensor) -> tuple[Refined, ...]:
        """Return the frames at every resolution, lowest first; the last are the refined frames.

        Args:
            coarse: Shape (N F, 3, H, W), from CoarseNet; sides divisible by 2 ** levels.
            track: Shape (N, F, track).
            audio: Shape (N, F, audio).
        """
        descriptor = self.driver(track, audio)
        *skips, x = self.encoder(coarse)
        flow = x.new_zeros(len(x), 2, *x.shape[2:])
        refined: list[Refined] = []
        for stage, skip in zip(self.stages, reversed(skips), strict=True):
            image = F.interpolate(coarse, size=skip.shape[2:], mode="area")
            result, x = stage(image, skip, x, flow, descriptor)
            refined.append(result)
            flow = result.flow
        return tuple(refined)


class PortraitEnhancer(nn.Module):
    """A U-Net over the refined frame and the portrait."""

    def __init__(self, sizes: VideoSizes) -> None:
        super().__init__()
        channels = widths(sizes.enhance_width, sizes.enhance_levels, sizes.widest)
        self.encoder = Encoder(6, channels)
        pairs = list(reversed(list(pairwise(channels))))
        self.up = nn.ModuleList(ConvBlock(coarse, fine) for fine, coarse in pairs)
        self.merge = nn.ModuleList(ConvBlock(2 * fine, fine) for fine, _ in pairs)
        self.out = nn.Conv2d(channels[0], 3, 7, padding=3)

    def forward(self, refined: Tensor, portrait: Tensor) -> Tensor:
        """Map refined frames (N F, 3, H, W) of N portraits (N, 3, H, W) to frames (N F, 3, H, W)."""
        repeated = portrait.repeat_interleave(len(refined) // len(portrait), dim=0)
        *skips, x = self.encoder(torch.cat((refined, repeated), dim=1))
        for up, merge, skip in zip(self.up, self.merge, reversed(skips), strict=True):
            x = merge(torch.cat((up(F.interpolate(x, scale_factor=2)), skip), dim=1))
        frame: Tensor = self.out(x).tanh()
        return frame
