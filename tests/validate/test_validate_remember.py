"""What is remembered of equal images: the same results, made once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from thbench.data.synth_heads.dataset import clips_of
from thbench.evaluate.engine import evaluate_clip
from thbench.evaluate.settings import Settings
from thbench.faces.face import Face
from thbench.media import read_audio, read_frames, write_video
from thbench.metrics.available import select
from thbench.types import Audio
from thbench.validate.remember import Memory, RememberingViews

FRAMES = 20
METRICS = ("csim/mini/*", "fid/mini", "fvd/mini", "m-lmd/mini", "apd/mini", "ssim", "flicker")


def face(yaw: float) -> Face:
    return Face(np.zeros((478, 3), np.float32), np.zeros(52, np.float32), np.diag((yaw, 1.0, 1.0)))


def test_what_was_not_asked_for_longest_is_forgotten() -> None:
    memory, made = Memory[str](2), []

    def make(key: str) -> str:
        return memory.get(key, lambda: made.append(key) or key)

    assert [make(key) for key in "abacab"] == list("abacab")
    assert made == ["a", "b", "c", "b"]


def test_a_view_is_of_its_pixels_and_its_face() -> None:
    views, frame = RememberingViews(), np.zeros((4, 4, 3), np.uint8)
    first = views(frame, None)
    assert views(frame.copy(), None) is first
    assert views(frame + 1, None) is not first
    assert views(frame.reshape(2, 8, 3), None) is not first
    seen = views(frame, face(1.0))
    assert seen is not first and views(frame, face(1.0)) is seen and views(frame, face(0.5)) is not seen


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A clip, the same with late sound, and with every other frame held."""
    folder, clip = tmp_path_factory.mktemp("remember"), clips_of()[0]
    frames = [f.rgb for f in read_frames(clip.path)][:FRAMES]
    sound = read_audio(clip.path)
    late = Audio(np.concatenate((np.zeros(2000, np.float32), sound.samples)), sound.rate)
    made = {
        "plain": (frames, sound),
        "late": (frames, late),
        "held": ([frames[i - i % 2] for i in range(FRAMES)], sound),
    }
    for name, (shown, heard) in made.items():
        write_video(folder / f"{name}.mkv", shown, 25.0, audio=heard)
    return {name: folder / f"{name}.mkv" for name in made}


def test_numbers_are_those_of_views_that_are_made_anew(videos: dict[str, Path]) -> None:
    views = RememberingViews()
    for name in ("plain", "late", "held"):
        fresh, again = (
            evaluate_clip(
                {name: videos[name]},
                videos["plain"],
                selection=select(METRICS),
                settings=Settings(fps=25.0),
                new_tracker=None,
                **more,
            )[name]
            for more in ({}, {"new_view": views})
        )
        assert fresh.values and fresh.values == again.values and fresh.missing == again.missing
        assert fresh.features.keys() == again.features.keys() and len(fresh.features) == 2
        for extractor, rows in fresh.features.items():
            np.testing.assert_array_equal(rows, again.features[extractor])
