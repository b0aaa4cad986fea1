"""The portrait that FLAP's changes are of: where its head goes, and how a mean head of the coefficients moves it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from thbench_methods.dreamtalk.faces import face_of
from thbench_methods.dreamtalk.mean_face import RIGID, measured_face
from thbench_methods.flap.base import MovingHead, places_of
from thbench_methods.flap.coefficients import coefficients
from thbench_methods.flap.config import MINI

from thbench.data.synth_heads.expression import EXPRESSIONS
from thbench.data.synth_heads.template import template
from thbench.faces.landmarks import MESH_OF_68

PIVOT = torch.tensor((0.4, -5.0, -10.0))
PLACE = torch.tensor((1.0, 0.1, -0.1))
SIZE = 128


@pytest.fixture(scope="module")
def head() -> MovingHead:
    made = MovingHead(MINI.layout)
    made.load_state_dict({**measured_face(), "pivot": PIVOT})
    return made


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    coarse = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bicubic").clamp(0, 1)
    return (255 * smooth[0]).byte().permute(1, 2, 0).numpy()


def told(frames: int = 1, degrees: tuple[float, float, float] = (0.0, 0.0, 0.0), **strengths: float) -> torch.Tensor:
    """Return coefficients (frames, total)."""
    expression = np.zeros((frames, len(EXPRESSIONS)))
    for name, strength in strengths.items():
        expression[:, EXPRESSIONS.index(name)] = strength
    return coefficients(np.tile(degrees, (frames, 1)), expression)


def shown(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1) / 127.5 - 1


def test_a_head_that_does_nothing_stays(head: MovingHead, picture: np.ndarray) -> None:
    own = told(degrees=(10.0, 5.0, -3.0), jawOpen=0.3)
    places = head.led(own[0], PLACE, own.expand(2, -1))
    torch.testing.assert_close(places, PLACE.expand(2, -1), atol=1e-6, rtol=0)
    moved = head.moved(picture, own[0], PLACE, own.expand(2, -1), places)
    assert moved.shape == (2, 3, SIZE, SIZE)
    # What is seen where lips meet is searched in a few steps.
    torch.testing.assert_close(moved, shown(picture).expand(2, -1, -1, -1), atol=0.3, rtol=0)
    assert (moved - shown(picture)).abs().mean() < 2e-3


def test_a_shift_is_one(head: MovingHead, picture: np.ndarray) -> None:
    own, right = told(), PLACE + torch.tensor((0.0, 8 * 2 / SIZE, 0.0))
    moved = head.moved(picture, own[0], PLACE, own, right[None])[0]
    torch.testing.assert_close(moved[:, 40:70, 60:90], shown(picture)[:, 40:70, 52:82], atol=0.02, rtol=0)
    torch.testing.assert_close(moved[:, :8, :8], shown(picture)[:, :8, :8], atol=0.01, rtol=0)


def test_a_jaw_moves_what_is_below_the_lips(head: MovingHead, picture: np.ndarray) -> None:
    own, opened = told(), told(jawOpen=0.6)
    change = (head.moved(picture, own[0], PLACE, opened, PLACE[None])[0] - shown(picture)).abs().mean(dim=0)
    # Nose and eyes are around the place's middle, (70, 57) in pixels; the mouth is below.
    assert change[75:105, 55:85].mean() > 20 * change[30:60, 50:90].mean()


def test_lids_that_are_shut_cover_the_eyes(head: MovingHead) -> None:
    points = template().points
    places = points - points[[MESH_OF_68[place] for place in RIGID]].mean(axis=0)
    size = float(head.centimetre(PLACE[None, 0], head.turned_by(told()))[0])
    picture = np.full((SIZE, SIZE, 3), 200, np.uint8)
    for eye in (range(36, 42), range(42, 48)):
        corners = places[[MESH_OF_68[place] for place in eye], :2] * (size, -size) + PLACE[1:].numpy()
        cv2.fillPoly(picture, [np.round((corners + 1) * (SIZE / 2)).astype(np.int32)], (0, 0, 0))
    values = torch.cat([told(eyeBlinkLeft=shut, eyeBlinkRight=shut) for shut in (0.0, 0.5, 1.0)])
    made = head.moved(picture, told()[0], PLACE, values, PLACE.expand(3, -1))
    dark = (1 - made).mean(dim=(1, 2, 3)) - float(1 - (200 / 127.5 - 1))
    assert 0.4 < dark[1] / dark[0] < 0.8
    assert dark[2] / dark[0] < 1 / 3


def test_a_head_keeps_its_size_and_turns_about_its_neck(head: MovingHead) -> None:
    for degrees in ((20.0, 0.0, 0.0), (0.0, 12.0, 0.0), (0.0, 0.0, 15.0)):
        turned = told(degrees=degrees)
        place = head.led(told()[0], PLACE, turned)
        before, after = (
            head.centimetre(scale, head.turned_by(values))
            for scale, values in ((PLACE[None, 0], told()), (place[:, 0], turned))
        )
        torch.testing.assert_close(before, after)
    right, down, tilted = (
        head.led(told()[0], PLACE, told(degrees=degrees))[0] - PLACE
        for degrees in ((20.0, 0.0, 0.0), (0.0, 12.0, 0.0), (0.0, 0.0, 15.0))
    )
    # Ten centimetres before the neck: to the side by a third of them, which is what the nose shows of the turn.
    assert abs(right[1]) > 5 * abs(right[2]) and abs(right[1]) > 0.1
    assert abs(down[2]) > 5 * abs(down[1]) and abs(down[2]) > 0.1
    assert 0.05 < abs(tilted[1]) < 0.2


def test_the_point_about_which_heads_turn_is_found(head: MovingHead) -> None:
    draw = torch.Generator().manual_seed(0)
    values = torch.zeros(4, 30, MINI.layout.total)
    values[..., :3] = 0.2 * torch.randn(4, 30, 3, generator=draw)
    first = torch.tensor((1.1, 0.2, 0.1))
    places = torch.stack([head.led(clip[0], first, clip) for clip in values])
    found = MovingHead(MINI.layout)
    found.keep(values, places)
    torch.testing.assert_close(found.pivot, PIVOT, atol=1e-3, rtol=0)
    for name, number in measured_face().items():
        assert torch.equal(getattr(found, name), number)


def test_places_are_those_of_a_mean_face() -> None:
    marks = np.random.default_rng(0).uniform(0.3, 0.7, (5, 68, 2))
    pose = face_of(np.zeros((5, len(EXPRESSIONS))), np.zeros((5, 3)), SIZE * marks).pose
    torch.testing.assert_close(places_of(marks), pose[:, [6, 7, 8]])
