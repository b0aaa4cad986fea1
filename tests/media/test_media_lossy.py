"""The lossy steps of published pipelines: every frame comes out, in its place, a little worse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from thbench.media.lossy import FINE, Jpeg, Mpeg4, through_mp3, through_xvid


def moving(count: int, side: int = 96) -> list[np.ndarray]:
    """A soft picture that moves by two pixels a frame."""
    wide = cv2.resize(
        np.random.default_rng(0).integers(0, 256, (6, 12, 3), dtype=np.uint8),
        (2 * side, side),
        interpolation=cv2.INTER_CUBIC,
    )
    return [np.ascontiguousarray(wide[:, 2 * i : 2 * i + side]) for i in range(count)]


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(first.astype(float) - second).mean()))


def mpeg4(frames: list[np.ndarray]) -> Iterator[Any]:
    video = Mpeg4(25)
    for frame in frames:
        yield from video.add(frame)
    yield from video.finish()


ROUTES: dict[str, Callable[[list[np.ndarray]], list[np.ndarray]]] = {
    "mpeg4": lambda frames: [out.to_ndarray(format="rgb24") for out in mpeg4(frames)],
    "xvid": lambda frames: [o.to_ndarray(format="rgb24") for o in through_xvid([f[..., ::-1] for f in frames], 25)],
    "jpeg": lambda frames: [still.pass_through(o)[..., ::-1] for still in [Jpeg(25, FINE)] for o in mpeg4(frames)],
    "default jpeg": lambda frames: [still.pass_through(o)[..., ::-1] for still in [Jpeg(25)] for o in mpeg4(frames)],
}


@pytest.mark.parametrize("route", ROUTES)
def test_every_frame_comes_out_in_its_place(route: str) -> None:
    frames = moving(23)
    out = ROUTES[route](frames)
    assert [o.shape for o in out] == [f.shape for f in frames]
    for index, (before, after) in enumerate(zip(frames, out, strict=True)):
        assert 28 < psnr(before, after) < 60
        others = [psnr(frames[i], after) for i in (index - 1, index + 1) if 0 <= i < len(frames)]
        assert psnr(before, after) > max(others)


def test_fine_stills_are_better_than_default_ones() -> None:
    frames = moving(30, 224)
    fine, usual = (
        np.mean([psnr(a, b) for a, b in zip(frames, ROUTES[n](frames), strict=True)]) for n in ("jpeg", "default jpeg")
    )
    assert fine > usual


@pytest.mark.parametrize("samples", [0, 1, 575, 16000, 40001])
def test_sound_is_neither_shifted_nor_longer(samples: int) -> None:
    time = np.arange(samples) / 16000
    sound = np.round(8000 * np.sin(2 * np.pi * 180 * time * (1 + time))).astype(np.int16)
    out = through_mp3(sound)
    assert (out.dtype, out.shape) == (np.int16, sound.shape)
    if samples < 16000:
        return
    middle = sound[4000:12000].astype(float)
    shifts = [float(middle @ out[4000 + shift : 12000 + shift]) for shift in range(-200, 201)]
    assert int(np.argmax(shifts)) == 200
    assert 0 < np.abs(out - sound.astype(int))[2000:12000].mean() < 400
