"""FVD: which clips of a video are taken, how they are prepared, and their logits.

"FVD" is the Frechet distance of I3D logits, but the clips, the resize, the divisor of the covariance and even the
range of the input differ from script to script, so each is a protocol of its own. Sources: universome/stylegan-v,
src/metrics/frechet_video_distance.py; wilson1yan/VideoGPT, videogpt/data.py and fvd/fvd.py; bytedance/LatentSync,
eval/fvd.py; Wangt-CN/DisCo, metrics.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from thbench.backbones import resize
from thbench.backbones.device import CPU, float32_convolutions
from thbench.backbones.i3d import MIN_FRAMES
from thbench.backbones.precision import processor_gains_by_bfloat16
from thbench.errors import MediaError, UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from thbench.backbones.mode_names import Mode

SIDE = 224
"""Rows and columns that the network sees."""

Rule = Literal["first", "random", "consecutive", "whole"]
"""Which clips of a video are taken: one from `start` on; one at a random offset; all that follow each other without
overlap; the whole video as one."""


def stretched(clips: torch.Tensor) -> torch.Tensor:
    """Return clips as StyleGAN-V's network sees them: straight to 224x224, the aspect not kept, 2 v / 255 - 1.

    Args:
        clips: Shape (N, T, H, W, 3), uint8 RGB.

    Returns:
        Shape (N, 3, T, 224, 224), range [-1, 1].
    """
    frames = resize.bilinear(_frames(clips), (SIDE, SIDE))
    return _clips(2 * frames / 255 - 1, len(clips))


def cropped(clips: torch.Tensor) -> torch.Tensor:
    """Return clips as VideoGPT prepares them: shorter side to 224, centre crop, 2 (v / 255 - 0.5).

    Args:
        clips: Shape (N, T, H, W, 3), uint8 RGB.

    Returns:
        Shape (N, 3, T, 224, 224), range [-1, 1].
    """
    frames = resize.shorter_side_then_crop(_frames(clips) / 255, SIDE)
    return _clips((frames - 0.5) * 2, len(clips))


def stretched_bicubic(clips: torch.Tensor) -> torch.Tensor:
    """Return clips as DisCo prepares them: Pillow's bicubic straight to 224x224, v / 127.5 - 1.

    Args:
        clips: Shape (N, T, H, W, 3), uint8 RGB.

    Returns:
        Shape (N, 3, T, 224, 224), range [-1, 1].
    """
    frames = resize.bicubic_antialias(_frames(clips), (SIDE, SIDE))
    return _clips(frames / 127.5 - 1, len(clips))


def unscaled(clips: torch.Tensor) -> torch.Tensor:
    """Return clips as LatentSync feeds them: face crops of 224x224, v / 255, a range the network was not trained on.

    Args:
        clips: Shape (N, T, 224, 224, 3), uint8 RGB.

    Returns:
        Shape (N, 3, T, 224, 224), range [0, 1].

    Raises:
        UsageError: The frames are not face crops of that size.
    """
    if tuple(clips.shape[2:4]) != (SIDE, SIDE):
        raise UsageError(
            f"FVD latentsync takes face crops of {SIDE}x{SIDE}; these frames are {clips.shape[3]}x{clips.shape[2]}"
        )
    return _clips(_frames(clips) / 255, len(clips))


def _frames(clips: torch.Tensor) -> torch.Tensor:
    return clips.flatten(0, 1).permute(0, 3, 1, 2).float()


def _clips(frames: torch.Tensor, count: int) -> torch.Tensor:
    return frames.reshape(count, -1, *frames.shape[1:]).transpose(1, 2).contiguous()


@dataclass(frozen=True, slots=True)
class FvdProtocol:
    """Every choice that an FVD depends on beside the videos."""

    frames: int | None
    """Consecutive frames per clip; None takes the whole video."""
    reference: Rule
    """Which clips of a reference video."""
    generated: Rule
    """Which clips of a generated video."""
    prepare: Callable[[torch.Tensor], torch.Tensor]
    """From uint8 clips to the network's input."""
    ddof: int
    """Covariances are divided by N - ddof."""
    text: str
    """The protocol string."""
    start: int = 0
    """First frame of the rule `first`."""
    pool_frames: int = 2
    """Time steps of I3D's last average pool."""
    standard: bool = True
    """Whether the network gets what it was trained on and one vector stands for one clip of fixed length."""


