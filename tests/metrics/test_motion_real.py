"""Lip sync and blinks on real talking heads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from motion_helpers import RATE, evaluate
from numpy.typing import NDArray

from thbench.faces import BLENDSHAPES, FaceTracker
from thbench.faces.face import Face
from thbench.media import iter_audio, read_frames
from thbench.metrics.blink import BlinkObserver, blinks, eye_opening
from thbench.metrics.observer import Missing
from thbench.metrics.sound import analyse
from thbench.metrics.sync import SyncObserver

pytestmark = pytest.mark.real
FPS = 25.0
FRAME_MS = 1000 / FPS


@dataclass(frozen=True)
class Seen:
    """One reference clip at 25 frames per second."""

    faces: tuple[Face | None, ...]
    samples: NDArray[np.float32]


@pytest.fixture(scope="module")
def clips(shared: Path, weights: str) -> Mapping[str, Seen]:
    found = {}
    for path in sorted((shared / "real" / "reference").glob("*.mp4")):
        with FaceTracker() as tracker:
            faces = tuple(tracker.find(frame.rgb) for frame in read_frames(path, FPS))
        found[path.stem] = Seen(faces, np.concatenate(list(iter_audio(path))))
    return found


def moved(samples: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    """The sound later by so many frames, silence where nothing is, of the same length."""
    shift = round(frames / FPS * RATE)
    silence = np.zeros(abs(shift), np.float32)
    return np.concatenate([silence, samples[:-shift]]) if shift > 0 else np.concatenate([samples[-shift:], silence])


def measure(clip: Seen, samples: NDArray[np.float32], name: str) -> float:
    value = evaluate(SyncObserver, {name}, clip.faces, analyse([samples]), fps=FPS)[name]
    return np.nan if isinstance(value, Missing) else value


def test_a_shift_of_five_frames_is_found_to_within_one(clips: Mapping[str, Seen]) -> None:
    hits = {}
    for name, clip in clips.items():
        own = measure(clip, clip.samples, "lip-audio-offset")
        assert abs(own) < 5 * FRAME_MS, name
        late, early = (measure(clip, moved(clip.samples, n), "lip-audio-offset") for n in (5, -5))
        hits[name] = abs(late - own - 5 * FRAME_MS) <= FRAME_MS and abs(early - own + 5 * FRAME_MS) <= FRAME_MS
    assert sum(hits.values()) >= 3, hits


def test_own_sound_correlates_more_than_that_of_others(clips: Mapping[str, Seen]) -> None:
    own, others = [], []
    for name, clip in clips.items():
        own.append(measure(clip, clip.samples, "lip-audio-corr"))
        foreign = [measure(clip, other.samples, "lip-audio-corr") for key, other in clips.items() if key != name]
        others.append(np.nanmean(foreign))
    assert (np.array(own) > np.array(others)).all(), (own, others)
    assert np.mean(own) > np.mean(others) + 0.1


def test_blinks_are_those_of_the_blendshapes(clips: Mapping[str, Seen]) -> None:
    """MediaPipe's eyeBlink coefficients come from another head of the network; both must see the same closures."""
    columns = [BLENDSHAPES.index("eyeBlinkLeft"), BLENDSHAPES.index("eyeBlinkRight")]
    for name, clip in clips.items():
        faces = [face for face in clip.faces if face is not None]
        opening = np.array([eye_opening(face.points) for face in faces])
        blink = np.array([face.blendshapes[columns].mean() for face in faces])
        assert np.corrcoef(opening, blink)[0, 1] < -0.9, name
        found = blinks(opening, FPS)
        assert len(found) >= 1, name
        for (start, stop), _ in found:
            assert blink[start:stop].max() > np.median(blink) + 0.2, (name, start)
        rate = evaluate(BlinkObserver, {"blink-rate"}, clip.faces, fps=FPS)["blink-rate"]
        assert rate == pytest.approx(len(found) / (len(faces) / FPS))
