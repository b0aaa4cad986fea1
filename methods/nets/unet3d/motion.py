"""Motion module: attention over the frames at each pixel.

Source: Guo et al., "AnimateDiff", ICLR 2024, section 4.2; fudan-generative-vision/hallo, hallo/models/motion_module.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from thbench_methods.nets.building import computed
from thbench_methods.nets.embeddings import position_table
from thbench_methods.nets.unet3d.attention import Attention, FeedForward
from thbench_methods.nets.unet3d.focus import Attend, Focus, attend_at, everywhere
from thbench_methods.nets.unet3d.layout import by_clip, by_pixel, frames_last, pixels_last, to_maps, to_tokens
from torch import Tensor, nn

from thbench.errors import MethodError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from thbench_methods.nets.unet3d.config import Sizes
    from thbench_methods.nets.unet3d.unet import Place

ATTENTIONS = 2
"""Temporal attentions, one after the other, in each module."""


class MotionCall(Protocol):
    """What a motion module needs to know of a forward pass."""

    @property
    def frames(self) -> int:
        """Frames of a clip; row b F + f is frame f of clip b."""
        ...

    @property
    def past(self) -> Mapping[str, Tensor]:
        """Place to (B, n, h w, C): features of frames before the clip, oldest first. Absent where there are none."""
        ...

    @property
    def focus(self) -> Focus | None:
        """Where attention acts; None for everywhere."""
        ...


class Positions(nn.Module):
    """Table of sinusoids, as it lies in the published files."""

    pe: Tensor

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.register_buffer("pe", computed(lambda: position_table(length, width)[None]))

    def forward(self, x: Tensor) -> Tensor:
        """Add the first positions to (N, frames, width).

        Raises:
            MethodError: There are more frames than positions.
        """
        if x.shape[1] > self.pe.shape[1]:
            raise MethodError(
                f"{x.shape[1]} frames at once, past ones included, are more than the {self.pe.shape[1]} positions that "
                "the motion modules know; generate in shorter windows"
            )
        return x + self.pe[:, : x.shape[1]]


class TemporalAttention(Attention):
    """Self-attention over frames that know their position."""

    def __init__(self, width: int, heads: int, positions: int) -> None:
        super().__init__(width, heads=heads)
        self.pos_encoder = Positions(positions, width)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Map (N, frames, width) to the same shape; `context` is not used, frames attend to each other."""
        return super().forward(self.pos_encoder(x))


class TemporalBlock(nn.Module):
    """Two temporal attentions and a feed-forward, each behind a layer norm, with the identity."""

    def __init__(self, width: int, heads: int, positions: int, feed_forward: int = 4) -> None:
        super().__init__()
        self.attention_blocks = nn.ModuleList([TemporalAttention(width, heads, positions) for _ in range(ATTENTIONS)])
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(ATTENTIONS)])
        self.ff = FeedForward(width, feed_forward)
        self.ff_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, clips: int = 1, attend: Attend = everywhere) -> Tensor:
        """Map (clips L, frames, width) to the same shape; `attend` is given the L pixels of each clip."""
        for index, (norm, attention) in enumerate(zip(self.norms, self.attention_blocks, strict=True)):
            x = x + over_pixels(attend, f"attention_blocks.{index}", norm(x), clips, attention)
        mixed: Tensor = x + self.ff(self.ff_norm(x))
        return mixed


def over_pixels(
    attend: Attend, name: str, sequences: Tensor, clips: int, attention: Callable[[Tensor], Tensor]
) -> Tensor:
    """Run an attention over the frames (clips L, frames, width) of each pixel where `attend` lets it act."""
    rows = by_pixel(sequences, clips)
    return attend(name, rows, lambda own, chosen: by_pixel(attention(own.flatten(0, 1)), clips)).flatten(0, 1)


class TemporalTransformer(nn.Module):
    """Group norm of each frame, linear in, temporal block at each pixel, linear out."""

    def __init__(self, channels: int, sizes: Sizes) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(sizes.groups, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList(
            [TemporalBlock(channels, sizes.heads, sizes.positions, sizes.feed_forward)]
        )
        self.proj_out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, frames: int, attend: Attend = everywhere) -> Tensor:
        """Map (B frames, C, h, w) to the same shape."""
        tokens, clips = frames_last(self.proj_in(to_tokens(self.norm(x))), frames), len(x) // frames
        mixed = self.proj_out(pixels_last(self.transformer_blocks[0](tokens, clips, attend), clips))
        return x + to_maps(mixed, x)


class MotionModule(nn.Module):
    """Temporal transformer over the past frames and the clip's own; the past frames' outputs are dropped."""

    def __init__(self, place: Place, sizes: Sizes, *, runs: bool = True) -> None:
        """Make the module.

        Args:
            place: Where it stands.
            sizes: Of the UNet.
            runs: False for a module that is in the published file but is not run.
        """
        super().__init__()
        self.place, self.runs = place.name, runs
        self.temporal_transformer = TemporalTransformer(place.channels, sizes)

    def forward(self, x: Tensor, call: MotionCall) -> Tensor:
        """Map (B F, C, h, w) to the same shape."""
        if not self.runs:
            return x
        past, attend = call.past.get(self.place), attend_at(call.focus, self.place)
        if past is None:
            mixed: Tensor = self.temporal_transformer(x, call.frames, attend)
            return mixed
        before = past.shape[1]
        together = torch.cat((by_clip(to_maps(past.flatten(0, 1), x), before), by_clip(x, call.frames)), dim=1)
        mixed = self.temporal_transformer(together.flatten(0, 1), before + call.frames, attend)
        return by_clip(mixed, before + call.frames)[:, before:].flatten(0, 1)