PROTOCOLS: Mapping[str, FvdProtocol] = MappingProxyType(
    {
        "styleganv-16f": FvdProtocol(
            16, "random", "first", stretched, 0, "i3d-k400/T16/reference-random-offset/224-stretch/ddof0"
        ),
        "videogpt-16f": FvdProtocol(16, "first", "first", cropped, 1, "i3d-k400/T16/first/224-short-side-crop/ddof1"),
        "16": FvdProtocol(
            16, "consecutive", "consecutive", stretched, 0, "i3d-k400/T16/stride1/every-16/224-stretch/ddof0"
        ),
        "32": FvdProtocol(
            32, "consecutive", "consecutive", stretched, 0, "i3d-k400/T32/stride1/every-32/224-stretch/ddof0"
        ),
        "latentsync": FvdProtocol(
            16,
            "first",
            "first",
            unscaled,
            1,
            "non-standard/i3d-k400/frames-20-35/face-box-per-frame-224/range-0-1/ddof1",
            start=20,
            standard=False,
        ),
        "disco": FvdProtocol(
            None,
            "whole",
            "whole",
            stretched_bicubic,
            1,
            "non-standard/i3d-k400/whole-video/224-stretch-pil-bicubic/time-pool-1/ddof1",
            pool_frames=1,
            standard=False,
        ),
    }
)
"""Name to protocol. `16` and `32` are what papers call FVD16 and FVD32; no official code defines their clips, so here
they are all that follow each other without overlap, the remainder left out."""


def protocol(name: str) -> FvdProtocol:
    """Return a protocol.

    Raises:
        UsageError: No protocol has this name.
    """
    if name not in PROTOCOLS:
        raise UsageError(f"no FVD protocol is called {name!r}{did_you_mean(name, PROTOCOLS)}")
    return PROTOCOLS[name]


def clip_starts(rule: Rule, frames: int, chosen: FvdProtocol, *, clip: str, seed: int = 0) -> tuple[int, ...]:
    """Return the first frame of each clip to take from a video.

    Args:
        rule: `chosen.reference` or `chosen.generated`.
        frames: Frames of the video.
        chosen: The protocol.
        clip: Id of the video; with the seed it fixes a random offset, whatever else is evaluated.
        seed: Of random offsets.

    Raises:
        MediaError: The video is too short for one clip.
    """
    length = MIN_FRAMES if chosen.frames is None else chosen.frames
    start = chosen.start if rule == "first" else 0
    if frames < start + length:
        raise MediaError(f"{clip} has {frames} frames; this FVD needs at least {start + length}")
    if rule == "random":
        return (int(offset_priorities(clip, seed).random(frames - length + 1).argmax()),)
    if rule == "consecutive":
        return tuple(range(0, frames - length + 1, length))
    return (start,)


def offset_priorities(clip: str, seed: int = 0) -> np.random.Generator:
    """Return the generator of the priorities of a video's possible offsets; the offset with the highest is taken.

    So every offset is as likely as any other, and the clip can be drawn while the frames come, without knowing how
    many there will be.

    Args:
        clip: Id of the video.
        seed: Of the draw.
    """
    return np.random.Generator(np.random.PCG64(zlib.crc32(f"{seed}/{clip}".encode())))


@torch.inference_mode()
def logits(
    network: Callable[[torch.Tensor], torch.Tensor], clips: Iterable[torch.Tensor], chosen: FvdProtocol
) -> torch.Tensor:
    """Return the logits of clips, one clip at a time: a larger batch is no faster and would change the rounding.

    Args:
        network: I3D in evaluation mode, with the protocol's `pool_frames`.
        clips: Each of shape (T, H, W, 3), uint8 RGB.
        chosen: The protocol.

    Returns:
        Shape (clips, 400), on the CPU.

    Raises:
        MediaError: There is no clip.
    """
    rows = [network(chosen.prepare(clip[None])).cpu() for clip in clips]
    if not rows:
        raise MediaError("there is no clip to compute an FVD from")
    return torch.cat(rows)


def torchscript_network(
    module: torch.jit.ScriptModule, mode: Mode = "exact", device: str = CPU
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return StyleGAN-V's TorchScript I3D as a network of prepared clips.

    The file can resize and rescale by itself; here it gets clips at 224 and in [-1, 1], which its flags leave alone.

    Args:
        module: `i3d_torchscript.pt`, loaded as it is.
        mode: `fast` runs its convolutions in bfloat16 by autocast, since a program has no layers to prepare; on a CPU
            that gains nothing by that, it runs as it is.
        device: Where it computes.
    """
    placed = module.to(device)
    kind = torch.device(device).type
    low = mode == "fast" and (kind != "cpu" or processor_gains_by_bfloat16())

    def network(clips: torch.Tensor) -> torch.Tensor:
        with torch.autocast(kind, torch.bfloat16, enabled=low), float32_convolutions():
            features: torch.Tensor = placed(clips.to(device), rescale=False, resize=False, return_features=True)
        return features.float()

    return network
