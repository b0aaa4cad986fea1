"""DreamTalk's denoising network: expression from audio, style clip and noise.

Every frame is denoised by itself, under the window of speech features around it; frames share only the style code. Key
names are those of `denoising_network.pth` behind `diff_net.`. Source: arXiv 2312.09767;
ali-vilab/dreamtalk, core/networks/.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from thbench_methods.dreamtalk.config import PAPER, Config, Sizes
from thbench_methods.dreamtalk.schedule import VarianceSchedule
from thbench_methods.nets.building import computed
from thbench_methods.nets.embeddings import angles, frequencies, position_table
from torch import Tensor, nn

PADDING_SCORE = -1e5
PREFIX = "diff_net."
"""Of every key in the published checkpoint."""


class Condition(NamedTuple):
    """What expression is generated from; computed once per clip."""

    content: Tensor
    """Shape (N, frames, window, width), from the content encoder."""
    style: Tensor
    """Shape (N, width), from the style encoder or a style predictor."""


class PositionEmbedding(nn.Module):
    """Adds a table of sinusoids."""

    pos_table: Tensor

    def __init__(self, width: int, length: int) -> None:
        super().__init__()
        self.register_buffer("pos_table", computed(lambda: position_table(length, width)[None]))

    def forward(self, x: Tensor) -> Tensor:
        """Add positions to (N, tokens, width); at most as many tokens as the table is long."""
        return x + self.pos_table[:, : x.shape[1]]


class TokenEncoder(nn.Module):
    """Linear embedding, positions, post-norm transformer layers without a last norm."""

    def __init__(self, inputs: int, length: int, sizes: Sizes) -> None:
        super().__init__()
        self.increase_embed_dim = nn.Linear(inputs, sizes.width)
        self.pos_embed = PositionEmbedding(sizes.width, length)
        layer = nn.TransformerEncoderLayer(sizes.width, sizes.heads, sizes.feed_forward, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, sizes.layers, enable_nested_tensor=False)

    def encode(self, tokens: Tensor, padding: Tensor | None = None) -> Tensor:
        """Map (N, tokens, inputs), padded where `padding` (N, tokens) is True, to (N, tokens, width)."""
        x = self.pos_embed(self.increase_embed_dim(tokens))
        encoded: Tensor = self.encoder(x, src_key_padding_mask=padding)
        return encoded


class ContentEncoder(TokenEncoder):
    """Encodes the window of speech features around each frame."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes.audio, sizes.window, sizes)

    def forward(self, audio: Tensor) -> Tensor:
        """Map windows (N, frames, window, audio) to (N, frames, window, width)."""
        return self.encode(audio.flatten(0, 1)).reshape(*audio.shape[:3], -1)


class AttentionPooling(nn.Module):
    """Sum over a sequence with learned weights."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.W = nn.Sequential(nn.Linear(width, width), nn.Mish(), nn.Linear(width, 1))

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        """Map (N, tokens, width), padded where `padding` (N, tokens) is True, to (N, width)."""
        scores = self.W(x)[..., 0] + PADDING_SCORE * padding
        return torch.einsum("nt,ntd->nd", scores.softmax(dim=-1), x)


class StyleEncoder(TokenEncoder):
    """Encodes a clip of expression into one style code."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes.motion, sizes.style_length, sizes)
        self.aggregate_method = AttentionPooling(sizes.width)

    def forward(self, clip: Tensor, padding: Tensor) -> Tensor:
        """Map a clip (N, frames, motion), padded where `padding` (N, frames) is True, to (N, width)."""
        code: Tensor = self.aggregate_method(self.encode(clip, padding), padding)
        return code


