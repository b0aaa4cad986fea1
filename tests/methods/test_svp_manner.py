"""Portraits in the manner of a style: expressions go where a style rests, and nothing else moves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from thbench_methods.common import portrait_tensor
from thbench_methods.dreamtalk.faces import UNIT, Face, face_of
from thbench_methods.dreamtalk.mean_face import MeanFace, measured_face
from thbench_methods.svp.config import MINI
from thbench_methods.svp.manner import PASSING, with_manner
from thbench_methods.svp.style import StyleExtractor

from thbench.backbones.mini import loaded
from thbench.backbones.mini.face import Seen, look
from thbench.data.synth_heads.dataset import clips_of
from thbench.data.synth_heads.expression import EXPRESSIONS
from thbench.media import read_frames

BROWS = [EXPRESSIONS.index(name) for name in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")]
SMILE = [EXPRESSIONS.index(name) for name in ("mouthSmileLeft", "mouthSmileRight")]


@pytest.fixture(scope="module")
def model() -> MeanFace:
    face = MeanFace()
    face.load_state_dict(measured_face())
    return face


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    return next(iter(read_frames(clips_of()[1].path, threads=1))).rgb


def read(rgb: np.ndarray) -> tuple[Seen, Face]:
    seen = look(loaded.face(), rgb[None])
    return seen, face_of(seen.expression, seen.pose, seen.landmarks)


def shown(model: MeanFace, rgb: np.ndarray, wanted: torch.Tensor, strength: float = 1.0) -> np.ndarray:
    pictures = with_manner(model, 2 * portrait_tensor(rgb, 128) - 1, read(rgb)[1], wanted, strength)
    return np.rint((pictures + 1).permute(0, 2, 3, 1).numpy() * 127.5).astype(np.uint8)


def test_its_own_manner_leaves_a_portrait_as_it_is(model: MeanFace, portrait: np.ndarray) -> None:
    own = read(portrait)[1].expression
    assert np.abs(shown(model, portrait, own).astype(int) - portrait).max() <= 1
    other = own.clone()
    other[:, SMILE] = UNIT
    assert np.abs(shown(model, portrait, other, 0.0).astype(int) - portrait).max() <= 1


@pytest.mark.parametrize("places", [BROWS, SMILE])
def test_expressions_are_those_asked_for(model: MeanFace, portrait: np.ndarray, places: list[int]) -> None:
    seen, face = read(portrait)
    values = []
    for level in (0.0, 0.6, 1.0):
        wanted = face.expression.clone()
        wanted[:, places] = UNIT * level
        (moved,) = shown(model, portrait, wanted)
        found = read(moved)[0]
        values.append(float(found.expression[0, places].mean()))
        rest = [place for place in range(53) if place not in (*BROWS, *SMILE)]
        assert np.abs(found.expression - seen.expression)[0, rest].mean() < 0.06
    assert values[0] + 0.05 < values[1] < values[2] - 0.1


def test_what_comes_and_goes_is_not_held(model: MeanFace, portrait: np.ndarray) -> None:
    wanted = read(portrait)[1].expression.clone()
    wanted[:, torch.tensor(PASSING)] = UNIT
    assert sum(PASSING) == 10  # 8 of the gaze, 2 of the lids
    assert np.abs(shown(model, portrait, wanted).astype(int) - portrait).max() <= 1


def test_strength_is_a_share_of_the_way_and_ends_where_expressions_do(model: MeanFace, portrait: np.ndarray) -> None:
    own = read(portrait)[1].expression
    far, near = own.clone(), own.clone()
    far[:, SMILE] = UNIT
    near[:, SMILE] = own[:, SMILE] + 0.5 * (UNIT - own[:, SMILE])
    assert np.array_equal(shown(model, portrait, far, 0.5), shown(model, portrait, near))
    assert np.array_equal(shown(model, portrait, far, 3.0), shown(model, portrait, far))


def test_frames_may_differ_and_the_scene_stays(model: MeanFace, portrait: np.ndarray) -> None:
    wanted = read(portrait)[1].expression.repeat(3, 1)
    wanted[:, SMILE] = UNIT * torch.tensor([[0.0], [0.5], [1.0]])
    frames = shown(model, portrait, wanted)
    assert frames.shape == (3, 128, 128, 3)
    assert not np.array_equal(frames[0], frames[2])
    for frame, row in zip(frames, wanted, strict=True):
        alone = shown(model, portrait, row[None])[0]
        assert np.abs(frame.astype(int) - alone).max() <= 1
    assert np.abs(frames.astype(int) - portrait)[:, :10, :10].max() <= 1


def test_codes_tell_expressions_as_they_were_trained_to() -> None:
    extractor, told = StyleExtractor(MINI.style), torch.nn.Linear(MINI.style.code, 3 * MINI.style.expression)
    codes = torch.randn(4, MINI.style.code)
    assert not extractor.resting(codes).any()
    extractor.keep_resting(told)
    expected = told(codes)[:, : MINI.style.expression].clamp(min=0)
    torch.testing.assert_close(extractor.resting(codes), expected)
    assert expected.any()
