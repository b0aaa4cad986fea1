"""EchoMimic's networks, in the key names of the release's files.

Source: arXiv 2407.08136, section 3; antgroup/echomimic at a53e970, src/models/. Each network has a file of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from thbench_methods.echomimic.config import PAPER, Config
from thbench_methods.nets.unet3d.guidance import paired
from thbench_methods.nets.unet3d.locator import FaceLocator
from thbench_methods.nets.unet3d.motion import MotionModule
from thbench_methods.nets.unet3d.reference import ReferenceUNet, split
from thbench_methods.nets.unet3d.transformer import SpatialTransformer
from thbench_methods.nets.unet3d.unet import Stage
from thbench_methods.nets.unet3d.video import VideoUNet
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thbench_methods.nets.unet3d.config import Sizes

AUDIO_RATIO = 3.0
"""Weight of what the cross-attention to the audio gives."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What a video is generated from. Under guidance the batch is [unconditional | conditional]."""

    audio: Tensor
    """Shape (B, F, tokens, C)."""
    locator: Tensor
    """Shape (B, channels, 1, h, w), from the face locator."""
    reference: Mapping[str, Tensor]
    """Place to (B, h w, C): features of the reference image. A place that is left out reads none."""
    guided: bool = True
    """The first half of the batch is unconditional: it reads no reference."""


class _Call(NamedTuple):
    """A condition, laid out by frame."""

    condition: Condition
    frames: int
    tokens: Tensor

    @property
    def past(self) -> Mapping[str, Tensor]:
        return {}

    @property
    def unconditional(self) -> int:
        return len(self.tokens) // 2 if self.condition.guided else 0

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

    def call(self, condition: Condition, frames: int) -> _Call:
        """Return the condition, laid out by frame."""
        return _Call(condition, frames, condition.audio.flatten(0, 1))


class EchoMimic(nn.Module):
    """The three networks of the release."""

    def __init__(self, config: Config = PAPER) -> None:
        super().__init__()
        self.reference_unet = ReferenceUNet(config.reference)
        self.denoising_unet = DenoisingUNet(config.unet)
        self.face_locator = FaceLocator(config.unet.channels[0], inputs=1, widths=config.locator)

    def condition(self, latents: Tensor, audio: Tensor, mask: Tensor, *, guided: bool) -> Condition:
        """Return what the denoiser is told; once per video.

        Args:
            latents: Shape (1, latent, h, w), of the reference image; scaled.
            audio: Shape (1, F, tokens, C).
            mask: Shape (1, 1, H, W), range [0, 1]: where the face is.
            guided: Return [unconditional | conditional]: without audio and face, and with them.
        """
        # As published, the reference network's transformers skip their cross-attention.
        features = split(self.reference_unet(latents, None), past=0).image
        return Condition(
            audio=paired(audio, guided=guided),
            locator=paired(self.face_locator(mask[:, :, None]), guided=guided),
            reference={place: paired(tokens, tokens, guided=guided) for place, tokens in features.items()},
            guided=guided,
        )
