"""What the cards and claims of methods are made of: clips judged in memory, and statements kept in one file."""

import numpy as np
import pytest
from thbench_methods.common.claims import above, in_words, keep_claims
from thbench_methods.common.judging import compared, face, fvd, judge, one_of_each, read_held
from thbench_methods.common.training import keep_scores
from thbench_methods.kdtalker.bundle import FILE
from thbench_methods.moda.claims import ASKED, OF_THE_DATA, nearest_emotion, not_below

from thbench.data.synth_heads.dataset import clips_of
from thbench.data.synth_heads.emotion import RECIPES
from thbench.data.synth_heads.expression import EXPRESSIONS
from thbench.report.claims import Claim, read_claims
from thbench.stats import mean_estimate
from thbench.training import Card, Score


@pytest.fixture(scope="module")
def two():
    return list(read_held(clips_of()[:2]))


@pytest.fixture(scope="module")
def real(two):
    return [judge(held, held.frames) for held in two]


def test_a_request_is_first_frame_sound_and_length(two):
    request = two[0].request(3, {"steps": 2})
    assert np.array_equal(request.portrait, two[0].frames[0]) and request.audio.rate == 16_000
    assert (request.frames, request.fps, request.seed, request.controls) == (100, 25.0, 3, {"steps": 2})


def test_own_speech_beats_anothers_and_a_still(two, real):
    held = two[0]
    still = judge(held, np.repeat(held.frames[:1], 100, axis=0))
    other = judge(held, held.frames, two[1].sound)
    assert real[0].lse_c > other.lse_c + 1 and real[0].lse_c > still.lse_c + 1
    assert still.similarity == pytest.approx(1, abs=1e-6) and real[0].similarity < 1
    assert still.pose_diversity == pytest.approx(0, abs=1e-6) and real[0].pose_diversity > 1
    assert still.opening.std() == pytest.approx(0, abs=1e-6) and real[0].opening.std() > 0.005


def test_a_face_alone_is_read_as_in_the_whole(two, real):
    seen = face(two[0].frames)
    assert seen.pose_diversity == real[0].pose_diversity
    assert np.array_equal(seen.pose, real[0].pose) and np.array_equal(seen.expression, real[0].expression)


def test_another_person_is_less_similar(two, real):
    assert judge(two[0], two[1].frames[:16]).similarity < real[0].similarity - 0.1


def test_distance_of_a_set_to_itself_is_nothing_and_to_stills_is_not(two, real):
    stills = [judge(held, np.repeat(held.frames[:1], 100, axis=0)) for held in two]
    assert fvd(real, real) == pytest.approx(0, abs=1e-6) and fvd(stills, real) > 0.1


def test_shares_of_real_clips_are_one(real):
    scores = {score.name: score for score in compared(real, real, "as they are", {"LSE-C (mini)": ">= 0.6"})}
    shares = [score for name, score in scores.items() if name.endswith("share of real")]
    assert len(shares) == 4 and all(share.value == pytest.approx(1) for share in shares)
    assert scores["LSE-C (mini), share of real"].bar == ">= 0.6" and scores["LSE-C (mini)"].low is not None


def claim(method, statement):
    return Claim(method=method, statement=statement, source="s", expected="e", measured="m", verdict="pass")


def test_claims_of_a_method_replace_its_own_and_leave_the_others(tmp_path):
    keep_claims(tmp_path, [claim("b", "1"), claim("b", "2")])
    keep_claims(tmp_path, [claim("a", "3")])
    keep_claims(tmp_path, [claim("b", "5"), claim("b", "4")])
    assert [(c.method, c.statement) for c in read_claims(tmp_path).claims] == [("a", "3"), ("b", "5"), ("b", "4")]


def test_claims_of_two_methods_do_not_share_a_file(tmp_path):
    with pytest.raises(ValueError, match="unpack"):
        keep_claims(tmp_path, [claim("a", "1"), claim("b", "2")])


@pytest.mark.parametrize(
    ("values", "verdict"), [([1.0, 2, 3], "pass"), ([-1.0, -2, -3], "fail"), ([-1.0, 0.1, 1], "cannot tell")]
)
def test_verdicts_follow_the_interval(values, verdict):
    people = range(9)
    estimate = mean_estimate([values[n % 3] + 0.01 * n for n in people], [str(n) for n in people])
    assert above(estimate) == verdict
    assert not_below(estimate) == ("fail" if verdict == "fail" else "pass")
    assert "9 people" in in_words(estimate)


def test_one_person_proves_nothing():
    assert above(mean_estimate([1.0, 2.0], ["ann", "ann"])) == "cannot tell"


def test_each_recipe_is_nearest_to_its_own_emotion():
    for number in ASKED:
        face = RECIPES[OF_THE_DATA[number]].face
        assert nearest_emotion(np.array([face.get(name, 0.0) for name in EXPRESSIONS])) == number


def test_one_clip_of_each_person_in_order():
    clips = clips_of()
    chosen = one_of_each(clips)
    assert [clip.id for clip in chosen] == [clip.id for clip in clips[:24]]
    assert one_of_each([clips[24], clips[0], clips[1]]) == (clips[24], clips[1])


def test_scores_are_put_onto_a_card_and_leave_the_rest(tmp_path):
    for name in ("mini.json", "mini.md"):
        (tmp_path / name).write_bytes((FILE.parent / name).read_bytes())
    before = Card.model_validate_json((tmp_path / "mini.json").read_bytes())
    score = Score(name="lips", value=0.5, n=3, people=2)
    keep_scores(tmp_path / "mini.safetensors", (score,))
    after = Card.model_validate_json((tmp_path / "mini.json").read_bytes())
    assert after.scores == (score,) and after.model_copy(update={"scores": before.scores}) == before
    assert "| lips | 0.5 |" in (tmp_path / "mini.md").read_text()
