"""Synthetic faces and sounds of which every number is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from thbench.faces.face import Face
from thbench.faces.pose import rotation_from_degrees
from thbench.metrics.observer import ClipFacts, Moment, Values, VideoFacts, View
from thbench.metrics.sound import Sound, analyse

RATE = 16000
BLACK = np.zeros((2, 2, 3), np.uint8)


def make_face(
    *,
    opening: float = 0.1,
    width: float = 60.0,
    eye: float = 0.3,
    degrees: Iterable[float] = (0, 0, 0),
    at: float = 0.0,
) -> Face:
    """A face with outer eye corners 100 px apart and the given lip gap (of 100 px), mouth width (px) and eye ratio."""
    points = np.zeros((478, 3))
    points[33], points[263] = (-50, 0, 0), (50, 0, 0)
    points[133], points[362] = (-20, 0, 0), (20, 0, 0)
    for upper, lower in ((160, 144), (158, 153), (385, 380), (387, 373)):
        points[upper], points[lower] = (0, -15 * eye, 0), (0, 15 * eye, 0)
    for upper, lower in ((13, 14), (82, 87), (312, 317)):
        points[upper], points[lower] = (0, 60 - 50 * opening, 5), (0, 60 + 50 * opening, 5)
    for lip in (191, 80, 81, 311, 310):
        points[lip] = (0, 60 - 50 * opening, 5)
    for lip in (95, 88, 178, 402, 318):
        points[lip] = (0, 60 + 50 * opening, 5)
    points[61], points[291] = (-width / 2, 60, 0), (width / 2, 60, 0)
    points[2], points[152] = (0, 40, 0), (0, 110, 0)
    rotation = rotation_from_degrees(tuple(degrees))
    return Face(
        points=(points + at).astype(np.float32), blendshapes=np.zeros(52, np.float32), rotation=np.asarray(rotation)
    )


def facts(
    sound: Sound | None,
    *,
    fps: float = 25.0,
    frames: int = 100,
    others: tuple[Sound, ...] = (),
    seed: int = 0,
    has_reference: bool = True,
) -> ClipFacts:
    video = VideoFacts(width=2, height=2, frames=frames, duration=frames / fps, sound=sound)
    return ClipFacts(fps, video, video if has_reference else None, others, seed)


def evaluate(
    observer: Callable[..., object],
    names: set[str],
    faces: Iterable[Face | None],
    sound: Sound | None = None,
    *,
    reference: Iterable[Face | None] | None = None,
    **clip: object,
) -> Values:
    """Show faces to a fresh observer and return its values."""
    made = observer(names)
    faces = list(faces)
    theirs = list(reference) if reference is not None else [None] * len(faces)
    for index, face in enumerate(faces):
        other = View(BLACK, theirs[index]) if index < len(theirs) else None
        made.observe(Moment(index, View(BLACK, face), other))  # type: ignore[attr-defined]
    values: Values = made.values(facts(sound, frames=len(faces), **clip))  # type: ignore[attr-defined, arg-type]
    assert set(values) == names
    return values


def bursts(times: Iterable[float], seconds: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Decaying tone bursts with a little noise, 150 ms each, over faint noise."""
    samples = rng.normal(size=round(seconds * RATE)) * 1e-4
    length = round(0.15 * RATE)
    decay = np.linspace(1, 0, length) ** 2
    tone = np.sin(2 * np.pi * 200 * np.arange(length) / RATE) * 0.3
    for time in times:
        start = round(time * RATE)
        piece = (tone + rng.normal(size=length) * 0.02) * decay
        samples[start : start + length] += piece[: len(samples) - start]
    return samples.astype(np.float32)


def articulated(signal: NDArray[np.float64], rng: np.random.Generator) -> Sound:
    """The analysed sound of `articulated_samples`."""
    return analyse([articulated_samples(signal, rng)])


def articulated_samples(signal: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float32]:
    """Noise whose energy moves from 100-500 Hz to 1-4 kHz (column 0) and from 4-8 kHz to 0.5-1.5 kHz (column 1).

    Args:
        signal: Shape (points, 2) on the 10 ms grid, about [-1, 1]: the contrasts to make, in units of 10 dB.
    """
    count = len(signal) * RATE // 100
    times = np.arange(count) / RATE
    spectrum = np.fft.rfft(rng.normal(size=count))
    frequencies = np.fft.rfftfreq(count, 1 / RATE)
    total = np.zeros(count)
    for low, high, column, sign in ((100, 500, 0, -1), (1500, 4000, 0, 1), (4000, 8000, 1, -1), (500, 1000, 1, 1)):
        part = np.fft.irfft(np.where((frequencies >= low) & (frequencies < high), spectrum, 0), count)
        part *= 0.02 / part.std()
        control = np.interp(times, np.arange(len(signal)) / 100, signal[:, column])
        total += part * 10 ** (sign * 5 * control / 20)
    return total.astype(np.float32)


def syllables(count: int, columns: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Random movement with the pace of syllables (about 1 to 6 Hz) on the 10 ms grid, shape (count, columns), std 1."""
    noise = rng.normal(size=(count, columns))
    frequencies = np.fft.rfftfreq(count, 0.01)
    spectrum = np.fft.rfft(noise, axis=0) * ((frequencies > 1) & (frequencies < 6))[:, None]
    moving = np.fft.irfft(spectrum, count, axis=0)
    return np.asarray(moving / moving.std(axis=0))
