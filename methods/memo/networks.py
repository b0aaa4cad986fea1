"""MEMO's networks, in the key names of the release's files; each network has a folder of its own.

Source: arXiv 2412.04448, section 3; memoavatar/memo at a5aee30, memo/models/.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from thbench_methods.memo.config import PAPER, Config
from thbench_methods.memo.memory import Memory, MemoryModule
from thbench_methods.memo.reference import ReferenceNet
from thbench_methods.nets.unet3d.attention import Attention, FeedForward, join_heads, split_heads
from thbench_methods.nets.unet3d.focus import Attend, Focus, attend_at, everywhere
from thbench_methods.nets.unet3d.guidance import paired
from thbench_methods.nets.unet3d.latents import Latents
from thbench_methods.nets.unet3d.layout import images, repeated, to_maps, to_tokens
from thbench_methods.nets.unet3d.projections import AudioProjModel, ImageProjModel
from thbench_methods.nets.unet3d.reference import alternating, split
from thbench_methods.nets.unet3d.transformer import SpatialTransformer
from thbench_methods.nets.unet3d.unet import Place, Stage
from thbench_methods.nets.unet3d.video import VideoUNet, located
from torch import Tensor, nn
from torch.nn import functional as F

from thbench.accel.tree import mapped

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from thbench_methods.nets.unet3d.config import Sizes

EMOTIONS = 9
"""Emotion classes; the index behind the last one is no emotion."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What a clip is generated from. Under guidance the batch is [unconditional | conditional]."""

    face: Tensor
    """Shape (B, tokens, C): who it is."""
    audio: Tensor
    """Shape (B, F, tokens, audio)."""
    emotion: Tensor
    """Shape (B,), int64: class of the voice's emotion, or 9 for none."""
    reference: Mapping[str, Tensor]
    """Place to (B, h w, C): features of the reference image. A place that is left out reads none."""
    memory: Mapping[str, Memory]
    """Place of a motion module to what it remembers, from `DenoisingUNet.remember`."""
    guided: bool = True
    """The first half of the batch is unconditional: it reads no reference."""
    half: bool = False
    """The batch is the conditional half of a pair; only the features of the reference image are still both halves'."""
    seen: Tensor | None = None
    """Shape (B, channels[0], 1, h, w): what changes are of, as it joins the first feature; None for latents."""
    plain: int = 0
    """Without guidance: so many leading rows read no reference, as the unconditional ones of a training batch."""

    @property
    def batch(self) -> int:
        """Rows B of the latents that it is for."""
        return len(self.face)

    def without_reference(self, places: Collection[str]) -> Condition:
        """Return the condition without the features of the reference image at some places."""
        return replace(self, reference={k: tokens for k, tokens in self.reference.items() if k not in places})

    def conditional(self) -> Condition:
        """Return the conditional half."""
        half = mapped(self, lambda rows: rows.chunk(2)[1])
        return cast(Condition, replace(half, reference=self.reference, guided=False, half=True))

    def repeated(self, times: int) -> Condition:
        """Return the condition of a batch whose rows are each repeated, the copies of a row together."""
        whole = mapped(self, lambda rows: repeated(rows, self.batch, times))
        reference = mapped(self.reference, lambda rows: rows.repeat_interleave(times, dim=0))
        return cast(Condition, replace(whole, reference=reference, plain=times * self.plain))


class Given(NamedTuple):
    """What a clip of frames is made from, before any network has seen it."""

    latents: Tensor
    """Shape (1 + n, latent, h, w): the reference image, then the frames before the clip, oldest first; scaled."""
    face: Tensor
    """Shape (1, embedding): the face recogniser's."""
    audio: Tensor
    """Shape (1, F, window, layers, channels)."""
    emotion: int
    """Class of the voice's emotion in the clip."""


class Deep(NamedTuple):
    """What enters the last up layer. Its audio is not the condition's any more: each layer changes it."""

    video: Tensor
    """Shape (B, channels, F, h, w), without the skip."""
    audio: Tensor
    """Shape (B F, tokens, audio)."""


@dataclass(slots=True)
class _Call:
    """One forward pass, laid out by frame. Each joint transformer leaves its audio here for the next one."""

    condition: Condition
    frames: int
    tokens: Tensor
    audio: Tensor
    focus: Focus | None = None

    @property
    def memory(self) -> Mapping[str, Memory]:
        return self.condition.memory

    @property
    def unconditional(self) -> int:
        return len(self.tokens) // 2 if self.condition.guided else self.condition.plain * self.frames

    def reference_at(self, place: str) -> Tensor | None:
        tokens = self.condition.reference.get(place)
        if tokens is None:
            return None
        if self.condition.guided or self.condition.half:
            return alternating(tokens, self.frames)[-len(self.tokens) :]
        return tokens.repeat_interleave(self.frames, dim=0)


