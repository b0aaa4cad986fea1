"""What the shipped weights of KDTalker and MoDA reach on people whom they never saw.

The long form generates one clip of each person of the test split and compares it with the real one, with a still of it
and with its sound exchanged; the short form reads the cards that the trainings' evaluation wrote.
"""

import numpy as np
import pytest
import torch
from thbench_methods.common.judging import BARS, fvd, judge, made, one_of_each, read_held
from thbench_methods.kdtalker import bundle as kdtalker
from thbench_methods.kdtalker.pipeline import KDTalker
from thbench_methods.moda import bundle as moda
from thbench_methods.moda.pipeline import MoDA

from thbench.data.synth_heads.dataset import clips_of
from thbench.stats import mean_estimate
from thbench.training import Card

METHODS = {"kdtalker": KDTalker, "moda": MoDA}
FILES = {"kdtalker": kdtalker.FILE, "moda": moda.FILE}


@pytest.fixture(scope="module")
def clips():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield list(read_held(one_of_each(clips_of())))
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def real(clips):
    return [judge(held, held.frames) for held in clips]


@pytest.fixture(scope="module")
def stills(clips):
    return [judge(held, np.repeat(held.frames[:1], len(held.frames), axis=0)) for held in clips]


@pytest.fixture(scope="module", params=METHODS)
def generated(request, clips):
    method = METHODS[request.param]("mini")
    return [judge(held, made(method, held.request())) for held in clips]


def ends(rows):
    return mean_estimate([row.lse_c for row in rows], [row.person for row in rows]).interval


def share(rows, truths, name):
    return np.mean([getattr(row, name) for row in rows]) / np.mean([getattr(row, name) for row in truths])


@pytest.mark.full
def test_lips_beat_a_still(generated, stills):
    assert ends(generated).low > ends(stills).high


@pytest.mark.full
def test_lips_beat_real_lips_with_anothers_speech(generated, clips):
    shuffled = [judge(held, held.frames, other.sound) for held, other in zip(clips, clips[1:] + clips[:1], strict=True)]
    assert ends(generated).low > ends(shuffled).high


@pytest.mark.full
def test_shares_of_real_clips(generated, real):
    assert share(generated, real, "lse_c") >= 0.6
    assert share(generated, real, "similarity") >= 0.85
    assert 0.3 <= share(generated, real, "pose_diversity") <= 2


@pytest.mark.full
def test_clips_are_nearer_to_real_ones_than_stills(generated, real, stills):
    assert fvd(generated, real) < fvd(stills, real)


@pytest.mark.parametrize("name", METHODS)
def test_cards_tell_every_bar_and_hold_it(name):
    card = Card.model_validate_json(FILES[name].with_suffix(".json").read_bytes())
    scores = {score.name: score for score in card.scores}
    told = {bar: scores[f"{bar}, share of real"] for bar in BARS}
    assert {bar: score.bar for bar, score in told.items()} == BARS
    assert {score.people for score in told.values()} == {24}
    assert told["LSE-C (mini)"].value >= 0.6
    assert told["identity (mini)"].value >= 0.85
    assert 0.3 <= told["pose diversity (mini)"].value <= 2


@pytest.mark.parametrize("name", METHODS)
def test_weights_are_small(name):
    files = [FILES[name], *(FILES["kdtalker"].parents[1] / "nets/liveportrait").glob("*.safetensors")]
    speech = FILES["moda"].parents[1] / "nets/speech/mini.safetensors"
    assert len(files) == 3 and sum(file.stat().st_size for file in [*files, speech]) < 6_000_000
