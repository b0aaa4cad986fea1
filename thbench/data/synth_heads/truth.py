"""What is known of every frame of a clip, and its file.

A truth file is an npz archive: the movements as integers of fixed steps (exactly those that were drawn), what was seen
in the picture, and a JSON description. Landmarks follow from the person and the movements; all 478 are computed when
asked for.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from thbench.data.synth_heads import performance as step
from thbench.data.synth_heads.expression import EXPRESSIONS
from thbench.data.synth_heads.model import Geometry, make_geometry
from thbench.data.synth_heads.motion import Motion, landmarks_in_space
from thbench.data.synth_heads.person import make_person
from thbench.data.synth_heads.plan import VERSION
from thbench.data.synth_heads.scene import make_scene
from thbench.data.synth_heads.speech.visemes import VISEMES
from thbench.errors import MediaError, UsageError
from thbench.faces.landmarks import MESH_OF_68
from thbench.types import Document

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MASK_SIZE = 64
"""Side of the small face mask."""
_PIXEL_STEP = 1 / 64


class About(Document):
    """Description of a clip."""

    version: int = VERSION
    """Of the generator; landmarks can only be computed by the same one."""
    id: str
    """Clip id."""
    split: str
    identity: str
    """Name of the person."""
    person: int
    """Seed of the person."""
    seed: int
    """Seed of the scene, the sentence and the movements."""
    prompt: str
    """The clip in words."""
    text: str
    """What is said."""
    language: str
    voice: str
    """espeak-ng voice, words per minute, pitch and range."""
    emotion: str
    level: int
    intent: str
    gesture: tuple[float, float] | None
    """Begin and end of the intent's gesture; seconds."""
    style: dict[str, float]
    """Habits of the speaker by name, see `style.Style`."""
    phonemes: tuple[tuple[str, float, float], ...]
    """IPA, begin, end; seconds."""
    beats: tuple[float, ...]
    """Audio beats: middles of the stressed vowels; seconds."""
    blinks: tuple[float, ...]
    """Middles of the blinks; seconds."""
    backdrop: str
    size: int
    """Pixels along each side."""
    fps: float


@dataclass(frozen=True)
class Truth:
    """All that is known of a clip. Frame i shows the instant i / fps."""

    about: About
    motion: Motion
    """Pose, gaze and expression."""
    visemes: NDArray[np.float32]
    """Shape (frames, visemes), order of `VISEMES`; rows sum to one."""
    landmarks68: NDArray[np.float32]
    """Shape (frames, 68, 2): pixels, x right and y down, the corner of the image is (0, 0); order of the 300-W
    scheme."""
    face: NDArray[np.bool_]
    """Shape (frames, size, size): pixels that show the face from the forehead to the chin, eyes and inner mouth
    included."""
    mouth: NDArray[np.float32]
    """Shape (frames,): area of the picture that shows the inside of the mouth; pixels."""
    opening: NDArray[np.float32]
    """Shape (frames,): distance between the middles of the lips' inner edges (landmarks 13 and 14); centimetres."""

    def __len__(self) -> int:
        return len(self.motion)

    @property
    def pose(self) -> NDArray[np.float32]:
        """Yaw, pitch, roll in degrees, shape (frames, 3), signs of `thbench.faces.head_pose_degrees`."""
        return self.motion.pose

    @property
    def gaze(self) -> NDArray[np.float32]:
        """Yaw and pitch of the eyes relative to the head, shape (frames, 2), degrees, signs as in `pose`."""
        return self.motion.gaze

    @property
    def expression(self) -> NDArray[np.float32]:
        """Named coefficients, shape (frames, expressions), range [0, 1], order of `EXPRESSIONS`."""
        return self.motion.expression

    @property
    def blink(self) -> NDArray[np.float32]:
        """Closure of the lids, shape (frames,), 0 open to 1 shut: the mean of the two `eyeBlink` coefficients."""
        columns = [EXPRESSIONS.index("eyeBlinkLeft"), EXPRESSIONS.index("eyeBlinkRight")]
        return np.asarray(self.expression[:, columns].mean(axis=1))

    @property
    def viseme_names(self) -> list[str]:
        """The viseme that is most in force in each frame."""
        return [VISEMES[i] for i in self.visemes.argmax(axis=1)]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The face mask at 64 x 64, shape (frames, 64, 64): cells of which at least half is face."""
        return np.stack([small_mask(frame) for frame in self.face])

    def identity(self) -> dict[str, float]:
        """The identity vector of the person, by name."""
        return identity_vector(self.about.person)

    def landmarks478(self) -> NDArray[np.float32]:
        """MediaPipe's 478 landmarks, shape (frames, 478, 3), as `Face.points`: pixels, and depth in the same scale.

        Raises:
            UsageError: The clip was made by another version of the generator.
        """
        if self.about.version != VERSION:
            raise UsageError(
                f"clip {self.about.id!r} was made by version {self.about.version} of synth-heads, this is"
                f" version {VERSION}; make it again with `thbench data make synth-heads`"
            )
        geometry = _geometry(self.about.person)
        camera = make_scene(self.about.seed).camera
        return np.stack([landmarks(geometry, self.motion, camera, self.about.size, i) for i in range(len(self))])


@lru_cache(maxsize=4)
def _geometry(person: int) -> Geometry:
    return make_geometry(make_person(person))


def landmarks(
    geometry: Geometry, motion: Motion, camera: Any, size: int, frame: int, points: NDArray[np.float64] | None = None
) -> NDArray[np.float32]:
    """The 478 landmarks of one frame, shape (478, 3), as `Face.points`.

    Args:
        geometry: The person.
        motion: The clip.
        camera: The clip's `scene.Camera`.
        size: Pixels along each side.
        frame: Number of the frame.
        points: The vertices at that frame in camera space, if they are there already.
    """
    space = landmarks_in_space(geometry, motion, frame, points)
    pixels = camera.project(space, size)
    scale = size / camera.view
    pixels[:, 2] = (pixels[:, 2] - pixels[:, 2].mean()) * scale
    return np.asarray(pixels, dtype=np.float32)


def identity_vector(person: int) -> dict[str, float]:
    """Everything that makes a person look different from another, by name.

    Args:
        person: Seed of the person.
    """
    who = make_person(person)
    vector = {f"shape/{name}": value for name, value in who.shape.items()}
    for name in ("feminine", "ear_size", "ear_flare", "neck", "muscle", "breadth", "teeth"):
        vector[name] = getattr(who, name)
    for name in ("skin", "lips", "iris", "hair", "brow"):
        vector |= {f"{name}/{c}": v for c, v in zip("rgb", getattr(who.look, name), strict=True)}
    for name in ("blush", "freckles", "age", "brow_thickness", "brow_arch", "stubble", "beard", "moustache"):
        vector[name] = getattr(who.look, name)
    return vector | {"glasses": float(who.glasses > 0)}


def small_mask(face: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Face mask (size, size) at 64 x 64: cells of which at least half is face."""
    import cv2

    area = cv2.resize(face.astype(np.float32), (MASK_SIZE, MASK_SIZE), interpolation=cv2.INTER_AREA)
    return np.asarray(area >= 0.5)


