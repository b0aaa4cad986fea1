"""Cuts between shots: PySceneDetect as the oracle where it is installed, and cases whose answer is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from thbench.metrics.scenes import SHORTEST, SceneCuts


def picture(seed: int, size: tuple[int, int] = (90, 120)) -> np.ndarray:
    """A soft picture of its own colours."""
    random = np.random.default_rng(seed)
    return cv2.resize(random.integers(0, 256, (4, 4, 3), dtype=np.uint8), size[::-1], interpolation=cv2.INTER_CUBIC)


def shots(lengths: list[int], size: tuple[int, int] = (90, 120)) -> list[np.ndarray]:
    return [picture(number, size) for number, length in enumerate(lengths) for _ in range(length)]


def found(frames: list[np.ndarray]) -> list[tuple[int, int]]:
    cuts = SceneCuts()
    for frame in frames:
        cuts.add(frame)
    return cuts.shots()


def test_one_shot_is_whole() -> None:
    assert found(shots([30])) == [(0, 30)]
    assert found([]) == [(0, 0)]


def test_cuts_are_where_the_picture_changes() -> None:
    assert found(shots([20, 40, 15])) == [(0, 20), (20, 60), (60, 75)]


def test_a_cut_near_the_beginning_is_none() -> None:
    assert found(shots([SHORTEST - 1, 40])) == [(0, 54)]
    assert found(shots([SHORTEST, 40])) == [(0, 15), (15, 55)]


def test_a_slow_change_is_no_cut() -> None:
    first, second = picture(0).astype(float), picture(1).astype(float)
    frames = [(first + (second - first) * step / 60).astype(np.uint8) for step in range(61)]
    assert found(frames) == [(0, 61)]


@pytest.mark.parametrize("size", [(90, 120), (300, 260), (400, 700)])
@pytest.mark.parametrize(
    "lengths",
    [[20, 40, 15], [20, 3, 3, 3, 3, 3, 3, 3, 40], [30, 5, 40], [16, 10, 10, 10, 30], [5, 5, 60], [20, 14, 14]],
)
def test_the_cuts_are_those_of_pyscenedetect(lengths: list[int], size: tuple[int, int]) -> None:
    detectors = pytest.importorskip("scenedetect.detectors", reason="the extra `oracle-peers` is not installed")
    manager = pytest.importorskip("scenedetect.scene_manager")
    frames = shots(lengths, size)
    detector, cuts = detectors.ContentDetector(), []
    factor = manager.compute_downscale_factor(max(size))
    for number, frame in enumerate(frames):
        bgr = np.ascontiguousarray(frame[..., ::-1])
        if factor > 1:
            bgr = cv2.resize(bgr, (round(size[1] / factor), round(size[0] / factor)), interpolation=cv2.INTER_LINEAR)
        cuts += detector.process_frame(number, bgr)
    assert [start for start, _ in found(frames)][1:] == cuts
