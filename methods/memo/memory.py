"""Memory-guided temporal module (section 3.2): linear attention over frames whose sums remember earlier frames.

Linear attention needs of the frames that are attended to only two sums, of keys and of keys times values. Those of all
frames before a clip, older ones weighed less, are its memory. They depend on nothing that is denoised, so they are
computed once per clip and given to every step; the public code keeps them in the attention and says when to write.

Source: arXiv 2412.04448, section 3.2; memoavatar/memo, memo/models/motion_module.py and attention_processor.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

import torch
from thbench_methods.memo.config import DECAY
from thbench_methods.nets.unet3d.attention import FeedForward, join_heads, split_heads
from thbench_methods.nets.unet3d.focus import Attend, Choose, Focus, Run, attend_at, everywhere
from thbench_methods.nets.unet3d.layout import by_pixel, frames_last, pixels_last, to_maps, to_tokens
from thbench_methods.nets.unet3d.motion import ATTENTIONS, TemporalAttention
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thbench_methods.nets.unet3d.config import Sizes
    from thbench_methods.nets.unet3d.unet import Place

SMALLEST = 1e-10
"""Least sum of weights that is divided by."""


class Sums(NamedTuple):
    """What linear attention needs of some frames, for each pixel and head."""

    products: Tensor
    """Shape (N, heads, d, d): keys times values."""
    keys: Tensor
    """Shape (N, heads, 1, d)."""

    def plus(self, older: Sums, weight: float) -> Sums:
        """Return these sums and weighed older ones together."""
        return Sums(self.products + weight * older.products, self.keys + weight * older.keys)


Memory = tuple[Sums, ...]
"""One for each temporal attention of a motion module."""


class MemoryCall(Protocol):
    """What a motion module needs to know of a forward pass."""

    @property
    def frames(self) -> int:
        """Frames of a clip; row b F + f is frame f of clip b."""
        ...

    @property
    def memory(self) -> Mapping[str, Memory]:
        """Place of a motion module to what it remembers."""
        ...

    @property
    def focus(self) -> Focus | None:
        """Where attention acts; None for everywhere."""
        ...


class LinearTemporalAttention(TemporalAttention):
    """Linear attention over the frames of a clip and a memory of those before."""

    def recall(self, x: Tensor, memory: Sums) -> Tensor:
        """Map frames (N, F, width) to the same shape."""
        placed = self.pos_encoder(x)
        query = split_heads(self.to_q(placed), self.heads)
        query = query.softmax(-1) * query.shape[-1] ** -0.5
        sums = self._sums(placed, decay=1.0).plus(memory, DECAY)
        weights = (query @ sums.keys.transpose(-1, -2)).clamp(min=SMALLEST)
        output: Tensor = self.to_out[0](join_heads(query @ sums.products / weights))
        return output

    def remember(self, past: Tensor, before: Sums | None) -> Sums:
        """Return the memory after some more frames.

        Args:
            past: Shape (N, n, width), oldest first; they are given no positions.
            before: The memory until then.
        """
        sums = self._sums(past, DECAY)
        return sums if before is None else sums.plus(before, DECAY ** past.shape[1])

    def _sums(self, x: Tensor, decay: float) -> Sums:
        """Sum keys and products; a frame counts `decay` for each one that follows, both as key and as value."""
        key = split_heads(self.to_k(x), self.heads).softmax(-2)
        value = split_heads(self.to_v(x), self.heads)
        if decay != 1.0:
            following = torch.arange(x.shape[1] - 1, -1, -1, device=x.device, dtype=x.dtype)
            faded = (decay**following)[:, None]
            key, value = key * faded, value * faded
        return Sums(key.transpose(-1, -2) @ value, key.sum(-2, keepdim=True))


class MemoryBlock(nn.Module):
    """Two linear temporal attentions and a feed-forward, each behind a layer norm, with the identity."""

    def __init__(self, width: int, heads: int, positions: int, feed_forward: int = 4) -> None:
        super().__init__()
        attentions = [LinearTemporalAttention(width, heads, positions) for _ in range(ATTENTIONS)]
        self.attention_blocks = nn.ModuleList(attentions)
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(ATTENTIONS)])
        self.ff = FeedForward(width, feed_forward)
        self.ff_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, memory: Memory, clips: int = 1, attend: Attend = everywhere) -> Tensor:
        """Map (clips L, F, width) to the same shape; `attend` is given the L pixels of each clip."""
        for index, (norm, attention, sums) in enumerate(zip(self.norms, self._attentions, memory, strict=True)):
            rows = by_pixel(norm(x), clips)
            run = _recalling(attention, sums, clips)
            x = x + attend(f"attention_blocks.{index}", rows, run).flatten(0, 1)
        mixed: Tensor = x + self.ff(self.ff_norm(x))
        return mixed

    def remember(self, past: Tensor, before: Memory | None) -> Memory:
        """Return the memory after frames (N, n, width). The second attention sees them as the first one did."""
        older: Sequence[Sums | None] = before or (None,) * ATTENTIONS
        layers = zip(self.norms, self._attentions, older, strict=True)
        return tuple(attention.remember(norm(past), sums) for norm, attention, sums in layers)

    @property
    def _attentions(self) -> list[LinearTemporalAttention]:
        return [cast(LinearTemporalAttention, attention) for attention in self.attention_blocks]


def _recalling(attention: LinearTemporalAttention, memory: Sums, clips: int) -> Run:
    """Return the attention over rows (clips, L, F, width) of pixels, with the memory of the same pixels."""

    def run(own: Tensor, chosen: Choose) -> Tensor:
        older = Sums(*(chosen(by_pixel(part, clips)).flatten(0, 1) for part in memory))
        return by_pixel(attention.recall(own.flatten(0, 1), older), clips)

    return run


class MemoryTransformer(nn.Module):
    """Group norm of each frame, linear in, memory block at each pixel, linear out."""

    def __init__(self, channels: int, sizes: Sizes) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(sizes.groups, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList(
            [MemoryBlock(channels, sizes.heads, sizes.positions, sizes.feed_forward)]
        )
        self.proj_out = nn.Linear(channels, channels)


class MemoryModule(nn.Module):
    """Motion module with a memory of all frames before the clip."""

    def __init__(self, place: Place, sizes: Sizes) -> None:
        super().__init__()
        self.place, self.runs = place.name, True
        self.temporal_transformer = MemoryTransformer(place.channels, sizes)

    def forward(self, x: Tensor, call: MemoryCall) -> Tensor:
        """Map (B F, C, h, w) to the same shape; the first stage of training leaves it out (`runs` is False)."""
        if not self.runs:
            return x
        clips, attend = len(x) // call.frames, attend_at(call.focus, self.place)
        mixed = self._block(self._sequences(to_tokens(x), call.frames), call.memory[self.place], clips, attend)
        output = self.temporal_transformer.proj_out(pixels_last(mixed, clips))
        return x + to_maps(output, x)

    def remember(self, past: Tensor, before: Memory | None) -> Memory:
        """Return the memory of a clip.

        Args:
            past: Shape (B, n, h w, C): features of the frames before it, oldest first.
            before: The memory of the clip before; None where there is none.
        """
        return self._block.remember(self._sequences(past.flatten(0, 1), past.shape[1]), before)

    @property
    def _block(self) -> MemoryBlock:
        return cast(MemoryBlock, self.temporal_transformer.transformer_blocks[0])

    def _sequences(self, tokens: Tensor, frames: int) -> Tensor:
        inner = self.temporal_transformer
        normed = inner.norm(tokens.transpose(1, 2)).transpose(1, 2)
        return frames_last(inner.proj_in(normed), frames)
