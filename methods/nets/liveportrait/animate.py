"""LivePortrait as a whole: a portrait read once, then a frame for each set of key-points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch
from thbench_methods.nets.liveportrait.appearance import AppearanceExtractor
from thbench_methods.nets.liveportrait.generator import SpadeGenerator
from thbench_methods.nets.liveportrait.keypoints import Motion, as_points, extracted_motion, transform
from thbench_methods.nets.liveportrait.motion import MotionExtractor
from thbench_methods.nets.liveportrait.stitching import StitchingRetargeting
from thbench_methods.nets.liveportrait.warping import WarpingNetwork, moved_portrait

from thbench.backbones.checkpoint import build, read_state_dict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from torch import Tensor

ModuleT = TypeVar("ModuleT", bound=torch.nn.Module)

FILES = {
    "appearance": "appearance_feature_extractor.pth",
    "motion": "motion_extractor.pth",
    "warping": "warping_module.pth",
    "generator": "spade_generator.pth",
    "stitching": "stitching_retargeting_module.pth",
}
"""Published checkpoint of each network."""
STITCHING_ENTRIES = ("retarget_shoulder", "retarget_mouth", "retarget_eye")


@dataclass(frozen=True, slots=True)
class Source:
    """What is known of a portrait."""

    volume: Tensor
    """Shape (1, C, D, H, W): appearance."""
    canonical: Tensor
    """Shape (1, K, 3): key-points without pose and expression."""
    motion: Motion
    """Of leading shape (1,): the portrait's own pose, expression, translation and scale."""
    image: Tensor | None = None
    """Shape (1, 3, H, W): the portrait itself, for a generator that refines it."""

    @property
    def keypoints(self) -> Tensor:
        """Shape (1, K, 3): key-points as they are in the portrait."""
        return transform(self.canonical, self.motion)


@dataclass(frozen=True, slots=True)
class LivePortrait:
    """The five networks, in evaluation mode and on one device."""

    appearance: AppearanceExtractor
    motion: MotionExtractor
    warping: WarpingNetwork
    generator: SpadeGenerator
    stitching: StitchingRetargeting | None = None

    @torch.inference_mode()
    def read(self, image: Tensor) -> Source:
        """Read a portrait (1, 3, H, W), RGB in [0, 1]."""
        parameters = self.motion(image)
        return Source(self.appearance(image), as_points(parameters["kp"]), extracted_motion(parameters), image)

    @torch.inference_mode()
    def frames(self, source: Source, keypoints: Tensor, batch: int = 8) -> Iterator[Tensor]:
        """Render frames in order.

        Args:
            source: From `read`.
            keypoints: Shape (frames, K, 3): driving key-points.
            batch: Frames at a time; more need more memory and do not change the frames beyond rounding.

        Yields:
            Shape (n, 3, H, W) with n up to `batch`, RGB in (0, 1).
        """
        for start in range(0, len(keypoints), batch):
            driving = keypoints[start : start + batch]
            volume, own = (x.expand(len(driving), *x.shape[1:]) for x in (source.volume, source.keypoints))
            warped = self.warping(volume, own, driving)
            moved = None
            if source.image is not None and self.generator.refines:
                image = source.image.expand(len(driving), *source.image.shape[1:])
                moved = moved_portrait(image, warped.deformation)
            yield self.generator(warped.feature, moved)

    @torch.inference_mode()
    def stitched(self, source: Source, keypoints: Tensor) -> Tensor:
        """Return driving key-points (frames, K, 3) that keep the portrait's shoulders in place.

        Without a stitching network they are returned as they are.
        """
        if self.stitching is None:
            return keypoints
        return self.stitching.stitch(source.keypoints.expand_as(keypoints), keypoints)


def load_published(folder: Path, *, stitching: bool = True) -> LivePortrait:
    """Load the published checkpoints, strictly.

    Args:
        folder: Where the files named in `FILES` lie, in any sub-folder.
        stitching: Whether to load the stitching networks.

    Raises:
        MissingWeightsError: A file is absent.
        WeightsMismatchError: A file is not the published one.
    """
    paths = {part: next(folder.rglob(name), folder / name) for part, name in FILES.items()}

    return LivePortrait(
        appearance=_load(paths["appearance"], AppearanceExtractor),
        motion=_load(paths["motion"], MotionExtractor),
        warping=_load(paths["warping"], WarpingNetwork),
        generator=_load(paths["generator"], SpadeGenerator),
        stitching=_load_stitching(paths["stitching"]) if stitching else None,
    )


def _load(path: Path, factory: Callable[[], ModuleT]) -> ModuleT:
    return build(factory, read_state_dict(path), source=str(path))


def _load_stitching(path: Path) -> StitchingRetargeting:
    """Load the file that holds one state dict per network, each with keys behind `module.`."""
    state = {
        f"{entry}.{key}": tensor
        for entry in STITCHING_ENTRIES
        for key, tensor in read_state_dict(path, entry=entry, prefix="module.").items()
    }
    return build(StitchingRetargeting, state, source=str(path))
