"""MoDA's multi-stream diffusion transformer.

Motion, audio, emotion and identity start as four streams that attend to each other (coarse), go on as motion and
condition (intermediate), and end as one sequence (fine). Key names are those of `net-200.pth`. Source: arXiv
2507.03256; lixinyyang/MoDA, src/models/dit/talking_head_dit.py and talking_head_diffusion.py.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from thbench_methods.moda.config import PAPER, Sizes
from thbench_methods.moda.schedule import training_sigmas
from thbench_methods.nets.building import computed
from thbench_methods.nets.embeddings import angles, frequencies, rotate
from torch import Tensor, nn

BLOCK_EPSILON, HEAD_EPSILON = 1e-6, 1e-5
EXPANSION = 4
"""Width of the hidden layer of an MLP over its input."""
TIME_WIDTH = 256
COARSE_STREAMS = ("xs", "au1", "au2", "au3")
"""Motion, audio, emotion, identity, as their parts are called in the checkpoint."""
INTERMEDIATE_STREAMS = ("xs", "au")
"""Motion; audio, emotion and identity together."""


class Condition(NamedTuple):
    """What a window of motion is generated from, embedded; computed once per window."""

    previous: Tensor
    """Shape (N, 1, motion): normalised motion of the frame before the window."""
    audio: Tensor
    """Shape (N, frames, width)."""
    emotion: Tensor
    """Shape (N, width)."""
    identity: Tensor
    """Shape (N, width)."""


class Embedder(nn.Module):
    """Linear, SiLU, linear."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., width)."""
        y: Tensor = self.mlp(x)
        return y