def write_truth(path: Path, truth: Truth) -> None:
    """Write a truth file; equal truth gives equal bytes."""
    motion = truth.motion
    np.savez_compressed(
        path,
        about=np.frombuffer(truth.about.model_dump_json().encode(), dtype=np.uint8),
        expression=step.to_steps(motion.expression, step.EXPRESSION_STEP).astype(np.uint8),
        gaze=step.to_steps(motion.gaze, step.ANGLE_STEP).astype(np.int16),
        pose=step.to_steps(motion.pose, step.ANGLE_STEP).astype(np.int16),
        place=step.to_steps(motion.place, step.LENGTH_STEP).astype(np.int16),
        chest=step.to_steps(motion.chest, step.LENGTH_STEP).astype(np.int16),
        visemes=np.rint(truth.visemes * 255).astype(np.uint8),
        # Differences from frame to frame are small numbers, which compress well.
        landmarks68=np.diff(np.rint(truth.landmarks68 / _PIXEL_STEP).astype(np.int16), axis=0, prepend=np.int16(0)),
        face=np.packbits(_changes(truth.face)),
        mouth=truth.mouth.astype(np.float32),
        opening=truth.opening.astype(np.float32),
    )


def read_truth(path: Path) -> Truth:
    """Read a truth file.

    Raises:
        MediaError: The file cannot be read as one.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        about = About.model_validate_json(arrays["about"].tobytes())
        return _from_arrays(about, arrays)
    except (OSError, EOFError, ValueError, KeyError, BadZipFile, zlib.error) as error:
        raise MediaError(f"{path} is not a truth file of synth-heads ({error}); make the clip again") from error


def _from_arrays(about: About, arrays: dict[str, NDArray[Any]]) -> Truth:
    motion = Motion(
        about.fps,
        step.from_steps(arrays["expression"], step.EXPRESSION_STEP),
        step.from_steps(arrays["gaze"], step.ANGLE_STEP),
        step.from_steps(arrays["pose"], step.ANGLE_STEP),
        step.from_steps(arrays["place"], step.LENGTH_STEP),
        step.from_steps(arrays["chest"], step.LENGTH_STEP),
    )
    visemes = arrays["visemes"].astype(np.float32)
    frames = len(motion)
    changes = np.unpackbits(arrays["face"], count=frames * about.size**2).reshape(frames, about.size, about.size)
    return Truth(
        about=about,
        motion=motion,
        visemes=visemes / visemes.sum(axis=1, keepdims=True),
        landmarks68=np.cumsum(arrays["landmarks68"], axis=0, dtype=np.int16).astype(np.float32)
        * np.float32(_PIXEL_STEP),
        face=np.bitwise_xor.accumulate(changes, axis=0).astype(bool),
        mouth=arrays["mouth"],
        opening=arrays["opening"],
    )


def _changes(face: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Each frame of a mask against the one before it: mostly zeros, which compress well."""
    before = np.concatenate((np.zeros_like(face[:1]), face[:-1]))
    return np.asarray(face ^ before)


def select68(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """The 68 landmarks out of the 478, shape (..., 68, 2)."""
    return points[..., list(MESH_OF_68), :2]
