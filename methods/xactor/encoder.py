"""The identity-agnostic motion encoder: a face crop to a vector without place, and the tokens that the renderer reads.

A face alignment network (hourglass) with three self-attentions, of one frame at a time. Source: X-NeMo, arXiv
2507.23143; bytedance/x-nemo-inference, src/models/motion_encoder/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from thbench_methods.nets.building import computed
from thbench_methods.nets.embeddings import position_table
from thbench_methods.nets.unet3d.attention import Attention, FeedForward
from torch import Tensor, nn

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from thbench_methods.xactor.config import Encoder

NEUTRAL = (0.0, 0.0, 1.0)
"""Head placement of the portrait: not moved, of its own size. The published inference holds every head there."""


class FanBlock(nn.Module):
    """Three 3x3 convolutions whose outputs are laid side by side, and the identity (Bulat and Tzimiropoulos 2017)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half, quarter = outputs // 2, outputs // 4
        widths = ((inputs, half), (half, quarter), (quarter, quarter))
        self.norms = nn.ModuleList(nn.BatchNorm2d(a) for a, _ in widths)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1, bias=False) for a, b in widths)
        self.skip_norm = nn.BatchNorm2d(inputs) if inputs != outputs else None
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, h, w) to (N, outputs, h, w)."""
        parts, hidden = [], x
        for norm, conv in zip(self.norms, self.convs, strict=True):
            hidden = conv(F.relu(norm(hidden)))
            parts.append(hidden)
        if self.skip is not None and self.skip_norm is not None:
            x = self.skip(F.relu(self.skip_norm(x)))
        return torch.cat(parts, dim=1) + x


class PatchAttention(nn.Module):
    """Self-attention over square patches of a map, with the identity; it begins as the identity."""

    positions: Tensor

    def __init__(self, channels: int, side: int, patch: int, sizes: Encoder) -> None:
        super().__init__()
        width = sizes.attention
        self.patch = patch
        self.norm = nn.GroupNorm(sizes.groups, channels, eps=1e-6)
        self.patches = nn.Conv2d(channels, width, patch, stride=patch)
        self.register_buffer("positions", computed(lambda: _grid_table(side // patch, width)))
        self.attention_norm, self.ff_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads=sizes.heads)
        self.ff = FeedForward(width, sizes.feed_forward)
        self.proj_out = nn.Linear(width // patch**2, channels)
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.proj_out.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, side, side) to the same shape."""
        patches = self.patches(self.norm(x))
        tokens = patches.flatten(2).transpose(1, 2) + self.positions
        tokens = tokens + self.attention(self.attention_norm(tokens))
        tokens = tokens + self.ff(self.ff_norm(tokens))
        # Each token holds the squares of its patch, row by row, one behind the other.
        squares = self.proj_out(tokens.unflatten(2, (self.patch**2, -1)))
        by_channel = squares.permute(0, 3, 2, 1).flatten(1, 2).unflatten(2, patches.shape[-2:])
        return x + F.pixel_shuffle(by_channel, self.patch)


class Hourglass(nn.Module):
    """Halves its maps again and again, and adds up all scales on the way back (Newell et al. 2016)."""

    def __init__(self, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.upper, self.before, self.after = (FanBlock(width, width) for _ in range(3))
        self.inner: nn.Module = Hourglass(width, depth - 1, dropout) if depth > 1 else FanBlock(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width, h, w) to the same shape."""
        upper = F.dropout(self.upper(x), self.dropout, self.training)
        lower = self.after(self.inner(self.before(F.max_pool2d(x, 2))))
        return upper + F.interpolate(lower, size=upper.shape[-2:], mode="bilinear")


class MotionEncoder(nn.Module):
    """Face crops to motion latents, and motion latents to the renderer's tokens."""

    token_positions: Tensor

    def __init__(self, sizes: Encoder) -> None:
        super().__init__()
        self.sizes = sizes
        half, quarter = sizes.widths
        self.stem = nn.Conv2d(3, sizes.stem, 7, stride=2, padding=3)
        self.stem_norm = nn.BatchNorm2d(sizes.stem)
        self.block1 = FanBlock(sizes.stem, half)
        self.attention1 = PatchAttention(half, sizes.side // 2, 4, sizes)
        self.block2, self.block3 = FanBlock(half, half), FanBlock(half, quarter)
        self.attention2 = PatchAttention(quarter, sizes.side // 4, 2, sizes)
        self.hourglass = Hourglass(quarter, sizes.hourglass, sizes.dropout)
        self.top = FanBlock(quarter, quarter)
        self.last, self.last_norm = nn.Conv2d(quarter, quarter, 1), nn.BatchNorm2d(quarter)
        self.attention3 = PatchAttention(quarter, sizes.side // 4, 2, sizes)
        self.maps, self.maps_norm = nn.Conv2d(quarter, sizes.maps, 1), nn.BatchNorm2d(sizes.maps)
        self.one = nn.Conv2d(sizes.maps, 1, 3, stride=2, padding=1)
        self.latent = nn.Linear((sizes.side // 8) ** 2, sizes.motion)
        self.place = nn.Sequential(
            nn.Linear(len(NEUTRAL), sizes.placed), nn.ReLU(), nn.Linear(sizes.placed, sizes.placed)
        )
        self.fuse = nn.Linear(sizes.motion + sizes.placed, sizes.motion)
        self.register_buffer("token_positions", computed(lambda: position_table(sizes.tokens, sizes.token)))

    def forward(self, faces: Tensor) -> Tensor:
        """Map face crops (N, 3, side, side), range [-1, 1], to motion latents (N, motion)."""
        x = F.relu(self.stem_norm(self.stem(faces)))
        x = F.max_pool2d(self.attention1(self.block1(x)), 2)
        x = self.attention2(self.block3(self.block2(x)))
        x = self.attention3(self.last_norm(self.last(self.top(self.hourglass(x)))))
        x = self.one(F.relu(self.maps_norm(self.maps(F.relu(x)))))
        motion: Tensor = self.latent(F.relu(x.flatten(1)))
        return motion

    def tokens(self, motion: Tensor, placement: Tensor | None = None) -> Tensor:
        """Return what the renderer reads.

        Args:
            motion: Shape (..., motion).
            placement: Shape (..., 3): how far the head is down and right of the portrait's, in sides of the portrait's
                face box, and its size over the portrait's; `NEUTRAL` unless stated.

        Returns:
            Shape (..., tokens, motion / tokens).
        """
        if placement is None:
            placement = motion.new_tensor(NEUTRAL).expand(*motion.shape[:-1], -1)
        fused = self.fuse(torch.cat((motion, self.place(placement)), dim=-1))
        tokens: Tensor = fused.unflatten(-1, (self.sizes.tokens, self.sizes.token)) + self.token_positions
        return tokens


def as_faces(crops: NDArray[np.uint8]) -> Tensor:
    """Map face crops (N, side, side, 3), RGB, to (N, 3, side, side), range [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(crops)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _grid_table(side: int, width: int) -> Tensor:
    """Return (side², width) positions, row by row: the column in the first half, the row in the second."""
    line = position_table(side, width // 2)
    columns, rows = line[None].expand(side, -1, -1), line[:, None].expand(-1, side, -1)
    return torch.cat((columns, rows), dim=-1).flatten(0, 1)
