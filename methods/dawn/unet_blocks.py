"""Blocks of the 3-D U-Net: residual blocks that attend to sound, pose and blinks, and attention over space and time.

Source: as for `unet`. Maps are (N, C, F, h, w): clips, channels, frames, height, width. They lie in memory with the
channels last (`torch.channels_last_3d`), so that frames, pixels and features of a pixel are views, and convolutions of
single frames run as two-dimensional ones: several times as fast on CPUs as `Conv3d` with kernels of one frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from thbench_methods.dawn.attention import ChannelNorm, PreNorm, Residual, join_heads, split_heads
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from thbench_methods.dawn.config import UNetSizes

CONDITION_LOGIT_SCALE = 8.0
"""Logits of the attention to the conditions, in units of the cosine between query and key."""
SHORTEST_QUERY = 1e-12
"""Length below which a query has no direction."""


class Context(NamedTuple):
    """What every block of one forward pass is told."""

    time: Tensor
    """Shape (N, 4 * width): embedded diffusion time."""
    audio: Tensor
    """Shape (N, F, 1024)."""
    pose: Tensor
    """Shape (N, F, 6)."""
    blink: Tensor
    """Shape (N, F, 2)."""
    bias: Tensor
    """Of temporal attention, by distance: shape (heads, 2 F - 1)."""
    window: int | None
    """Of temporal attention."""


class FrameConv(nn.Conv3d):
    """A convolution whose kernel is one frame deep."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, F, H, W) to (N, outputs, F, h, w)."""
        return by_frame(
            x, lambda y: F.conv2d(y, self.weight[:, :, 0], self.bias, self.stride[1:], self._frame_padding())
        )

    def _frame_padding(self) -> tuple[int, ...]:
        return tuple(int(side) for side in self.padding[1:])


class FrameConvTranspose(nn.ConvTranspose3d):
    """A transposed convolution whose kernel is one frame deep."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Map (N, inputs, F, h, w) to (N, outputs, F, H, W)."""
        del output_size
        padding = tuple(int(side) for side in self.padding[1:])
        return by_frame(x, lambda y: F.conv_transpose2d(y, self.weight[:, :, 0], self.bias, self.stride[1:], padding))


