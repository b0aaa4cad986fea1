"""LivePortrait between a request's portrait and the frames of a generation: crop, read, render, put back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from thbench_methods.common.portrait import portrait_tensor, resized, to_frame_batch
from thbench_methods.common.presets import own_files
from thbench_methods.nets.liveportrait.animate import FILES, LivePortrait, load_published
from thbench_methods.nets.liveportrait.crop import CropRule, crop_matrix, paste, prepare_paste
from thbench_methods.nets.liveportrait.crop import crop as cropped
from thbench_methods.nets.liveportrait.mini import SIZE, load_mini

from thbench.errors import MethodError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch
    from numpy.typing import NDArray
    from thbench_methods.common.stages import Stages
    from thbench_methods.nets.liveportrait.animate import Source

Frame = np.ndarray[Any, np.dtype[np.uint8]]
Points = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class View:
    """What the networks see of a portrait, and how a rendered frame becomes a frame of the clip."""

    picture: Frame
    """Shape (height, width, 3), RGB."""
    put: Callable[[Frame], Frame]
    """Rendered frame (size, size, 3) to frame of the clip."""


@dataclass(frozen=True, slots=True)
class Read:
    """A portrait that was read."""

    source: Source
    put: Callable[[Frame], Frame]


@dataclass(frozen=True, slots=True)
class Stage:
    """LivePortrait with its framing."""

    renderer: LivePortrait
    size: int
    """Side of the picture that the networks read."""
    framing: Callable[[Frame], View]
    device: torch.device
    batch: int = 8
    """Frames rendered at once."""

    def read(self, portrait: NDArray[np.uint8]) -> Read:
        """Read a portrait.

        Raises:
            MethodError: It is no RGB picture, or shows no face where the framing needs one.
        """
        image = portrait_tensor(portrait, self.size)  # refuses what is no picture before anything looks at it
        view = self.framing(portrait)
        if view.picture is not portrait:
            image = portrait_tensor(view.picture, self.size)
        return Read(self.renderer.read(image.to(self.device)), view.put)

    def frames(self, read: Read, keypoints: torch.Tensor, stages: Stages) -> Iterator[NDArray[np.uint8]]:
        """Yield a frame of the clip for each set of key-points (frames, K, 3), rendered in batches as they are read."""
        batches = self.renderer.frames(read.source, keypoints, self.batch)
        done = 0
        while done < len(keypoints):
            with stages.stage("render"):
                frames = [read.put(frame) for frame in to_frame_batch(next(batches))]
            for frame in frames:
                yield frame
                done += 1
                stages.told("render", done - 1, len(keypoints))


def whole_picture(portrait: Frame) -> View:
    """The whole portrait is read, and frames are as large as it is; for pictures that are framed as synth-heads."""
    height, width = portrait.shape[:2]
    return View(portrait, lambda frame: resized(frame, height, width))


def by_landmarks(method: str, crop: Callable[[Frame, Points], Frame]) -> Callable[[Frame], View]:
    """Return a framing whose frames are the crop itself, `crop(portrait, points68)`."""
    return lambda portrait: View(crop(portrait, face_points(method, portrait)), lambda frame: frame)


def pasted_back(method: str, rule: CropRule) -> Callable[[Frame], View]:
    """Return LivePortrait's own framing: frames are put back into the portrait."""

    def framing(portrait: Frame) -> View:
        matrix = crop_matrix(face_points(method, portrait), rule)
        prepared = prepare_paste(portrait, matrix, rule.size)
        return View(cropped(portrait, matrix, rule.size), lambda frame: paste(frame, prepared))

    return framing


def face_points(method: str, portrait: Frame) -> Points:
    """Return the 68 landmarks (68, 2) of a portrait.

    Raises:
        MethodError: It shows no face.
    """
    from thbench.faces import FaceTracker, landmarks68

    with FaceTracker() as tracker:
        face = tracker.find(portrait)
    if face is None:
        raise MethodError(f"{method} found no face in the portrait; use a portrait in which the face is visible")
    return landmarks68(face.points)


def mini_stage(device: torch.device) -> Stage:
    """Return the mini LivePortrait; it reads the whole picture."""
    return Stage(on_device(load_mini(), device), SIZE, whole_picture, device)


def published_stage(
    method: str, framing: Callable[[Frame], View], device: torch.device, *, stitching: bool = False
) -> Stage:
    """Return the published LivePortrait from the weights folder.

    Raises:
        MissingWeightsError: A file is absent.
        WeightsMismatchError: A file is not the published one.
    """
    needed = {part: name for part, name in FILES.items() if stitching or part != "stitching"}
    folder = own_files(method, needed)["appearance"].parent
    return Stage(on_device(load_published(folder, stitching=stitching), device), 256, framing, device)


def on_device(renderer: LivePortrait, device: torch.device) -> LivePortrait:
    """Return the same networks on a device."""
    stitching = None if renderer.stitching is None else renderer.stitching.to(device)
    return replace(
        renderer,
        appearance=renderer.appearance.to(device),
        motion=renderer.motion.to(device),
        warping=renderer.warping.to(device),
        generator=renderer.generator.to(device),
        stitching=stitching,
    )
