"""EchoMimic's networks, in the key names of the release's files.

Source: arXiv 2407.08136, section 3; antgroup/echomimic at a53e970, src/models/. Each network has a file of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from thbench_methods.echomimic.config import PAPER, Config
from thbench_methods.nets.unet3d.guidance import paired
from thbench_methods.nets.unet3d.latents import Latents
from thbench_methods.nets.unet3d.layout import images
from thbench_methods.nets.unet3d.locator import FaceLocator
from thbench_methods.nets.unet3d.motion import MotionModule
from thbench_methods.nets.unet3d.reference import ReferenceUNet, split
from thbench_methods.nets.unet3d.transformer import SpatialTransformer
from thbench_methods.nets.unet3d.unet import Stage
from thbench_methods.nets.unet3d.video import VideoUNet, located
from torch import Tensor, nn

from thbench.accel.tree import mapped

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from thbench_methods.nets.unet3d.config import Sizes
    from thbench_methods.nets.unet3d.focus import Focus

AUDIO_RATIO = 3.0
"""Weight of what the cross-attention to the audio gives."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What a video is generated from. Under guidance the batch is [unconditional | conditional]."""

    audio: Tensor
    """Shape (B, F, tokens, C)."""
    locator: Tensor
    """Shape (B, channels, 1, h, w), from the face locator; in training perhaps with F in the place of 1."""
    reference: Mapping[str, Tensor]
    """Place to (B, h w, C): features of the reference image. A place that is left out reads none."""
    guided: bool = True
    """The first half of the batch is unconditional: it reads no reference."""
    plain: int = 0
    """Without guidance: so many leading rows read no reference, as the unconditional ones of a training batch."""

    @property
    def batch(self) -> int:
        """Rows B of the latents that it is for."""
        return len(self.audio)

    def without_reference(self, places: Collection[str]) -> Condition:
        """Return the condition without the features of the reference image at some places."""
        return replace(self, reference={k: tokens for k, tokens in self.reference.items() if k not in places})

    def conditional(self) -> Condition:
        """Return the conditional half."""
        return replace(mapped(self, lambda rows: rows.chunk(2)[1]), guided=False)  # type: ignore[no-any-return]

    def repeated(self, times: int) -> Condition:
        """Return the condition of a batch whose rows are each repeated, the copies of a row together."""
        whole = mapped(self, lambda rows: rows.repeat_interleave(times, dim=0))
        return replace(whole, plain=times * self.plain)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class _Call:
    """A condition, laid out by frame."""

    condition: Condition
    frames: int
    tokens: Tensor
    focus: Focus | None = None

    @property
    def past(self) -> Mapping[str, Tensor]:
        return {}

    @property
    def unconditional(self) -> int:
        return len(self.tokens) // 2 if self.condition.guided else self.condition.plain * self.frames

    def reference_at(self, place: str) -> Tensor | None:
        tokens = self.condition.reference.get(place)
        return None if tokens is None else tokens.repeat_interleave(self.frames, dim=0)


class DenoisingUNet(VideoUNet[Condition]):
    """The three-dimensional UNet: reference and audio in one transformer, then motion, behind each resnet."""

    def __init__(self, sizes: Sizes) -> None:
        stages = (
            Stage("attentions", lambda place: SpatialTransformer(place, sizes, AUDIO_RATIO)),
            Stage("motion_modules", lambda place: MotionModule(place, sizes), everywhere=True),
        )
        super().__init__(sizes, stages)

    def first(self, z: Tensor, condition: Condition) -> Tensor:
        """Return the first feature, with the face locator's."""
        return located(self.conv_in(images(z)), condition.locator, z.shape[2])

    def call(self, condition: Condition, frames: int) -> _Call:
        """Return the condition, laid out by frame."""
        return _Call(condition, frames, condition.audio.flatten(0, 1))


class EchoMimic(nn.Module):
    """The three networks of the release, and what of the latents they know."""

    def __init__(self, config: Config = PAPER) -> None:
        super().__init__()
        sizes = config.unet
        self.reference_unet = ReferenceUNet(config.reference)
        self.denoising_unet = DenoisingUNet(sizes)
        inputs = 3 if config.locator_sees_portrait else 1
        self.face_locator = FaceLocator(sizes.channels[0], inputs=inputs, widths=config.locator)
        self.latents = Latents(config)
        self.base = nn.Conv2d(sizes.latent, sizes.channels[0], 3, padding=1) if config.change else None

    def located(self, region: Tensor, base: Tensor) -> Tensor:
        """Return where the face is, (B, C, 1, h, w), with what changes are of where changes are denoised.

        Args:
            region: Shape (B, 1 or 3, H, W), range [0, 1].
            base: Latents of the reference images, (B, latent, h, w).
        """
        place: Tensor = self.face_locator(region[:, :, None])
        return place if self.base is None else place + self.base(base)[:, :, None]

    def condition(self, latents: Tensor, audio: Tensor, region: Tensor, *, guided: bool) -> Condition:
        """Return what the denoiser is told; once per video.

        Args:
            latents: Shape (1, latent, h, w), of the reference image; scaled.
            audio: Shape (1, F, tokens, C).
            region: Shape (1, 1 or 3, H, W), range [0, 1]: where the face is.
            guided: Return [unconditional | conditional]: without audio and face, and with them.
        """
        return Condition(
            audio=paired(audio, guided=guided),
            locator=paired(self.located(region, latents), guided=guided),
            reference={place: paired(tokens, tokens, guided=guided) for place, tokens in self.read(latents).items()},
            guided=guided,
        )

    def read(self, latents: Tensor) -> Mapping[str, Tensor]:
        """Return the features of reference images (B, latent, h, w), place to (B, h w, C)."""
        # As published, the reference network's transformers skip their cross-attention.
        return split(self.reference_unet(latents, None), past=0).image