def by_frame(x: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply a function of images (N F, C, H, W) to the frames of a map (N, C, F, H, W)."""
    frames = x.transpose(1, 2)
    changed = change(frames.flatten(0, 1))
    return changed.view(*frames.shape[:2], *changed.shape[1:]).transpose(1, 2)


class Block(nn.Module):
    """Convolution of each frame, group norm over the whole clip, scale and shift, SiLU."""

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.proj = FrameConv(inputs, outputs, (1, 3, 3), padding=(0, 1, 1))
        self.norm = nn.GroupNorm(groups, outputs)

    def forward(self, x: Tensor, scale_shift: Tensor | None = None) -> Tensor:
        """Map (N, inputs, F, h, w) to (N, outputs, F, h, w).

        Args:
            x: The map.
            scale_shift: Shape (N, 2 * outputs): added to one, what the map is multiplied with; and what is added.
        """
        x = self.norm(self.proj(x))
        if scale_shift is not None:
            scale, shift = scale_shift[:, :, None, None, None].chunk(2, dim=1)
            x = torch.addcmul(shift, x, scale + 1)
        return F.silu(x)


class Gain(nn.Module):
    """Layer norm over the last axis, with a gain and no bias."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., width) to the same shape."""
        return F.layer_norm(x, self.g.shape, self.g)


class ConditionAttention(nn.Module):
    """Each pixel attends to its frame's one condition token, or to a learned token that says nothing."""

    def __init__(self, inputs: int, outputs: int, token: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads = heads
        inner = heads * head_width
        self.null_kv = nn.Parameter(torch.randn(2, head_width))
        self.q_scale = nn.Parameter(torch.ones(head_width))
        self.k_scale = nn.Parameter(torch.ones(head_width))
        self.norm = Gain(inputs)
        self.to_q = nn.Linear(inputs, inner, bias=False)
        self.to_kv = nn.Linear(token, 2 * inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inner, outputs, bias=False), Gain(outputs))

    def forward(self, centred: Tensor, token: Tensor) -> Tensor:
        """Map pixels (B, P, inputs) of B frames, of mean 0 and variance 1, and tokens (B, token) to (B, P, outputs).

        A softmax over two is the logistic function of the difference, and values that only differ in one number per
        head are mixed by it: so heads are joined and projected once per frame and not once per pixel.
        """
        queries = F.linear(centred, self.to_q.weight * self.norm.g).view(*centred.shape[:2], self.heads, -1)
        keys, values = (part.view(len(token), self.heads, -1) for part in self.to_kv(token).chunk(2, dim=-1))
        null_key, null_value = self.null_kv
        nearer = (F.normalize(keys, dim=-1) - F.normalize(null_key, dim=-1)) * (self.k_scale * self.q_scale)
        along = (queries * (CONDITION_LOGIT_SCALE * nearer)[:, None]).sum(dim=-1)
        share = (along / queries.square().sum(dim=-1).sqrt().clamp(min=SHORTEST_QUERY)).sigmoid()
        by_head = self.to_out.get_parameter("0.weight").view(-1, self.heads, len(null_value))
        base = torch.einsum("d,ohd->o", null_value, by_head)
        change = torch.einsum("bhd,ohd->bho", values - null_value, by_head)
        y: Tensor = self.to_out[1](base + share @ change)
        return y


class ResidualBlock(nn.Module):
    """Two convolution blocks and a shortcut.

    The output heads are such blocks. In the published checkpoint they too own attention to conditions, which they never
    use; it is here so that the checkpoint fits.
    """

    def __init__(self, inputs: int, outputs: int, sizes: UNetSizes) -> None:
        super().__init__()
        self.block1 = Block(inputs, outputs, sizes.groups)
        self.block2 = Block(outputs, outputs, sizes.groups)
        self.res_conv = FrameConv(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.cross_attn_aud, self.cross_attn_pose, self.cross_attn_eye = (
            ConditionAttention(inputs, outputs, 2 * outputs, sizes.heads, sizes.condition_head_width) for _ in range(3)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, F, h, w) to (N, outputs, F, h, w)."""
        y: Tensor = self.block2(self.block1(x)) + self.res_conv(x)
        return y


class ConditionedBlock(ResidualBlock):
    """A residual block scaled by the diffusion time, whose pixels attend to sound, pose and blinks."""

    def __init__(self, inputs: int, outputs: int, sizes: UNetSizes) -> None:
        super().__init__(inputs, outputs, sizes)
        self.time_mlp, self.audio_mlp, self.pose_mlp, self.eye_mlp = (
            nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * outputs))
            for width in (4 * sizes.width, sizes.audio, sizes.pose, sizes.blink)
        )

    def forward(self, x: Tensor, context: Context) -> Tensor:  # type: ignore[override]
        """Map (N, inputs, F, h, w) to (N, outputs, F, h, w)."""
        y = self.block1(x, self.time_mlp(context.time)) + self._attended(x, context)
        z: Tensor = self.block2(y) + self.res_conv(x)
        return z

    def _attended(self, x: Tensor, context: Context) -> Tensor:
        clips, channels, frames, height, width = x.shape
        pixels = x.permute(0, 2, 3, 4, 1).flatten(2, 3).flatten(0, 1)
        centred = F.layer_norm(pixels, (channels,))
        branches = (
            (self.cross_attn_aud, self.audio_mlp, context.audio),
            (self.cross_attn_pose, self.pose_mlp, context.pose),
            (self.cross_attn_eye, self.eye_mlp, context.blink),
        )
        attended = [attention(centred, embed(given.flatten(0, 1))) for attention, embed, given in branches]
        total: Tensor = attended[0] + attended[1] + attended[2]
        return total.view(clips, frames, height, width, -1).permute(0, 4, 1, 2, 3)


class SpatialLinearAttention(nn.Module):
    """Attention over the pixels of each frame, at a cost linear in their number (Shen et al., WACV 2021)."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, head_width**-0.5
        self.to_qkv = nn.Conv2d(width, 3 * heads * head_width, 1, bias=False)
        self.to_out = nn.Conv2d(heads * head_width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width, F, h, w) to the same shape."""
        return by_frame(x, self._attended)

    def _attended(self, frames: Tensor) -> Tensor:
        queries, keys, values = (
            split_heads(part.permute(0, 2, 3, 1).flatten(1, 2), self.heads)
            for part in self.to_qkv(frames).chunk(3, dim=1)
        )
        summary = keys.softmax(dim=-2).mT @ values
        attended = join_heads((queries.softmax(dim=-1) * self.scale) @ summary)
        y: Tensor = self.to_out(attended.view(len(frames), *frames.shape[2:], -1).permute(0, 3, 1, 2))
        return y


class FullSpatialAttention(nn.Module):
    """Attention between all pixels of each frame, without positions."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Linear(width, 3 * heads * head_width, bias=False)
        self.to_out = nn.Linear(heads * head_width, width, bias=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Map (B, P, width), the pixels of B frames, to the same shape."""
        queries, keys, values = (split_heads(part, self.heads) for part in self.to_qkv(pixels).chunk(3, dim=-1))
        y: Tensor = self.to_out(join_heads(F.scaled_dot_product_attention(queries, keys, values)))
        return y


class OverFrames(nn.Module):
    """Shows `fn` the frames of each pixel as a sequence."""

    def __init__(self, fn: nn.Module) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, x: Tensor, *context: Tensor | int | None) -> Tensor:
        """Map (N, C, F, h, w) to the same shape."""
        clips, channels, frames, height, width = x.shape
        y: Tensor = self.fn(x.permute(0, 3, 4, 2, 1).reshape(-1, frames, channels), *context)
        return y.view(clips, height, width, frames, channels).permute(0, 4, 3, 1, 2)


class OverPixels(nn.Module):
    """Shows `fn` the pixels of each frame as a sequence."""

    def __init__(self, fn: nn.Module) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, F, h, w) to the same shape."""
        clips, channels, frames, height, width = x.shape
        y: Tensor = self.fn(x.permute(0, 2, 3, 4, 1).reshape(clips * frames, height * width, channels))
        return y.view(clips, frames, height, width, channels).permute(0, 4, 1, 2, 3)


def normed(width: int, fn: nn.Module) -> Residual:
    """Return `fn` behind a norm of its input's channels, added to that input."""
    return Residual(PreNorm(fn, ChannelNorm((1, width, 1, 1, 1), axis=1)))
