"""Between a request's portrait, files of style and pose, and the frames: what differs between the presets."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from thbench_methods.common.portrait import portrait_tensor
from thbench_methods.dreamtalk.faces import ANGLES, Face, mirrored_pose, moved_track, read_faces
from thbench_methods.dreamtalk.fits import read_fit
from thbench_methods.dreamtalk.motion import STATIC_POSE, pose_of_fit, render_windows, there_and_back
from thbench_methods.dreamtalk.spec import AUTO, STILL
from thbench_methods.nets.liveportrait.stage import View, whole_picture

from thbench.errors import MethodError
from thbench.media import read_frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from thbench_methods.common.seeds import Noise
    from thbench_methods.dreamtalk.bundle import Renderer
    from thbench_methods.dreamtalk.config import Config
    from thbench_methods.nets.pirenderer import FaceGenerator
    from torch import Tensor

    Frame = NDArray[np.uint8]

NEAREST = 8
"""Pose tracks, those that begin nearest to the portrait's own pose, of which one is drawn."""
REACH = 15.0
"""Degrees by which a drawn pose track turns the head at most: further aside the renderer has to invent too much."""
LONGEST_TRACK = 15_000
"""Frames that are read of a video of style or pose."""


@dataclass(frozen=True, slots=True)
class Read:
    """A portrait that was read."""

    image: Tensor
    """Shape (1, 3, size, size), [-1, 1]."""
    put: Callable[[Frame], Frame]
    """Rendered frame to frame of the clip."""
    face: Face
    """What was read of it, leading shape (1,); without values where the renderer does not want to know."""


class Stage(Protocol):
    """One preset's way with faces."""

    def read(self, portrait: Frame) -> Read:
        """Read a portrait."""
        ...

    def style(self, path: Path) -> Tensor:
        """Return the expression (frames, motion) of a style clip."""
        ...

    def pose(self, name: str, read: Read, frames: int, noise: Noise, sound: NDArray[np.float32]) -> Tensor:
        """Return a pose track (frames, 9): `auto`, `still` or a file."""
        ...

    def render(self, read: Read, motion: Tensor, places: Tensor) -> Tensor:
        """Return pictures (n, 3, size, size) in [0, 1] of motion (frames, values) at some places of it."""
        ...


@dataclass(frozen=True, slots=True)
class MiniStage:
    """Faces of synth-heads, read by the mini face regressor; the whole picture is the frame."""

    config: Config
    renderer: Renderer
    tracks: Tensor
    """Shape (tracks, frames, 9)."""
    device: torch.device

    def read(self, portrait: Frame) -> Read:
        """Read a portrait.

        Raises:
            MethodError: It is no RGB picture, or shows no head as synth-heads does.
        """
        image = portrait_tensor(portrait, self.config.portrait_size)  # refuses what is no picture
        face = read_faces([square(portrait, self.config.portrait_size)], "the portrait")
        return Read((image * 2 - 1).to(self.device), whole_picture(portrait).put, face)

    def style(self, path: Path) -> Tensor:
        """Return the expression (frames, 53) of a video."""
        return read_faces(self._video(path, self.config.sizes.style_length), f"the style clip {path}").expression

    def pose(self, name: str, read: Read, frames: int, noise: Noise, sound: NDArray[np.float32]) -> Tensor:
        """Return a pose track (frames, 9) that goes on from the portrait's own pose.

        `auto` draws one of the tracks that come with the preset and their mirror images, by the seed and the sound,
        among those that begin nearly as the portrait is turned: a head that is turned aside moves on as such heads do,
        not further aside. Movement that reaches too far is made smaller. A track that ends runs backwards.
        """
        own = read.face.pose[0]
        if name == STILL:
            return own.expand(frames, -1)
        if name == AUTO:
            drawn = noise.generator("pose", hashlib.sha256(sound.tobytes()).hexdigest())
            tracks = self.tracks.cpu()
            tracks = torch.cat((tracks, mirrored_pose(tracks)))
            away = (tracks[:, 0, ANGLES] - own[ANGLES]).norm(dim=1)
            near = away.argsort(stable=True)[:NEAREST]
            track = within_reach(tracks[near[int(torch.randint(len(near), (), generator=drawn))]])
        else:
            track = read_faces(self._video(Path(name), LONGEST_TRACK), f"the pose track {name}").pose
        return moved_track(there_and_back(track, frames), own)

    @torch.inference_mode()
    def render(self, read: Read, motion: Tensor, places: Tensor) -> Tensor:
        """Return pictures (n, 3, size, size) in [0, 1]."""
        own = torch.cat((read.face.expression, read.face.pose), dim=1)[0].to(self.device)
        windows = render_windows(motion, self.config.render_radius, places)
        count = len(windows)
        rendered: Tensor = self.renderer(read.image.expand(count, -1, -1, -1), own.expand(count, -1), windows).image
        return (rendered + 1) / 2

    def _video(self, path: Path, most: int) -> list[Frame]:
        """Return the first frames of a video at the frame rate of the model, as squares.

        Raises:
            MethodError: There is no such file.
            MediaError: It cannot be read as a video.
        """
        if not path.is_file():
            raise MethodError(f"{path} does not exist; name a video of a synth-heads-like head, or one of the words")
        with contextlib.closing(read_frames(path, self.config.fps, threads=1)) as frames:
            return [square(frame.rgb, self.config.portrait_size) for frame in islice(frames, most)]