class ClassEmbedder(nn.Module):
    """Table of emotions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embedding_table = nn.Embedding(EMOTIONS + 1, width)

    def forward(self, emotion: Tensor) -> Tensor:
        """Map classes (B,) to (B, width)."""
        embedded: Tensor = self.embedding_table(emotion)
        return embedded


class EmotionNorm(nn.Module):
    """Emotion-aware layer norm (section 3.3): scale and shift depend on the emotion."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.class_embedder = ClassEmbedder(width)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, x: Tensor, emotion: Tensor) -> Tensor:
        """Map (B F, L, width) to the same shape, given classes (B,)."""
        modulation = self.adaLN_modulation(self.class_embedder(emotion)).repeat_interleave(len(x) // len(emotion), 0)
        shift, scale = modulation[:, None].chunk(2, dim=-1)
        normed: Tensor = F.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift
        return normed


class JointAttention(nn.Module):
    """One attention over the tokens of a frame and of its audio, which have projections of their own."""

    def __init__(self, width: int, audio: int, heads: int, *, last: bool) -> None:
        """Make the projections.

        Args:
            width: Values of a video token.
            audio: Values of an audio token.
            heads: How many.
            last: Nothing is made of what the audio takes from the video.
        """
        super().__init__()
        self.heads = heads
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.add_q_proj, self.add_k_proj, self.add_v_proj = (nn.Linear(audio, width) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(width, width)])
        self.to_add_out = None if last else nn.Linear(width, audio)

    def forward(self, video: Tensor, audio: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return what the tokens (N, L, width) and (N, M, audio) take from both."""
        pairs = ((self.to_q, self.add_q_proj), (self.to_k, self.add_k_proj), (self.to_v, self.add_v_proj))
        query, key, value = (
            split_heads(torch.cat((of_video(video), of_audio(audio)), dim=1), self.heads)
            for of_video, of_audio in pairs
        )
        mixed = join_heads(F.scaled_dot_product_attention(query, key, value))
        seen, heard = mixed[:, : video.shape[1]], mixed[:, video.shape[1] :]
        return self.to_out[0](seen), None if self.to_add_out is None else self.to_add_out(heard)


class AudioAttention(Attention):
    """Self-attention of the audio, as wide inside as the video's."""

    def __init__(self, audio: int, inner: int, heads: int) -> None:
        super().__init__(audio, inner=inner, heads=heads)


class JointBlock(nn.Module):
    """Multi-modal attention (section 3.1): each stream by itself, both together, and a feed-forward for each."""

    def __init__(self, width: int, audio: int, heads: int, feed_forward: int = 4, *, last: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = EmotionNorm(width), EmotionNorm(width)
        self.audio_norm1, self.audio_norm2 = EmotionNorm(audio), EmotionNorm(audio)
        self.attn1 = Attention(width, heads=heads)
        self.audio_attn1 = AudioAttention(audio, width, heads)
        self.attn2 = JointAttention(width, audio, heads, last=last)
        self.norm3, self.ff = nn.LayerNorm(width), FeedForward(width, feed_forward)
        if not last:
            self.audio_norm3, self.audio_ff = nn.LayerNorm(audio), FeedForward(audio, feed_forward)

    def forward(
        self, video: Tensor, audio: Tensor, emotion: Tensor, attend: Attend = everywhere
    ) -> tuple[Tensor, Tensor | None]:
        """Map video (B F, L, width) and audio (B F, M, audio) to the same shapes; the last block returns no audio.

        `attend` says where the video's self-attention acts.
        """
        video = video + attend("attn1", self.norm1(video, emotion), lambda own, _: self.attn1(own))
        audio = audio + self.audio_attn1(self.audio_norm1(audio, emotion))
        seen, heard = self.attn2(self.norm2(video, emotion), self.audio_norm2(audio, emotion))
        video = video + seen
        video = video + self.ff(self.norm3(video))
        if heard is None:
            return video, None
        audio = audio + heard
        return video, audio + self.audio_ff(self.audio_norm3(audio))


class JointTransformer(nn.Module):
    """Group norm, a 1x1 convolution in, joint block, a 1x1 convolution out; as wide as what enters the UNet's block."""

    def __init__(self, place: Place, sizes: Sizes, *, last: bool) -> None:
        super().__init__()
        self.place, width = place.name, place.block_inputs
        self.runs = True
        self.norm = nn.GroupNorm(sizes.groups, place.channels, eps=1e-6)
        self.proj_in = nn.Conv2d(place.channels, width, 1)
        self.transformer_blocks = nn.ModuleList(
            [JointBlock(width, sizes.audio, sizes.heads, sizes.feed_forward, last=last)]
        )
        self.proj_out = nn.Conv2d(width, place.channels, 1)

    def forward(self, x: Tensor, call: _Call) -> Tensor:
        """Map (B F, C, h, w) to the same shape; the first stage of training leaves it out (`runs` is False)."""
        if not self.runs:
            return x
        tokens = to_tokens(self.proj_in(self.norm(x)))
        attend = attend_at(call.focus, self.place)
        video, audio = self.transformer_blocks[0](tokens, call.audio, call.condition.emotion, attend)
        if audio is not None:
            # The audio that entered is added once more, as published.
            call.audio = call.audio + audio
        output: Tensor = x + self.proj_out(to_maps(video, x))
        return output


class DenoisingUNet(VideoUNet[Condition]):
    """The three-dimensional UNet: reference, joint audio and video, and memory-guided motion behind each resnet."""

    def __init__(self, sizes: Sizes, feed_forward: int = 4) -> None:
        """Make the network.

        Args:
            sizes: Of its parts.
            feed_forward: As `Sizes.feed_forward`, of the joint transformers and of the memory modules.
        """
        own = replace(sizes, feed_forward=feed_forward)
        final = f"up_blocks.{len(sizes.channels) - 1}.audio_modules.{sizes.layers}"
        stages = (
            Stage("attentions", lambda place: SpatialTransformer(place, sizes)),
            Stage("audio_modules", lambda place: JointTransformer(place, own, last=place.name == final)),
            Stage("motion_modules", lambda place: MemoryModule(place, own), everywhere=True),
        )
        super().__init__(sizes, stages)

    def first(self, z: Tensor, condition: Condition) -> Tensor:
        """Return the first feature, which is of the latents alone, or with what they are changes of."""
        first: Tensor = self.conv_in(images(z))
        return first if condition.seen is None else located(first, condition.seen, z.shape[2])

    def call(self, condition: Condition, frames: int) -> _Call:
        """Return the condition, laid out by frame."""
        tokens = condition.face.repeat_interleave(frames, dim=0)
        return _Call(condition, frames, tokens, condition.audio.flatten(0, 1))

    def keep(self, deep: Tensor, call: _Call) -> Deep:
        """Return what enters the last up layers, the audio as the layers before have changed it."""
        return Deep(deep, call.audio)

    def recall(self, kept: Deep, call: _Call) -> tuple[Tensor, _Call]:
        """Return what entered the last up layers, and the call with the audio of that time."""
        return kept.video, replace(call, audio=kept.audio)

    def remember(self, past: Mapping[str, Tensor], before: Mapping[str, Memory] | None) -> dict[str, Memory]:
        """Return the memory of a clip, the same for all its steps.

        Args:
            past: Place of a motion module to (B, n, h w, C): features of the frames before the clip, oldest first.
            before: The memory of the clip before; None for the first clip.
        """
        modules = (module for module in self.modules() if isinstance(module, MemoryModule))
        older = before or {}
        return {module.place: module.remember(past[module.place], older.get(module.place)) for module in modules}


class MEMO(nn.Module):
    """The four networks of the release that generate, and what of the latents they know."""

    def __init__(self, config: Config = PAPER) -> None:
        super().__init__()
        sizes = config.unet
        self.reference_net = ReferenceNet(sizes)
        self.diffusion_net = DenoisingUNet(sizes, config.feed_forward)
        self.image_proj = ImageProjModel(config.face, sizes.tokens)
        self.audio_proj = AudioProjModel(config.audio, sizes.audio)
        self.latents = Latents(config)
        self.base = nn.Conv2d(sizes.latent, sizes.channels[0], 3, padding=1) if config.change else None

    def seen(self, portraits: Tensor) -> Tensor | None:
        """Return what changes are of, (B, C, 1, h, w), of the latents (B, latent, h, w) of reference images."""
        return None if self.base is None else self.base(portraits)[:, :, None]

    def condition(self, given: Given, before: Mapping[str, Memory] | None, *, guided: bool = True) -> Condition:
        """Return what the denoiser is told; once per clip of frames.

        Args:
            given: What the clip is made from.
            before: The memory in the condition of the clip before; None for the first clip.
            guided: Return [unconditional | conditional]. Unconditional is no face, no audio and no emotion.
        """
        face = paired(self.image_proj(given.face), self.image_proj(torch.zeros_like(given.face)), guided=guided)
        features = self.reference_net(paired(given.latents, given.latents, guided=guided), face)
        reference = split(features, len(given.latents) - 1)
        emotion = torch.tensor([given.emotion], device=face.device)
        seen = self.seen(given.latents[:1])
        return Condition(
            face=face,
            audio=paired(self.audio_proj(given.audio), guided=guided),
            emotion=paired(emotion, torch.full_like(emotion, EMOTIONS), guided=guided),
            reference=reference.image,
            memory=self.diffusion_net.remember(reference.past, before),
            guided=guided,
            seen=None if seen is None else paired(seen, guided=guided),
        )
