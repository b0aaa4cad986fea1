"""Stage 1: the autoregressive diffusion transformer over motion latents.

Full attention within a chunk, causal attention across chunks as far as the context reaches, and attention to the sound
in a window around each frame. Each chunk is told its own noise level. What a chunk gives to later ones are its keys and
values, which are kept instead of being computed anew; queries and keys are rotated by their places among what is seen,
so that a video may go on for ever.

Source: X-Actor, arXiv 2508.02944; the block is that of Peebles and Xie, "Scalable Diffusion Models with Transformers",
ICCV 2023, section 3.2 (adaLN-Zero); sizes and what the paper leaves open are the project's choice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
import torch.nn.functional as F
from thbench_methods.moda.networks import (
    BLOCK_EPSILON,
    HEAD_EPSILON,
    AudioEmbedder,
    Embedder,
    Heads,
    Mlp,
    TimeEmbedder,
    attend,
    modulation,
    split_heads,
)
from thbench_methods.nets.embeddings import angles, frequencies, rotate
from torch import Tensor, nn

from thbench.errors import UsageError

if TYPE_CHECKING:
    from thbench_methods.xactor.config import Actor


HEARD = (1.0, 2.0, 4.0, 8.0)
"""Deviations, in frames, of what the heads hear around their frame before training, one head after the other."""


class Kept(NamedTuple):
    """What later chunks read of earlier ones in one block."""

    keys: Tensor
    """Shape (B, heads, frames, d), not rotated."""
    values: Tensor
    """Of the same shape."""

    def then(self, later: Kept) -> Kept:
        """Return these frames and later ones together."""
        return Kept(*(torch.cat(pair, dim=2) for pair in zip(self, later, strict=True)))

    def last(self, frames: int) -> Kept:
        """Return the last frames, in memory of their own."""
        start = max(self.keys.shape[2] - frames, 0)
        return Kept(*(part[:, :, start:].clone() for part in self))


History = tuple[Kept, ...]
"""For each block; empty where there is nothing before."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What chunks are generated from."""

    audio: Tensor
    """Shape (B, frames + 2 reach, width): embedded sound, from `reach` frames before the first to as many behind."""
    reference: Tensor
    """Shape (B, 1, width): embedded motion of the portrait, which every frame sees."""
    context: int
    """Chunks that a chunk sees, itself included."""
    history: History = ()
    """Of the chunks before."""
    twins: bool = False
    """The history is of the same chunks as they were clean, and a chunk sees those of earlier ones in the place of the
    noisy ones: teacher forcing."""


class _Layout(NamedTuple):
    """Who sees whom."""

    queries: Tensor
    """Rotary angles (frames, pairs)."""
    keys: Tensor
    """Rotary angles (history + frames, pairs)."""
    mask: Tensor | None
    """Shape (frames, history + frames), True where it is seen; None where everything is."""


class WindowedAttention(nn.Module):
    """Cross-attention of each frame to the sound from `reach` frames before it to as many behind.

    Keys have no places; the bias alone tells them, and begins as Gaussians around the frame.
    """

    def __init__(self, width: int, heads: int, reach: int) -> None:
        super().__init__()
        self.heads, self.reach = heads, reach
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.bias = nn.Parameter(_around(heads, reach))
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, audio: Tensor) -> Tensor:
        """Map frames (B, T, width) and sound (B, T + 2 reach, width) to (B, T, width)."""
        query = self.query(x).unflatten(2, (self.heads, -1))
        around = self.key_value(audio).unfold(1, 2 * self.reach + 1, 1)
        # Each (B, T, heads, d, window).
        key, value = (part.unflatten(2, (self.heads, -1)) for part in around.chunk(2, dim=2))
        scores = (query[..., None, :] @ key)[..., 0, :] * query.shape[-1] ** -0.5 + self.bias
        heard = (value @ scores.softmax(dim=-1)[..., None])[..., 0]
        output: Tensor = self.proj(heard.flatten(2))
        return output