@dataclass(frozen=True, slots=True)
class PublishedStage:
    """Faces as a 3DMM knows them; the crop around the face is the frame."""

    config: Config
    renderer: FaceGenerator
    framing: Callable[[Frame], View]
    device: torch.device

    def read(self, portrait: Frame) -> Read:
        """Read a portrait.

        Raises:
            MethodError: It is no RGB picture, or shows no face.
        """
        size = self.config.portrait_size
        portrait_tensor(portrait, size)  # refuses what is no picture before anything looks at it
        view = self.framing(portrait)
        nothing = Face(*(torch.empty(1, 0) for _ in Face._fields))
        return Read((portrait_tensor(view.picture, size) * 2 - 1).to(self.device), view.put, nothing)

    def style(self, path: Path) -> Tensor:
        """Return the expression (frames, 64) of a 3DMM fit."""
        return read_fit(path).expression

    def pose(self, name: str, read: Read, frames: int, noise: Noise, sound: NDArray[np.float32]) -> Tensor:
        """Return a pose track (frames, 9): a 3DMM fit whose last row goes on, or the published head that is still.

        Raises:
            MethodError: The file is no such fit, or lacks the place of the crop.
        """
        if name in (AUTO, STILL):
            return torch.tensor([STATIC_POSE]).expand(frames, -1)
        fit = read_fit(Path(name))
        if fit.crop is None:
            raise MethodError(f"{name} has no transform_params, which say where the crop lies; give a whole 3DMM fit")
        rows = torch.arange(frames).clamp(max=len(fit.coefficients) - 1)
        return pose_of_fit(fit.coefficients, fit.crop)[rows]

    @torch.inference_mode()
    def render(self, read: Read, motion: Tensor, places: Tensor) -> Tensor:
        """Return pictures (n, 3, size, size) in [0, 1]."""
        windows = render_windows(motion, self.config.render_radius, places)
        rendered: Tensor = self.renderer(read.image.expand(len(windows), -1, -1, -1), windows).image
        return ((rendered + 1) / 2).clamp(0, 1)


def within_reach(track: Tensor) -> Tensor:
    """Return a pose track (n, 9) with its movement made smaller where it turns by more than `REACH`."""
    steps = track - track[0]
    furthest = steps[:, ANGLES].norm(dim=1).max().rad2deg()
    smaller: Tensor = track[0] + steps * (REACH / furthest.clamp(min=REACH))
    return smaller


def square(rgb: Frame, size: int) -> Frame:
    """Return a picture (height, width, 3) as (size, size, 3), stretched as the renderer's portrait is."""
    whole = portrait_tensor(rgb, size)[0].permute(1, 2, 0) * 255
    return np.ascontiguousarray(whole.round().to(torch.uint8).numpy())