class FaceDecoder(nn.Module):
    """Two transformer decoders, one for the upper and one for the lower face."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.window = sizes.window
        width, half = sizes.width, sizes.width // 2
        upper_face = [channel for channel in range(sizes.motion) if channel not in sizes.lower_face]
        self._channels = {"upper": upper_face, "lower": list(sizes.lower_face)}
        self.pos_embed = PositionEmbedding(width, sizes.window)
        for part, channels in self._channels.items():
            layer = nn.TransformerDecoderLayer(width, sizes.heads, sizes.feed_forward, batch_first=True)
            head = (nn.Linear(width, half), nn.ReLU(), nn.Linear(half, half), nn.ReLU(), nn.Linear(half, len(channels)))
            self.add_module(f"{part}_decoder", nn.TransformerDecoder(layer, sizes.layers, nn.LayerNorm(width)))
            self.add_module(f"{part}_tail_fc", nn.Sequential(*head))

    def queries(self, style: Tensor) -> Tensor:
        """Return what the decoders start from: the style code (N, width) at each slot, (N, window, width)."""
        queries: Tensor = self.pos_embed(style[:, None].expand(-1, self.window, -1))
        return queries

    def trunk(self, queries: Tensor, memory: Tensor) -> Tensor:
        """Run all layers but the last of each part: queries and memory (N, window, width) to (2, N, window, width)."""
        parts = []
        for part in self._channels:
            x = queries
            for layer in getattr(self, f"{part}_decoder").layers[:-1]:
                x = layer(x, memory)
            parts.append(x)
        return torch.stack(parts)

    def last(self, deep: Tensor, memory: Tensor) -> Tensor:
        """Run the last layers and read the middle slot: (2, N, window, width) and memory to expression (N, motion)."""
        motion = memory.new_empty(len(memory), sum(map(len, self._channels.values())))
        for (part, channels), x in zip(self._channels.items(), deep, strict=True):
            decoder = getattr(self, f"{part}_decoder")
            decoded = decoder.norm(decoder.layers[-1](x, memory))
            motion[:, channels] = getattr(self, f"{part}_tail_fc")(decoded[:, self.window // 2])
        return motion


class NoisePredictor(nn.Module):
    """The denoising network itself (named after its class in the public code; it predicts clean expression)."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width = self.width = sizes.width
        self.content_encoder = ContentEncoder(sizes)
        self.style_encoder = StyleEncoder(sizes)
        self.decoder = FaceDecoder(sizes)
        self.content_xt_to_decoder_input_wo_time = nn.Sequential(
            nn.Linear(width + sizes.motion, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, width),
        )
        self.time_embed_net = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        """Predict clean expression.

        Args:
            noisy: Shape (N, frames, motion).
            time: Shape (N,), diffusion step 1 ... 1000.
            condition: Content and style.

        Returns:
            Shape (N, frames, motion).
        """
        return self.full(noisy, time, condition)[0]

    def full(self, noisy: Tensor, time: Tensor, condition: Condition) -> tuple[Tensor, Tensor]:
        """Predict clean expression, and return the input of the decoders' last layers beside it."""
        memory = self._memory(noisy, time, condition)
        queries = self.decoder.queries(condition.style).repeat_interleave(noisy.shape[1], dim=0)
        deep = self.decoder.trunk(queries, memory)
        return self.decoder.last(deep, memory).reshape(noisy.shape), deep

    def shallow(self, noisy: Tensor, time: Tensor, condition: Condition, deep: Tensor) -> Tensor:
        """Predict clean expression by the decoders' last layers alone, from an earlier step's input of theirs."""
        return self.decoder.last(deep, self._memory(noisy, time, condition)).reshape(noisy.shape)

    def _memory(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        """Return what the decoders attend to, (N frames, window, width): content, noisy motion and time."""
        return (self._fused(noisy, condition.content) + self._time(time)[:, None, None]).flatten(0, 1)

    def _fused(self, noisy: Tensor, content: Tensor) -> Tensor:
        slots = noisy[:, :, None].expand(-1, -1, content.shape[2], -1)
        fused: Tensor = self.content_xt_to_decoder_input_wo_time(torch.cat((content, slots), dim=-1))
        return fused

    def _time(self, time: Tensor) -> Tensor:
        turns = angles(time, frequencies(self.width // 2).to(time.device))
        embedded: Tensor = self.time_embed_net(torch.cat((turns.cos(), turns.sin()), dim=-1))
        return embedded


class DiffusionNet(nn.Module):
    """The denoising network with its variance schedule and the null style of classifier-free guidance."""

    null_style_clip: Tensor
    null_pad_mask: Tensor

    def __init__(self, config: Config = PAPER) -> None:
        super().__init__()
        sizes = config.sizes
        self.net = NoisePredictor(sizes)
        self.var_sched = VarianceSchedule(config.diffusion)
        self.register_buffer("null_style_clip", computed(lambda: torch.zeros(sizes.style_length, sizes.motion)))
        # Not masked: the zeros of the null clip are attended to, as published.
        self.register_buffer("null_pad_mask", computed(lambda: torch.zeros(sizes.style_length, dtype=torch.bool)))

    def style(self, clip: Tensor, lengths: Tensor) -> Tensor:
        """Return style codes (N, width) of clips (N, style_length, motion) of which `lengths` (N,) frames count."""
        frame = torch.arange(clip.shape[1], device=clip.device)
        code: Tensor = self.net.style_encoder(clip, frame >= lengths[:, None])
        return code

    def null_style(self) -> Tensor:
        """Return the style code (1, width) of no style."""
        code: Tensor = self.net.style_encoder(self.null_style_clip[None], self.null_pad_mask[None])
        return code

    def content(self, audio: Tensor) -> Tensor:
        """Return content (N, frames, window, width) of windows of speech features (N, frames, window, audio)."""
        content: Tensor = self.net.content_encoder(audio)
        return content

    def guided(self, noisy: Tensor, time: Tensor, condition: Condition, null_style: Tensor, scale: float) -> Tensor:
        """Predict clean expression under classifier-free guidance of the style.

        Args:
            noisy: Shape (N, frames, motion).
            time: Shape (N,).
            condition: Content and style.
            null_style: Shape (1, width), from `null_style`.
            scale: 0 has no style, 1 has the style, more exaggerates it. At 1 one pass is enough.
        """
        if scale == 1:
            styled: Tensor = self.net(noisy, time, condition)
            return styled
        styles = torch.cat((condition.style, null_style.expand_as(condition.style)))
        both = Condition(condition.content.repeat(2, 1, 1, 1), styles)
        styled, plain = self.net(noisy.repeat(2, 1, 1), time.repeat(2), both).chunk(2)
        return torch.lerp(plain, styled, scale)
