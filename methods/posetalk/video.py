"""The three video networks: CoarseNet moves the head, RefineNet the lips, the Portrait Enhancer repairs the frame.

Source: PoseTalk, section 3.3 and figure 2; PIRenderer (Ren et al., ICCV 2021) for the mapping, warping and editing that
they are made of. Images are (N, 3, H, W), RGB in [-1, 1]; flows are (N, 2, h, w), x and y in their own pixels.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from thbench_methods.nets.pirenderer.cells import moved
from thbench_methods.nets.pirenderer.editing import Encoder
from thbench_methods.nets.pirenderer.layers import AdaptiveInstanceNorm, ConvBlock, Descriptor, activate, widths
from thbench_methods.nets.pirenderer.mapping import MappingNetwork
from thbench_methods.nets.pirenderer.warping import WarpingNetwork
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thbench_methods.posetalk.config import VideoSizes


def around(track: Tensor, radius: int) -> Tensor:
    """Return the window of a track (N, F, C) around each frame: (N F, C, 2 radius + 1); ends are repeated."""
    padded = F.pad(track.mT, (radius, radius), mode="replicate")
    return padded.unfold(2, 2 * radius + 1, 1).transpose(1, 2).flatten(0, 1)


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """Move an image (N, C, H, W) by a flow (N, 2, h, w) in pixels of the flow; its border goes on beyond it."""
    height, width = flow.shape[2:]
    return moved(image, flow * flow.new_tensor((2 / width, 2 / height))[:, None, None])


class Driver(nn.Module):
    """A window of pose, gaze and sound to a descriptor."""

    def __init__(self, sizes: VideoSizes) -> None:
        super().__init__()
        self.track = sizes.track
        self.hear = nn.Linear(sizes.audio, sizes.audio_width)
        self.map = MappingNetwork(sizes.track + sizes.audio_width, sizes.descriptor, sizes.mapping_layers)

    def forward(self, driving: Tensor) -> Tensor:
        """Map windows (N, track + audio, 2 radius + 1) around frames to descriptors (N, descriptor)."""
        track, audio = driving[:, : self.track], driving[:, self.track :]
        descriptor: Tensor = self.map(torch.cat((track, self.hear(audio.mT).mT), dim=1))
        return descriptor


class Guess(NamedTuple):
    """How a mean head would move, where that is known."""

    places: Tensor
    """Shape (N, 2, h, w): which point of the head each place of the frame shows."""
    flow: Tensor
    """Shape (N, 2, h, w): where it lies in the portrait less where it lies in the frame, -1 to 1 over the picture."""


class Coarse(NamedTuple):
    """What CoarseNet returns."""

    flow: Tensor
    """Shape (N, 2, H / 4, W / 4) at the default sizes."""
    image: Tensor
    """Shape (N, 3, H, W): the portrait, moved."""


class CoarseNet(nn.Module):
    """Moves the whole portrait: head, gaze and, roughly, lips.

    Networks of small sizes are given the flow of a mean head and find what is to be added to it; those of the paper
    find the flow by themselves.
    """

    def __init__(self, sizes: VideoSizes) -> None:
        super().__init__()
        self.driver = Driver(sizes)
        self.warping = WarpingNetwork(
            image_nc=3 + sizes.places,
            descriptor_nc=sizes.descriptor,
            base_nc=sizes.coarse_width,
            max_nc=sizes.widest,
            encoder_layer=sizes.coarse_encoder,
            decoder_layer=sizes.coarse_decoder,
            kernel=sizes.kernel,
            shared_nc=sizes.shared,
        )
        if sizes.places:
            for parameter in self.warping.flow_out[-1].parameters():
                nn.init.zeros_(parameter)  # training starts from the flow that is given

    def forward(self, portrait: Tensor, driving: Tensor, guess: Guess | None = None) -> Coarse:
        """Return frames.

        Args:
            portrait: Shape (N, 3, H, W).
            driving: Shape (N, track + audio, window): pose, gaze and sound around each frame.
            guess: Where `sizes.places` is not 0.
        """
        descriptor = self.driver(driving)
        if guess is None:
            flow = self.warping(portrait, descriptor)
        else:
            change = self.warping(with_places(moved(portrait, guess.flow), guess), descriptor)
            size = change.shape[2:]
            flow = change + F.interpolate(guess.flow, size=size, mode="area") * (size[0] / 2)
        return Coarse(flow, warp(portrait, flow))


def with_places(image: Tensor, guess: Guess | None) -> Tensor:
    """Return an image (N, 3, H, W) with what a guess knows of its places, (N, 3 + places, H, W)."""
    if guess is None:
        return image
    places = F.interpolate(guess.places, size=image.shape[2:], mode="bilinear", align_corners=False)
    return torch.cat((image, places), dim=1)


class Refined(NamedTuple):
    """What RefineNet makes at one resolution."""

    flow: Tensor
    """Shape (N, 2, h, w): the motion so far of the coarse frame, beyond what a guess gives."""
    image: Tensor
    """Shape (N, 3, h, w), a bit beyond [-1, 1]."""


class RefineStage(nn.Module):
    """One resolution of RefineNet: corrects the flow, and adds what it cannot bring."""

    def __init__(self, skip: int, below: int, descriptor: Descriptor) -> None:
        super().__init__()
        self.join = nn.Conv2d(skip + below, skip, 3, padding=1)
        self.norm = AdaptiveInstanceNorm(skip, descriptor)
        self.conv = nn.Conv2d(skip, skip, 3, padding=1)
        self.out = nn.Conv2d(skip, 2 + 3, 3, padding=1)
        # Training starts from the motion that is given, and nothing added.
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self, image: Tensor, skip: Tensor, below: Tensor, flow: Tensor, descriptor: Tensor, given: Tensor
    ) -> tuple[Refined, Tensor]:
        """Refine N frames.

        Args:
            image: The coarse frame at this resolution, (N, 3, h, w).
            skip: Features of the frame as the motion that is given moves it, (N, skip, h, w).
            below: Features of the resolution below, (N, below, h / 2, w / 2).
            flow: Its flow, (N, 2, h / 2, w / 2), without what is given.
            descriptor: Shape (N, descriptor).
            given: The motion that is given, (N, 2, h, w).

        Returns:
            Flow, without what is given, and image; and features (N, skip, h, w) for the resolution above.
        """
        flow = 2 * F.interpolate(flow, scale_factor=2, mode="bilinear")
        carried = torch.cat((warp(skip, flow), F.interpolate(below, scale_factor=2)), dim=1)
        x = activate(self.norm(self.join(carried), descriptor))
        x = x + self.conv(x)
        change, added = self.out(activate(x)).split((2, 3), dim=1)
        flow = flow + change
        return Refined(flow, warp(image, flow + given) + added), x


class RefineNet(nn.Module):
    """Moves the lips of the coarse frame, from low to high resolution.

    Networks of small sizes are given how the lips of a mean head would move, as for `CoarseNet`.
    """

    def __init__(self, sizes: VideoSizes) -> None:
        super().__init__()
        self.driver = Driver(sizes)
        channels = widths(sizes.refine_width, sizes.refine_levels, sizes.widest)
        self.encoder = Encoder(3 + 2 * sizes.places, channels, sizes.kernel)
        descriptor = Descriptor(sizes.descriptor, sizes.shared)
        self.stages = nn.ModuleList(
            RefineStage(fine, coarse, descriptor) for fine, coarse in reversed(list(pairwise(channels)))
        )

    def forward(self, coarse: Tensor, driving: Tensor, guess: Guess | None = None) -> tuple[Refined, ...]:
        """Return the frames at every resolution, lowest first; the last are the refined frames.

        Args:
            coarse: Shape (N, 3, H, W), from CoarseNet; sides divisible by 2 ** levels.
            driving: As for CoarseNet.
            guess: As for CoarseNet, of the lips.
        """
        descriptor = self.driver(driving)
        given, seen = coarse.new_zeros(len(coarse), 2, *coarse.shape[2:]), coarse
        if guess is not None:
            given = pixels(guess.flow, coarse.shape[2:])
            seen = torch.cat((with_places(warp(coarse, given), guess), given), dim=1)
        *skips, x = self.encoder(seen)
        flow = x.new_zeros(len(x), 2, *x.shape[2:])
        refined: list[Refined] = []
        for stage, skip in zip(self.stages, reversed(skips), strict=True):
            size = skip.shape[2:]
            image = F.interpolate(coarse, size=size, mode="area")
            there = F.interpolate(given, size=size, mode="area") * (size[0] / given.shape[2])
            result, x = stage(image, skip, x, flow, descriptor, there)
            refined.append(result)
            flow = result.flow
        return tuple(refined)


def pixels(flow: Tensor, size: Sequence[int]) -> Tensor:
    """Return a flow that is -1 to 1 over the picture, in pixels of a square picture of some size."""
    return F.interpolate(flow, size=tuple(size), mode="bilinear", align_corners=False) * (size[0] / 2)


class PortraitEnhancer(nn.Module):
    """A U-Net over the refined frame and the portrait: what is to be added to the frame, at first nothing."""

    def __init__(self, sizes: VideoSizes) -> None:
        super().__init__()
        channels = widths(sizes.enhance_width, sizes.enhance_levels, sizes.widest)
        self.encoder = Encoder(6, channels, sizes.kernel)
        pairs = list(reversed(list(pairwise(channels))))
        self.up = nn.ModuleList(ConvBlock(coarse, fine) for fine, coarse in pairs)
        self.merge = nn.ModuleList(ConvBlock(2 * fine, fine) for fine, _ in pairs)
        self.out = nn.Conv2d(channels[0], 3, sizes.kernel, padding=sizes.kernel // 2)
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, refined: Tensor, portrait: Tensor) -> Tensor:
        """Map refined frames and their portraits, each (N, 3, H, W), to frames (N, 3, H, W), a bit beyond [-1, 1]."""
        *skips, x = self.encoder(torch.cat((refined, portrait), dim=1))
        for up, merge, skip in zip(self.up, self.merge, reversed(skips), strict=True):
            x = merge(torch.cat((up(F.interpolate(x, scale_factor=2)), skip), dim=1))
        frame: Tensor = refined + self.out(x)
        return frame
