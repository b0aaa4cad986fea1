"""A few seconds of drawn talking heads, so that the main job runs where nobody has brought clips.

They exercise the pipeline; they are no dataset. Each head opens its mouth with the loudness of its own babble, sways,
and blinks; everything follows from the seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from thbench.media import write_video
from thbench.types import Audio

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

FPS = 25
RATE = 16000
SUPERSAMPLING = 2
"""The drawing is made larger and area-averaged, so that edges are smooth."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one drawn person looks and sounds like."""

    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
    shirt: tuple[int, int, int]
    background: tuple[int, int, int]
    pitch: float
    """Fundamental frequency in Hz."""


LOOKS = (
    Look((224, 182, 155), (62, 42, 30), (52, 84, 120), (188, 198, 206), 115.0),
    Look((141, 98, 72), (24, 20, 20), (150, 60, 58), (206, 200, 184), 205.0),
    Look((236, 200, 178), (150, 100, 52), (66, 104, 74), (172, 184, 178), 165.0),
)


def write_drawn_clips(folder: Path, *, seconds: float = 3.0, size: int = 256, seed: int = 0) -> list[Path]:
    """Write one clip for each of `LOOKS`.

    Args:
        folder: Where to; made if absent.
        seconds: Length of each clip.
        size: Height and width in pixels.
        seed: Same seed, same frames and sound.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index, look in enumerate(LOOKS):
        rng = np.random.default_rng([seed, index])
        loudness, sound = babble(seconds, look.pitch, rng)
        path = folder / f"drawn_{index + 1}.mp4"
        write_video(path, draw_frames(look, loudness, size, rng), FPS, quality="view", audio=sound)
        paths.append(path)
    return paths


def babble(seconds: float, pitch: float, rng: np.random.Generator) -> tuple[NDArray[np.float64], Audio]:
    """Syllables of a voice-like tone: loudness in [0, 1] per frame, and the sound itself.

    Syllables last 0.12 to 0.3 s with pauses between; the tone is a sum of harmonics under two resonances that move with
    the opening, as a vowel's do.
    """
    count = round(seconds * RATE)
    envelope = np.zeros(count)
    start = 0.2
    while start < seconds - 0.4:
        length = rng.uniform(0.12, 0.3)
        span = slice(round(start * RATE), min(round((start + length) * RATE), count))
        envelope[span] = np.hanning(span.stop - span.start) * rng.uniform(0.5, 1.0)
        start += length + (rng.uniform(0.3, 0.5) if rng.random() < 0.2 else rng.uniform(0.02, 0.1))
    time = np.arange(count) / RATE
    phase = 2 * np.pi * pitch * (time + 0.004 * np.sin(2 * np.pi * 2.3 * time))
    tone = np.zeros(count)
    for harmonic in range(1, int(3800 / pitch)):
        frequency = harmonic * pitch
        first = np.exp(-0.5 * ((frequency - (350 + 400 * envelope)) / 160) ** 2)
        second = 0.5 * np.exp(-0.5 * ((frequency - (1250 - 150 * envelope)) / 220) ** 2)
        tone += (first + second) * np.sin(harmonic * phase)
    samples = envelope * tone / np.abs(tone).max() * 0.6 + 0.001 * rng.standard_normal(count)
    frames = round(seconds * FPS)
    centres = np.minimum(((np.arange(frames) + 0.5) * RATE / FPS).astype(int), count - 1)
    return envelope[centres], Audio(samples.astype(np.float32), RATE)


def draw_frames(
    look: Look, opening: NDArray[np.float64], size: int, rng: np.random.Generator
) -> Iterator[NDArray[np.uint8]]:
    """Draw one frame for each mouth opening in [0, 1]."""
    frames = len(opening)
    time = np.arange(frames) / FPS
    phase = rng.uniform(0, 2 * np.pi, 3)
    sway = 0.018 * np.sin(2 * np.pi * 0.31 * time + phase[0])
    nod = 0.010 * np.sin(2 * np.pi * 0.47 * time + phase[1])
    roll = 3.0 * np.sin(2 * np.pi * 0.23 * time + phase[2])
    lids = np.ones(frames)
    for blink in np.arange(rng.uniform(0.5, 1.2), frames / FPS, rng.uniform(1.6, 2.4)):
        lids *= 1 - np.exp(-0.5 * ((time - blink) / 0.05) ** 2)
    for i in range(frames):
        yield _draw(look, size, float(opening[i]), float(lids[i]), float(sway[i]), float(nod[i]), float(roll[i]))


def _draw(look: Look, size: int, opening: float, lid: float, sway: float, nod: float, roll: float) -> NDArray[np.uint8]:
    side = size * SUPERSAMPLING
    image = np.empty((side, side, 3), np.uint8)
    image[:] = look.background
    turn = np.deg2rad(roll)
    centre = (0.5 + sway, 0.47 + nod)

    def at(x: float, y: float) -> tuple[int, int]:
        """From head coordinates (face centre 0, face half-width about 0.2) to pixels."""
        right, down = np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y
        return int((centre[0] + right) * side), int((centre[1] + down) * side)

    def disc(x: float, y: float, rx: float, ry: float, colour: tuple[int, ...], tilt: float = 0.0) -> None:
        axes = (max(int(rx * side), 1), max(int(ry * side), 1))
        cv2.ellipse(image, at(x, y), axes, roll + tilt, 0, 360, colour, -1, cv2.LINE_AA)

    def arc(x: float, y: float, rx: float, ry: float, span: tuple[int, int], colour: tuple[int, ...], w: float) -> None:
        axes = (max(int(rx * side), 1), max(int(ry * side), 1))
        cv2.ellipse(image, at(x, y), axes, roll, *span, colour, max(int(w * side), 1), cv2.LINE_AA)

    shade = tuple(int(c * 0.82) for c in look.skin)
    light = tuple(min(int(c * 1.06), 255) for c in look.skin)
    lip = (178, 92, 88)
    shoulders = (int(0.5 * side), int(1.05 * side)), (int(0.4 * side), int(0.28 * side))
    cv2.ellipse(image, *shoulders, 0, 0, 360, look.shirt, -1)
    disc(0, 0.22, 0.085, 0.17, shade)
    disc(0, -0.06, 0.225, 0.27, look.hair)
    jaw = 0.035 * opening
    disc(0, 0.02 + jaw / 2, 0.19, 0.25 + jaw / 2, look.skin)
    disc(0, -0.10, 0.15, 0.10, light)
    cv2.ellipse(image, at(0, -0.16), (int(0.2 * side), int(0.12 * side)), roll, 180, 360, look.hair, -1, cv2.LINE_AA)
    for x in (-0.078, 0.078):
        disc(x, -0.035, 0.045, 0.026, shade)
        disc(x, -0.03, 0.036, 0.019 * max(lid, 0.05), (246, 244, 242))
        if lid > 0.3:
            disc(x, -0.03, 0.016, 0.016 * lid, (74, 56, 40))
            disc(x, -0.03, 0.008, 0.008 * lid, (12, 10, 10))
            disc(x + 0.005, -0.036, 0.004, 0.004, (255, 255, 255))
        arc(x, -0.028, 0.040, 0.024 * max(lid, 0.1), (190, 350), (40, 28, 24), 0.006)
        arc(x, -0.068, 0.050, 0.018, (200, 340), look.hair, 0.012)
    arc(0.0, 0.03, 0.018, 0.06, (100, 160), shade, 0.008)
    disc(0, 0.062, 0.030, 0.018, shade)
    for x in (-0.016, 0.016):
        disc(x, 0.070, 0.008, 0.005, tuple(int(c * 0.5) for c in look.skin))
    gap = 0.004 + 0.036 * opening
    disc(0, 0.135 + gap / 2, 0.066 - 0.010 * opening, 0.020 + gap / 2, lip)
    disc(0, 0.137 + gap / 2, 0.052 - 0.010 * opening, max(gap / 2, 0.003), (58, 18, 22))
    if opening > 0.25:
        disc(0, 0.137 + 0.12 * gap, 0.036, 0.2 * gap, (240, 238, 232))
    small = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)
