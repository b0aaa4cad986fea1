"""What the shipped encoders are worth on the embedded test split: people whom they never saw.

Short forms here; the long ones (every tenth frame, all clips, all doses of the training cards) run with `--full`.
"""

from __future__ import annotations

import hashlib
import itertools
from functools import lru_cache

import numpy as np
import pytest

from thbench.backbones.mini import loaded
from thbench.backbones.mini.digests import digest, mark, weights_folder
from thbench.backbones.mini.train import clip_encoder, frame_encoder
from thbench.backbones.mini.train.damage import PICTURE
from thbench.backbones.mini.train.held_out import Held, area_under_curve, embed, graded, read_held
from thbench.backbones.mini.train.identity import SIDE, undressed
from thbench.data.synth_heads.dataset import clips_of
from thbench.metrics.frechet import frechet_distance
from thbench.metrics.moments import moments
from thbench.training import Card
from thbench.validate.catalogue import BY_NAME
from thbench.validate.judge import MONOTONE

NAMES = ("identity", "frame_encoder", "clip_encoder")
IDENTITY_BAR = 0.99


@lru_cache(maxsize=2)
def held(every: int, clips: int, frames: int | None = None) -> Held:
    """The first clips: one for each of 24 people, then a second one."""
    whole = read_held(clips_of()[:clips], every)
    return Held(whole.frames[:, :frames], whole.people, whole.landmarks68[:, :frames], every)


def identity(frames: np.ndarray) -> np.ndarray:
    return embed(loaded.identity(), frames, SIDE)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_shipped_is_small_and_has_a_card(name: str) -> None:
    path = weights_folder() / f"{name}.safetensors"
    data = path.read_bytes()
    card = Card.model_validate_json((weights_folder() / f"{name}.json").read_text(encoding="utf-8"))
    assert len(data) == card.bytes < 4e6
    assert hashlib.sha256(data).hexdigest() == card.sha256 == digest(name)
    assert card.curve[-1].step == card.recipe.steps
    assert card.curve[-1].values["loss"] < card.curve[0].values["loss"]
    assert all(s.people == 24 and s.low <= s.value <= s.high + 1e-12 for s in card.scores)
    assert card.title in (weights_folder() / f"{name}.md").read_text(encoding="utf-8")
    assert mark(name).startswith("mini-")


def test_cards_tell_whether_the_bars_are_met() -> None:
    scores = {
        s.name: s
        for name in NAMES
        for s in Card.model_validate_json((weights_folder() / f"{name}.json").read_text(encoding="utf-8")).scores
    }
    assert scores["verification AUC"].value >= IDENTITY_BAR
    for kind in PICTURE:
        assert scores[f"Spearman of {kind} and FID (mini)"].value >= MONOTONE
        assert scores[f"Spearman of {kind} and FVD (mini)"].value >= MONOTONE
    assert scores["Spearman of shuffled and FVD (mini)"].value >= MONOTONE


def test_people_are_recognised_in_other_clips() -> None:
    seen = held(50, 48)
    assert area_under_curve(identity(seen.frames), seen.people, resamples=2).value >= IDENTITY_BAR


@pytest.mark.full
def test_people_are_recognised_in_other_clips_and_in_other_clothes() -> None:
    seen = held(10, 48)
    assert area_under_curve(identity(seen.frames), seen.people, resamples=2).value >= IDENTITY_BAR
    assert area_under_curve(identity(undressed(seen)), seen.people, resamples=2).value >= 0.95


@pytest.mark.parametrize("kind", PICTURE)
def test_fid_rises_with_damage_to_frames(kind: str) -> None:
    seen = held(50, 48)
    sets, doses = frame_encoder.responses(loaded.frame_encoder(), seen, [kind])[kind], BY_NAME[kind].doses
    for apart in (False, True):
        assert graded(sets, doses, seen.people, apart=apart, resamples=1).rho.value >= MONOTONE


@pytest.mark.full
@pytest.mark.parametrize("kind", PICTURE)
def test_fid_rises_with_damage_to_many_frames(kind: str) -> None:
    seen = held(10, 48)
    sets, doses = frame_encoder.responses(loaded.frame_encoder(), seen, [kind])[kind], BY_NAME[kind].doses
    assert graded(sets, doses, seen.people, apart=False, resamples=1).rho.value >= MONOTONE


@pytest.mark.parametrize("kind", [*PICTURE, "shuffled"])
def test_fvd_rises_with_damage_to_frames_and_to_their_order(kind: str) -> None:
    seen = held(1, 8, 48)
    sets, doses = clip_encoder.responses(loaded.clip_encoder(), seen, [kind])[kind], clip_encoder.doses_of(kind)
    assert graded(sets, doses, seen.people, apart=False, resamples=1).rho.value >= MONOTONE


@pytest.mark.full
@pytest.mark.parametrize("kind", [*PICTURE, "shuffled", "held"])
def test_fvd_rises_with_damage_to_many_clips(kind: str) -> None:
    seen = held(1, 48)
    sets, doses = clip_encoder.responses(loaded.clip_encoder(), seen, [kind])[kind], clip_encoder.doses_of(kind)
    assert graded(sets, doses, seen.people, apart=False, resamples=1).rho.value >= MONOTONE


def test_frames_in_another_order_have_another_fvd_and_the_very_same_fid() -> None:
    seen = held(1, 8, 48)
    shuffled = seen.frames[:, np.random.default_rng(0).permutation(48)]
    some = slice(None, None, 4)
    ours, theirs = (embed(loaded.frame_encoder(), f[:, some], frame_encoder.SIDE) for f in (seen.frames, seen.frames))
    order = np.random.default_rng(1).permutation(ours.shape[1])
    theirs = embed(loaded.frame_encoder(), seen.frames[:, some][:, order], frame_encoder.SIDE)
    # The same features to the bit, in another order.
    assert np.array_equal(ours[:, order], theirs)
    flat = [moments(rows.reshape(-1, rows.shape[-1])) for rows in (ours, theirs)]
    assert abs(frechet_distance(*flat, ddof=1).value) < 1e-6 * flat[0].variance / flat[0].count
    half = len(seen.frames) // 2
    videos = {"real": seen.frames[:half], "natural": seen.frames[half:], "shuffled": shuffled[half:]}
    rows = {k: np.concatenate([clip_encoder.encode(loaded.clip_encoder(), v) for v in f]) for k, f in videos.items()}
    distance = {k: frechet_distance(moments(rows[k]), moments(rows["real"]), ddof=0).value for k in rows}
    assert distance["shuffled"] > distance["natural"] > distance["real"]


def test_two_encoders_are_never_the_same_in_a_protocol() -> None:
    for a, b in itertools.combinations(map(mark, NAMES), 2):
        assert a != b