class Block(nn.Module):
    """Self-attention, attention to the sound, MLP; norms and gates of the first and the last follow the noise level."""

    def __init__(self, sizes: Actor) -> None:
        super().__init__()
        width = sizes.width
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.q_norm, self.k_norm = (nn.RMSNorm(width // sizes.heads, eps=HEAD_EPSILON) for _ in range(2))
        self.audio = WindowedAttention(width, sizes.heads, sizes.reach)
        self.mlp = Mlp(width)
        self.modulation = modulation(width, 6)
        _silence(cast(nn.Linear, self.modulation[-1]))

    def forward(self, x: Tensor, c: Tensor, audio: Tensor, past: Kept | None, layout: _Layout) -> tuple[Tensor, Kept]:
        """Map frames (B, T, width) to the same shape, and return what later chunks read of them.

        Args:
            x: The frames.
            c: Shape (B, n, width): modulates n equal parts of the frames.
            audio: As in `Condition`.
            past: What lies before.
            layout: Who sees whom.
        """
        per_frame = self.modulation(c).repeat_interleave(x.shape[1] // c.shape[1], dim=1)
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = per_frame.chunk(6, dim=-1)
        heads = split_heads(self.qkv(_normed(x) * (1 + scale) + shift), self.q_norm, self.k_norm, None)
        own = Kept(heads.key, heads.value)
        seen = own if past is None else past.then(own)
        query, key = rotate(heads.query, layout.queries), rotate(seen.keys, layout.keys)
        x = x + gate * self.proj(_attended(Heads(query, key, seen.values), layout.mask))
        x = x + self.audio(_normed(x), audio)
        return x + mlp_gate * self.mlp(_normed(x) * (1 + mlp_scale) + mlp_shift), own


class ActorTransformer(nn.Module):
    """Predicts clean motion of chunks, each with a noise level of its own."""

    def __init__(self, sizes: Actor, motion: int) -> None:
        """Make the network.

        Args:
            sizes: Of its parts.
            motion: Values of a motion vector.
        """
        super().__init__()
        self.sizes, width = sizes, sizes.width
        self.motion_embedder = nn.Linear(motion, width)
        self.reference_embedder = Embedder(motion, width)
        self.level_embedder = TimeEmbedder(width)
        self.audio_embedder = AudioEmbedder(sizes.audio_layers, sizes.audio, width)
        self.silence = nn.Parameter(torch.zeros(width))
        self.blocks = nn.ModuleList(Block(sizes) for _ in range(sizes.blocks))
        self.final_modulation = modulation(width, 2)
        self.final = nn.Linear(width, motion)
        _silence(cast(nn.Linear, self.final_modulation[-1]))
        _silence(self.final)

    def condition(
        self, reference: Tensor, audio: Tensor, silent: Tensor | None = None, context: int | None = None
    ) -> Condition:
        """Embed what chunks are generated from.

        Args:
            reference: Shape (B, motion): of the portrait.
            audio: Shape (B, frames + 2 reach, layers, channels): speech features around the frames.
            silent: Shape (B,), bool: hears nothing, for guidance; None for none.
            context: Chunks that a chunk sees, itself included; the sizes' unless stated.
        """
        heard = self.audio_embedder(audio)
        if silent is not None:
            heard = torch.where(silent[:, None, None], self.silence, heard)
        return Condition(heard, self.reference_embedder(reference)[:, None], context or self.sizes.context)

    def forward(self, noisy: Tensor, levels: Tensor, condition: Condition) -> Tensor:
        """Predict the clean motion.

        Args:
            noisy: Shape (B, frames, motion), whole chunks.
            levels: Shape (B, n), 0 clean to 1000 pure noise: of n equal parts of the frames; one for each chunk, or for
                each frame.
            condition: From `condition`.
        """
        return self.full(noisy, levels, condition)[0]

    def full(self, noisy: Tensor, levels: Tensor, condition: Condition) -> tuple[Tensor, Tensor]:
        """Predict the clean motion, and return the input of the last block (B, frames, width) beside it."""
        x, c, layout = self._begun(noisy, levels, condition)
        for number, block in enumerate(self._blocks[:-1]):
            x, _ = block(x, c, condition.audio, _past(condition, number), layout)
        return self._ended(x, c, condition, layout), x

    def shallow(self, noisy: Tensor, levels: Tensor, condition: Condition, deep: Tensor) -> Tensor:
        """Predict the clean motion by the last block alone, from an earlier step's input of that block."""
        _, c, layout = self._begun(noisy, levels, condition)
        return self._ended(deep, c, condition, layout)

    def remember(self, motion: Tensor, levels: Tensor, condition: Condition) -> History:
        """Return the history with some more chunks, as long as a later chunk can see it.

        Args:
            motion: Shape (B, frames, motion), noised.
            levels: As in `forward`.
            condition: Of these chunks, with what lies before them.
        """
        longest = (condition.context - 1) * self.sizes.chunk
        own = self._kept(motion, levels, condition)
        before = condition.history
        return tuple((before[number].then(kept) if before else kept).last(longest) for number, kept in enumerate(own))

    def after_clean(self, clean: Tensor, condition: Condition) -> Condition:
        """Return the condition under which each chunk sees the earlier ones of (B, frames, motion) as they are clean.

        Args:
            clean: The same frames.
            condition: Without history.
        """
        levels = torch.zeros(len(clean), 1, dtype=torch.int64, device=clean.device)
        return replace(condition, history=self._kept(clean, levels, condition), twins=True)

    @property
    def _blocks(self) -> list[Block]:
        return [cast(Block, block) for block in self.blocks]

    def _kept(self, motion: Tensor, levels: Tensor, condition: Condition) -> History:
        x, c, layout = self._begun(motion, levels, condition)
        found = []
        for number, block in enumerate(self._blocks):
            x, kept = block(x, c, condition.audio, _past(condition, number), layout)
            found.append(kept)
        return tuple(found)

    def _begun(self, noisy: Tensor, levels: Tensor, condition: Condition) -> tuple[Tensor, Tensor, _Layout]:
        if noisy.shape[1] % self.sizes.chunk or noisy.shape[1] % levels.shape[1]:
            raise UsageError(
                f"{noisy.shape[1]} frames with {levels.shape[1]} noise levels; give whole chunks of {self.sizes.chunk}"
                " frames and levels of equal parts of them"
            )
        x = self.motion_embedder(noisy) + condition.reference
        c = self.level_embedder(levels) + condition.reference
        return x, c, self._layout(noisy, condition)

    def _ended(self, x: Tensor, c: Tensor, condition: Condition, layout: _Layout) -> Tensor:
        number = len(self.blocks) - 1
        x, _ = self._blocks[number](x, c, condition.audio, _past(condition, number), layout)
        per_frame = self.final_modulation(c).repeat_interleave(x.shape[1] // c.shape[1], dim=1)
        shift, scale = per_frame.chunk(2, dim=-1)
        clean: Tensor = self.final(_normed(x) * (1 + scale) + shift)
        return clean

    def _layout(self, noisy: Tensor, condition: Condition) -> _Layout:
        frames, device = noisy.shape[1], noisy.device
        before = condition.history[0].keys.shape[2] if condition.history else 0
        own = torch.arange(frames, device=device)
        if condition.twins:
            queries, keys = own, torch.cat((own, own))
        else:
            queries, keys = before + own, torch.arange(before + frames, device=device)
        age = queries[:, None] // self.sizes.chunk - keys // self.sizes.chunk
        seen = (age >= 0) & (age < condition.context)
        if condition.twins:
            # Of the clean twins those of earlier chunks, of the noisy ones those of the own chunk.
            seen = seen & ((age == 0) == (torch.arange(2 * frames, device=device) >= frames))
        rates = frequencies(self.sizes.width // self.sizes.heads // 2, self.sizes.rotary_theta).to(noisy)
        everything = (
            frames == self.sizes.chunk and not condition.twins and before < condition.context * self.sizes.chunk
        )
        return _Layout(angles(queries, rates), angles(keys, rates), None if everything else seen)


def _around(heads: int, reach: int) -> Tensor:
    """Return the logarithm of a Gaussian around the frame for each head, (heads, 2 reach + 1)."""
    away = torch.arange(-reach, reach + 1, dtype=torch.float32)
    deviations = torch.tensor([HEARD[head % len(HEARD)] for head in range(heads)])
    return -0.5 * (away / deviations[:, None]).square()


def _past(condition: Condition, number: int) -> Kept | None:
    return condition.history[number] if condition.history else None


def _normed(x: Tensor) -> Tensor:
    return F.rms_norm(x, x.shape[-1:], eps=BLOCK_EPSILON)


def _attended(heads: Heads, mask: Tensor | None) -> Tensor:
    if mask is None:
        return attend(heads)
    return F.scaled_dot_product_attention(*heads, attn_mask=mask).transpose(1, 2).flatten(2)


def _silence(layer: nn.Linear) -> None:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
