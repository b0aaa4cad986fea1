"""Images and faces of which every number is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from thbench.faces import MESH_OF_68
from thbench.faces.face import Face
from thbench.metrics.observer import ClipFacts, Moment, Observer, Values, VideoFacts, View

Image = NDArray[np.uint8]


def natural(height: int, width: int, seed: int, channels: int | None = None) -> Image:
    """An image with the 1/f amplitude spectrum of photographs, full range."""
    rng = np.random.default_rng(seed)
    shape = (channels or 1, height, width)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    spectrum = np.fft.fft2(rng.standard_normal(shape)) / np.maximum(frequency, 1 / max(height, width))
    image = np.fft.ifft2(spectrum).real
    image = np.clip(128 + 45 * image / image.std(), 0, 255).astype(np.uint8)
    return np.moveaxis(image, 0, -1) if channels else image[0]


def noisy(image: Image, amount: float, seed: int) -> Image:
    rng = np.random.default_rng(seed)
    return np.clip(np.rint(image + rng.normal(0, amount, image.shape)), 0, 255).astype(np.uint8)


def face68(points: NDArray[np.floating]) -> Face:
    """A face with the given 68 points, shape (68, 2)."""
    mesh = np.zeros((478, 3), np.float32)
    mesh[list(MESH_OF_68), :2] = points
    return Face(points=mesh, blendshapes=np.zeros(52, np.float32), rotation=np.eye(3))


def real_face(seed: int = 0) -> NDArray[np.float64]:
    """68 points, eye centres exactly 60 px apart."""
    points = np.random.default_rng(seed).uniform(60, 200, (68, 2))
    points[36:42] += (100, 100) - points[36:42].mean(axis=0)
    points[42:48] += (160, 100) - points[42:48].mean(axis=0)
    return points


def moved(face: NDArray[np.float64], right: float, down: float) -> NDArray[np.float64]:
    return face + np.array([right, down])


def video(duration: float = 4.0, **fields: float | None) -> VideoFacts:
    return VideoFacts(width=2, height=2, frames=round(duration * 25), duration=duration, sound=None, **fields)  # type: ignore[arg-type]


def watch(
    observer: Callable[[frozenset[str]], Observer],
    names: Iterable[str],
    generated: Sequence[View],
    reference: Sequence[View | None] = (),
    *,
    fps: float = 25.0,
) -> Values:
    """Show views to a fresh observer; a reference shorter than the generated video ends before it."""
    watching = observer(frozenset(names))
    padded = [*reference, *[None] * len(generated)]
    for index, (ours, theirs) in enumerate(zip(generated, padded, strict=False)):
        watching.observe(Moment(index, ours, theirs))
    return watching.values(ClipFacts(fps, video(), video() if reference else None))


def views(images: Iterable[Image]) -> list[View]:
    return [View(image) for image in images]


def face_views(faces: Iterable[NDArray[np.floating] | None], size: tuple[int, int] = (256, 256)) -> list[View]:
    frame = np.zeros((*size, 3), np.uint8)
    return [View(frame, None if face is None else face68(face)) for face in faces]