class TimeEmbedder(Embedder):
    """Embeds the sinusoid of a time: cosines, then sines."""

    def __init__(self, width: int) -> None:
        super().__init__(TIME_WIDTH, width)

    def forward(self, time: Tensor) -> Tensor:
        """Map (N,) to (N, width)."""
        turns = angles(time, frequencies(TIME_WIDTH // 2).to(time.device))
        return super().forward(torch.cat((turns.cos(), turns.sin()), dim=-1))


class AudioEmbedder(nn.Module):
    """All layers of the speech encoder to one token per frame."""

    def __init__(self, layers: int, audio: int, width: int) -> None:
        super().__init__()
        self.proj1 = nn.Linear(layers * audio, width)
        self.proj2 = nn.Linear(width, width)
        self.proj3 = nn.Linear(width, width)
        self.norm = nn.RMSNorm(width, eps=BLOCK_EPSILON)

    def forward(self, audio: Tensor) -> Tensor:
        """Map (N, frames, layers, audio) to (N, frames, width)."""
        x = F.relu(self.proj1(audio.flatten(2)))
        tokens: Tensor = self.norm(self.proj3(F.relu(self.proj2(x))))
        return tokens


class EmotionEmbedder(nn.Module):
    """One vector for each emotion, and one for none."""

    def __init__(self, emotions: int, width: int) -> None:
        super().__init__()
        self.embedding_table = nn.Embedding(emotions + 1, width)

    def forward(self, emotion: Tensor) -> Tensor:
        """Map indices (N,) to (N, width)."""
        vector: Tensor = self.embedding_table(emotion)
        return vector


class Mlp(nn.Module):
    """Linear, GELU in tanh form, linear."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, EXPANSION * width)
        self.fc2 = nn.Linear(EXPANSION * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., width) to the same shape."""
        y: Tensor = self.fc2(F.gelu(self.fc1(x), approximate="tanh"))
        return y


class Heads(NamedTuple):
    """Query, key and value, each of shape (N, heads, tokens, head width)."""

    query: Tensor
    key: Tensor
    value: Tensor


def split_heads(qkv: Tensor, query_norm: nn.Module, key_norm: nn.Module, turns: Tensor | None) -> Heads:
    """Split (N, tokens, 3 width) into heads as wide as the norms, normalise queries and keys, and rotate them."""
    head_width = len(query_norm.get_parameter("weight"))
    heads = qkv.reshape(*qkv.shape[:2], 3, -1, head_width)
    query, key, value = heads.permute(2, 0, 3, 1, 4)
    query, key = query_norm(query), key_norm(key)
    if turns is not None:
        query, key = rotate(query, turns), rotate(key, turns)
    return Heads(query, key, value)


def attend(heads: Heads) -> Tensor:
    """Return attention over all tokens, (N, tokens, width)."""
    return F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Normalise tokens (N, tokens, width) and modulate them by (N, width)."""
    return F.rms_norm(x, x.shape[-1:], eps=BLOCK_EPSILON) * (1 + scale[:, None]) + shift[:, None]


def modulation(width: int, chunks: int) -> nn.Sequential:
    """Return the network from the modulation vector to shifts, scales and gates."""
    return nn.Sequential(nn.SiLU(), nn.Linear(width, chunks * width))


class JointAttention(nn.Module):
    """Streams with projections of their own attend to the tokens of all streams."""

    def __init__(self, width: int, heads: int, streams: tuple[str, ...]) -> None:
        super().__init__()
        self.streams = streams
        for stream in streams:
            self.add_module(f"qkv_{stream}", nn.Linear(width, 3 * width))
            self.add_module(_numbered(stream, "q_norm"), nn.RMSNorm(width // heads, eps=HEAD_EPSILON))
            self.add_module(_numbered(stream, "k_norm"), nn.RMSNorm(width // heads, eps=HEAD_EPSILON))
            self.add_module(_numbered(stream, "proj"), nn.Linear(width, width))

    def forward(self, inputs: list[Tensor], turns: list[Tensor | None]) -> list[Tensor]:
        """Map streams (N, tokens, width) with rotary angles, or none, to the same shapes."""
        parts = [self._heads(*each) for each in zip(self.streams, inputs, turns, strict=True)]
        joint = Heads(*(torch.cat(part, dim=2) for part in zip(*parts, strict=True)))
        outputs = torch.split(attend(joint), [x.shape[1] for x in inputs], dim=1)
        return [getattr(self, _numbered(name, "proj"))(y) for name, y in zip(self.streams, outputs, strict=True)]

    def _heads(self, stream: str, x: Tensor, turns: Tensor | None) -> Heads:
        query_norm, key_norm = (getattr(self, _numbered(stream, norm)) for norm in ("q_norm", "k_norm"))
        return split_heads(getattr(self, f"qkv_{stream}")(x), query_norm, key_norm, turns)


def _numbered(stream: str, part: str) -> str:
    """Return a part's published name: `au_proj2` for the projection of stream `au2`."""
    name = stream.rstrip("0123456789")
    return f"{name}_{part}{stream.removeprefix(name)}"


class JointBlock(nn.Module):
    """Transformer block over several streams: joint attention, then an MLP for each stream."""

    def __init__(self, width: int, heads: int, streams: tuple[str, ...]) -> None:
        super().__init__()
        self.names = [stream.replace("au", "audio") for stream in streams]
        self.attn1 = JointAttention(width, heads, streams)
        for name in self.names:
            self.add_module(_numbered(name, "mlp"), Mlp(width))
            self.add_module(f"adaLN_modulation_{name}", modulation(width, 6))

    def forward(self, streams: list[Tensor], c: Tensor, turns: list[Tensor | None]) -> list[Tensor]:
        """Map streams (N, tokens, width) under the modulation vector (N, width) to the same shapes."""
        chunks = [getattr(self, f"adaLN_modulation_{name}")(c).chunk(6, dim=-1) for name in self.names]
        inputs = [modulated(x, shift, scale) for x, (shift, scale, *_) in zip(streams, chunks, strict=True)]
        outputs = []
        for name, x, attended, (_, _, gate, shift, scale, mlp_gate) in zip(
            self.names, streams, self.attn1(inputs, turns), chunks, strict=True
        ):
            y = x + gate[:, None] * attended
            mlp = getattr(self, _numbered(name, "mlp"))
            outputs.append(y + mlp_gate[:, None] * mlp(modulated(y, shift, scale)))
        return outputs


class HeadNorms(nn.Module):
    """Norms of queries and keys, under the name that they have in the single-stream blocks."""

    def __init__(self, head_width: int) -> None:
        super().__init__()
        self.xs_q_norm = nn.RMSNorm(head_width, eps=HEAD_EPSILON)
        self.xs_k_norm = nn.RMSNorm(head_width, eps=HEAD_EPSILON)


class SingleBlock(nn.Module):
    """Transformer block over one sequence, attention and MLP side by side."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.sizes = (3 * width, EXPANSION * width)
        self.qkv_xs = nn.Linear(width, sum(self.sizes))
        self.linear2 = nn.Linear(width + EXPANSION * width, width)
        self.attn1 = HeadNorms(width // heads)
        self.adaLN_modulation_xs = modulation(width, 3)

    def forward(self, x: Tensor, c: Tensor, turns: Tensor) -> Tensor:
        """Map tokens (N, tokens, width) under the modulation vector (N, width) to the same shape."""
        shift, scale, gate = self.adaLN_modulation_xs(c).chunk(3, dim=-1)
        qkv, hidden = self.qkv_xs(modulated(x, shift, scale)).split(self.sizes, dim=-1)
        attended = attend(split_heads(qkv, self.attn1.xs_q_norm, self.attn1.xs_k_norm, turns))
        y = self.linear2(torch.cat((attended, F.gelu(hidden, approximate="tanh")), dim=-1))
        return x.add(gate[:, None] * y)


class FinalLayer(nn.Module):
    """Modulated norm and projection to motion."""

    def __init__(self, width: int, motion: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, motion)
        self.adaLN_modulation = modulation(width, 2)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Map (N, frames, width) under the modulation vector (N, width) to (N, frames, motion)."""
        shift, scale = self.adaLN_modulation(c).chunk(2, dim=-1)
        y: Tensor = self.linear(modulated(x, shift, scale))
        return y


class TalkingHeadTransformer(nn.Module):
    """Predicts the velocity of a window of motion."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width, heads = sizes.width, sizes.heads
        self.head_width, self.rotary_theta = width // heads, sizes.rotary_theta
        self.motion_embedder = Embedder(2 * sizes.motion, width)
        self.identity_embedder = Embedder(sizes.identity, width)
        self.time_embedder = TimeEmbedder(width)
        self.audio_embedder = AudioEmbedder(sizes.audio_layers, sizes.audio, width)
        self.emo_embedder = EmotionEmbedder(sizes.emotions, width)
        self.blocks4 = nn.ModuleList(JointBlock(width, heads, COARSE_STREAMS) for _ in range(sizes.blocks4))
        self.blocks2 = nn.ModuleList(JointBlock(width, heads, INTERMEDIATE_STREAMS) for _ in range(sizes.blocks2))
        self.blocks = nn.ModuleList(SingleBlock(width, heads) for _ in range(sizes.blocks))
        self.final_layer = FinalLayer(width, sizes.motion)

    def condition(self, previous: Tensor, audio: Tensor, identity: Tensor, emotion: Tensor) -> Condition:
        """Embed what a window is generated from.

        Args:
            previous: Shape (N, 1, motion), normalised.
            audio: Shape (N, frames, audio_layers, audio), hidden states of the speech encoder.
            identity: Shape (N, identity), canonical key-points as extracted.
            emotion: Shape (N,), class index; the last one is none.
        """
        return Condition(
            previous, self.audio_embedder(audio), self.emo_embedder(emotion), self.identity_embedder(identity)
        )

    def forward(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        """Predict the velocity, noise less clean motion.

        Args:
            noisy: Shape (N, frames, motion); any number of frames.
            time: Shape (N,), 1000 times the noise level, 0 ... 1000; may be fractional.
            condition: From `condition`.

        Returns:
            Shape (N, frames, motion).
        """
        return self.full(noisy, time, condition)[0]

    def full(self, noisy: Tensor, time: Tensor, condition: Condition) -> tuple[Tensor, Tensor]:
        """Predict the velocity, and return the input of the last block (N, 4 frames, width) beside it."""
        c, turns = self.modulation_vector(time, condition), self._turns(noisy)
        streams = self._streams(noisy, condition)
        for block in self.blocks4:
            streams = block(streams, c, [turns, turns, None, None])
        conditions = len(streams) - 1
        streams = [streams[0], torch.cat(streams[1:], dim=1)]
        for block in self.blocks2:
            streams = block(streams, c, [turns, turns.repeat(conditions, 1)])
        tokens = torch.cat(streams, dim=1)
        for block in self.blocks[:-1]:
            tokens = block(tokens, c, turns.repeat(1 + conditions, 1))
        return self._last(tokens, c, turns), tokens

    def shallow(self, noisy: Tensor, time: Tensor, condition: Condition, deep: Tensor) -> Tensor:
        """Predict the velocity by the last block alone, from an earlier step's input of that block."""
        return self._last(deep, self.modulation_vector(time, condition), self._turns(noisy))

    def modulation_vector(self, time: Tensor, condition: Condition) -> Tensor:
        """Return the vector (N, width) that modulates all streams: time and emotion."""
        vector: Tensor = self.time_embedder(time) + condition.emotion
        return vector

    def _streams(self, noisy: Tensor, condition: Condition) -> list[Tensor]:
        frames = noisy.shape[1]
        motion = self.motion_embedder(torch.cat((condition.previous.expand(-1, frames, -1), noisy), dim=-1))
        emotion, identity = (token[:, None].expand(-1, frames, -1) for token in (condition.emotion, condition.identity))
        return [motion, condition.audio, emotion, identity]

    def _last(self, tokens: Tensor, c: Tensor, turns: Tensor) -> Tensor:
        frames = len(turns)
        tokens = self.blocks[-1](tokens, c, turns.repeat(tokens.shape[1] // frames, 1))
        velocity: Tensor = self.final_layer(tokens[:, :frames], c)
        return velocity

    def _turns(self, noisy: Tensor) -> Tensor:
        """Return rotary angles (frames, head width / 2); all streams count the same frames."""
        rates = frequencies(self.head_width // 2, self.rotary_theta).to(noisy)
        return angles(torch.arange(noisy.shape[1], device=noisy.device), rates)


class Scheduler(nn.Module):
    """The table that lies in the published checkpoint; the sampler takes its own from `moda.schedule`."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("sigmas", computed(training_sigmas))


class MotionDiffusion(nn.Module):
    """The transformer with the null features of classifier-free guidance."""

    null_audio_feat: Tensor

    def __init__(self, sizes: Sizes = PAPER.sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.null_audio_feat = nn.Parameter(torch.randn(1, 1, 1, 1, sizes.audio))
        self.null_motion_feat = nn.Parameter(torch.randn(1, 1, sizes.motion))  # in the published file; not used
        self.talking_head_dit = TalkingHeadTransformer(sizes)
        self.scheduler = Scheduler()

    def unconditional(self, condition: Condition) -> Condition:
        """Return a condition without speech and emotion; identity and previous motion stay."""
        net = self.talking_head_dit
        batch, frames = condition.audio.shape[:2]
        silence: Tensor = net.audio_embedder(self.null_audio_feat[0].expand(1, 1, self.sizes.audio_layers, -1))
        none = net.emo_embedder(torch.full((batch,), self.sizes.emotions, device=silence.device))
        return condition._replace(audio=silence.expand(batch, frames, -1), emotion=none)

    def guided(self, noisy: Tensor, time: Tensor, condition: Condition, plain: Condition, scale: float) -> Tensor:
        """Predict the velocity under classifier-free guidance of speech and emotion.

        Args:
            noisy: Shape (N, frames, motion).
            time: Shape (N,).
            condition: From `talking_head_dit.condition`.
            plain: From `unconditional`.
            scale: 1 follows the condition, in one pass; more exaggerates it.
        """
        if scale == 1:
            led: Tensor = self.talking_head_dit(noisy, time, condition)
            return led
        both = Condition(*(torch.cat(pair) for pair in zip(plain, condition, strict=True)))
        free, led = self.talking_head_dit(noisy.repeat(2, 1, 1), time.repeat(2), both).chunk(2)
        return torch.lerp(free, led, scale)
