"""The published lip-sync pipeline with boxes and embeddings given, as networks with random weights see no face."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch

from thbench.backbones import loaded
from thbench.errors import MediaError
from thbench.faces import smooth_track, syncnet_crop
from thbench.metrics import joonson, lse
from thbench.metrics.joonson import Joonson
from thbench.metrics.observer import View

BOX = np.array([20.0, 5, 130, 115])


class Echo:
    """Takes the place of SyncNet: its embeddings are the mean colours of the frames, and some coefficients."""

    def audio(self, windows: torch.Tensor) -> torch.Tensor:
        return windows[:, 0, 1:4, :5].flatten(1)

    def lips_of_clip(self, frames: torch.Tensor) -> torch.Tensor:
        means = frames.mean(dim=(2, 3)).T
        return torch.cat([means[i : len(means) - 4 + i] for i in range(5)], dim=1)


def shot(frames: int, seed: int) -> list[np.ndarray]:
    """A soft picture whose brightness wavers; another seed is another scene."""
    random = np.random.default_rng(seed)
    picture = cv2.resize(random.integers(40, 200, (4, 4, 3), dtype=np.uint8), (160, 140), interpolation=cv2.INTER_CUBIC)
    return [np.clip(picture + random.normal(0, 3) + 9 * np.sin(i), 0, 255).astype(np.uint8) for i in range(frames)]


def sound(frames: int) -> np.ndarray:
    return np.random.default_rng(2).integers(-12000, 12000, frames * 640).astype(np.int16)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Finds the same box in every frame; how many frames the detector saw at a time."""
    counts: list[int] = []

    def find(network: Any, images: list[np.ndarray]) -> list[np.ndarray]:
        counts.append(len(images))
        return [np.array([[*BOX, 0.99]]) for _ in images]

    monkeypatch.setattr(loaded, "s3fd", lambda mode: None)
    monkeypatch.setattr(joonson, "find_faces_in_batch", find)
    return counts


def scored(frames: list[np.ndarray], audio: np.ndarray, **options: Any) -> lse.SyncValues:
    pipeline = Joonson(Echo(), **options)  # type: ignore[arg-type]
    for frame in frames:
        pipeline.add(View(frame))
    return pipeline.finish(audio)


def expected(frames: list[np.ndarray], audio: np.ndarray) -> lse.SyncScore:
    places = smooth_track(np.array([BOX] * len(frames)))
    crops = np.stack([syncnet_crop(f, p)[..., ::-1] for f, p in zip(frames, places, strict=True)])
    return lse.score(*lse.clip_embeddings(Echo(), crops, audio))  # type: ignore[arg-type]


def test_one_shot_is_one_track(seen: list[int]) -> None:
    frames, audio = shot(110, 1), sound(110)
    values, oracle = scored(frames, audio), expected(frames, audio)
    assert values.lse_d == pytest.approx(oracle.lse_d, rel=1e-5)
    assert values.lse_c == pytest.approx(oracle.lse_c, rel=1e-3, abs=1e-4)
    assert values.offset == oracle.offset
    assert sum(seen) == 110 and max(seen) <= 8


def test_shots_are_tracks_of_their_own_and_short_ones_none(seen: list[int]) -> None:
    parts = [shot(105, 1), shot(40, 2), shot(120, 3)]
    audio = sound(265)
    values = scored([frame for part in parts for frame in part], audio)
    first, last = expected(parts[0], audio[: 105 * 640]), expected(parts[2], audio[145 * 640 :])
    assert values.lse_d == pytest.approx((first.lse_d + last.lse_d) / 2, rel=1e-5)
    assert values.lse_c == pytest.approx((first.lse_c + last.lse_c) / 2, rel=1e-3, abs=1e-4)
    assert values.offset == last.offset


def test_fast_sees_key_frames_and_the_ends_of_shots(seen: list[int]) -> None:
    frames, audio = [*shot(113, 1), *shot(119, 2)], sound(232)
    exact = scored(frames, audio)
    seen.clear()
    fast = scored(frames, audio, mode="fast")
    # Every fifth of 232 frames, and the frames 112, 113 and 231.
    assert sum(seen) == 47 + 3
    assert fast == exact


def test_a_shot_without_a_long_track_gives_no_number(seen: list[int]) -> None:
    with pytest.raises(MediaError, match=r"no face track of more than 100 frames .* \(2 shots\)"):
        scored([*shot(90, 1), *shot(90, 2)], sound(180))
    with pytest.raises(MediaError, match="S3FD finds no face"):
        scored([], sound(10))


def test_lossy_encodings_change_the_number_a_little(seen: list[int]) -> None:
    frames, audio = shot(110, 1), sound(110)
    plain, lossy = scored(frames, audio), scored(frames, audio, lossy=True)
    assert sum(seen) == 220
    assert lossy.lse_d != plain.lse_d
    assert lossy.lse_d == pytest.approx(plain.lse_d, rel=0.05)
