"""What PoseTalk's small RefineNet is told of the lips, from sound."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from thbench_methods.dreamtalk.faces import UNIT
from thbench_methods.dreamtalk.mean_face import measured_face
from thbench_methods.posetalk.bundle import Drawing
from thbench_methods.posetalk.config import MINI
from thbench_methods.posetalk.lips import PLACES, SPOKEN, Lips, measured_lips
from thbench_methods.posetalk.tracks import Own
from thbench_methods.posetalk.video import around

from thbench.data.synth_heads.expression import EXPRESSIONS

AUDIO, RADIUS, CLIPS, FRAMES = 3, 1, 12, 100


@pytest.fixture(scope="module")
def said() -> SimpleNamespace:
    """Clips whose jaws follow the second value of the frame before; nothing else is spoken."""
    torch.manual_seed(0)
    audio = 10 * torch.rand(CLIPS, FRAMES, AUDIO)
    expression = torch.rand(CLIPS, FRAMES, len(EXPRESSIONS))
    expression[..., PLACES] = 0.5
    before = torch.cat((audio[:, :1, 1], audio[:, :-1, 1]), dim=1)
    expression[..., EXPRESSIONS.index("jawOpen")] = 0.1 + 0.2 * before
    return SimpleNamespace(audio=audio, expression=expression)


def test_what_sound_says_of_lips_is_found(said: SimpleNamespace) -> None:
    lips = Lips(AUDIO, RADIUS)
    lips.weight.copy_(measured_lips(said, RADIUS))
    portrait = torch.rand(FRAMES, len(EXPRESSIONS))
    heard = lips(around(said.audio[:1], RADIUS), portrait)
    jaw = EXPRESSIONS.index("jawOpen")
    assert (heard[:, jaw] - said.expression[0, :, jaw]).abs().max() < 0.25
    others = [place for place in PLACES if place != jaw]
    assert (heard[:, others] - 0.5).abs().max() < 0.1
    kept = [place for place in range(len(EXPRESSIONS)) if place not in PLACES]
    assert torch.equal(heard[:, kept], portrait[:, kept])


def test_expressions_stay_in_their_range() -> None:
    lips = Lips(AUDIO, RADIUS)
    lips.weight[-1] = torch.linspace(-9, 9, len(SPOKEN))
    heard = lips(torch.zeros(2, AUDIO, 3), torch.zeros(2, len(EXPRESSIONS)))
    assert heard.min() == 0 and heard.max() == UNIT


def test_jaws_that_open_move_the_mouth_and_not_the_eyes() -> None:
    torch.manual_seed(0)
    drawing = Drawing(MINI)
    drawing.face.load_state_dict(measured_face())
    own = Own(torch.tensor([[0.0, 0, 0, 0, 0, 1, 0, 0]]), torch.zeros(1, len(EXPRESSIONS)))
    windows = torch.cat((own.track[..., None].expand(1, 8, 13), torch.zeros(1, MINI.video.audio, 13)), dim=1)
    assert drawing.lip_guess(windows, own).flow.abs().max() < 1e-3
    drawing.lips.weight[-1, SPOKEN.index("jawOpen")] = 0.5 * UNIT
    flow = drawing.lip_guess(windows, own).flow[0, 1]
    middle = flow[:, 24:40]
    assert middle[36:48].min() < -0.02 and middle[:30].abs().max() < 0.01
