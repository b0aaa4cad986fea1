"""KDTalker and MoDA from request to frames, with the shipped weights."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from thbench_methods.kdtalker.pipeline import KDTalker
from thbench_methods.moda.pipeline import MoDA

from thbench.data.synth_heads.dataset import clips_of
from thbench.errors import MethodError, MissingWeightsError, UsageError
from thbench.media import read_audio, read_frames
from thbench.types import Audio, Request

METHODS = {"kdtalker": KDTalker, "moda": MoDA}
FAST = {"steps": 3}


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=METHODS)
def method(request):
    return METHODS[request.param]("mini")


@pytest.fixture(scope="module")
def request_():
    clip = clips_of()[0]
    portrait = next(iter(read_frames(clip.path, threads=1))).rgb
    sound = read_audio(clip.path)
    return Request(portrait, Audio(sound.samples, 16_000), 25.0, 12, seed=1, controls=FAST)


def frames_of(method, request):
    return np.stack(list(method.generate(request).frames))


def test_frames_are_as_asked(method, request_):
    made = frames_of(method, request_)
    assert made.shape == (12, 128, 128, 3) and made.dtype == np.uint8


def test_first_frame_is_nearer_to_the_portrait_than_a_stranger(method, request_):
    stranger = next(iter(read_frames(clips_of()[5].path, threads=1))).rgb
    first = frames_of(method, replace(request_, frames=1))[0].astype(float)
    assert np.abs(first - request_.portrait).mean() < 0.5 * np.abs(first - stranger).mean()


def test_same_seed_same_bytes_and_other_seed_other_frames(method, request_):
    first = frames_of(method, request_)
    assert np.array_equal(first, frames_of(method, request_))
    assert not np.array_equal(first, frames_of(method, replace(request_, seed=2)))


def test_clip_alone_equals_the_clip_after_another(method, request_):
    fresh = frames_of(type(method)("mini"), request_)
    stream = iter(method.generate(replace(request_, seed=5, frames=40)).frames)
    next(stream)
    assert np.array_equal(fresh, frames_of(method, request_))


def test_speech_matters(method, request_):
    silent = replace(request_, audio=Audio(np.zeros(16_000, np.float32), 16_000), frames=50)
    assert not np.array_equal(frames_of(method, silent), frames_of(method, replace(request_, frames=50)))


@pytest.mark.parametrize(
    "audio",
    [
        Audio(np.zeros(8_000, np.float32), 16_000),
        Audio(np.ones(1, np.float32), 16_000),
        Audio(np.full(16_000, 3.0, np.float32), 16_000),
        Audio(np.sin(np.arange(8_000, dtype=np.float32)), 8_000),
        Audio(np.sin(np.arange(48_000, dtype=np.float32)), 48_000),
    ],
    ids=["silence", "single-sample", "clipped", "8k", "48k"],
)
def test_odd_sound_works(method, request_, audio):
    made = frames_of(method, replace(request_, audio=audio, frames=3))
    assert made.shape[0] == 3


@pytest.mark.parametrize("frames", [1, 2, 63, 64, 65, 81])
def test_any_length_works(method, request_, frames):
    stream = method.generate(replace(request_, frames=frames, controls={"steps": 1})).frames
    assert sum(1 for _ in stream) == frames


@pytest.mark.parametrize("read", [9, pytest.param(1500, marks=pytest.mark.full)])
def test_a_minute_works(method, request_, read):
    sound = np.tile(request_.audio.samples, 16)[: 60 * 16_000]
    asked = replace(request_, audio=Audio(sound, 16_000), frames=1500, controls={"steps": 1})
    assert sum(1 for _ in islice(method.generate(asked).frames, read)) == read


def test_other_frame_rates_and_sizes(method, request_):
    portrait = np.repeat(np.repeat(request_.portrait, 2, 0), 2, 1)[:200]
    made = frames_of(method, replace(request_, portrait=portrait, fps=30.0, frames=4))
    assert made.shape == (4, 200, 256, 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"frames": 0},
        {"audio": Audio(np.zeros(0, np.float32), 16_000)},
        {"portrait": np.zeros((8, 8), np.uint8)},
        {"controls": {"steps": 0}},
        {"controls": {"steps": 2.5}},
        {"controls": {"steps": True}},
        {"audio": Audio(np.full(100, np.nan, np.float32), 16_000)},
        {"audio": Audio(np.zeros((2, 100), np.float32), 16_000)},
        {"audio": Audio(np.zeros(100, np.float32), 0)},
        {"frames": 100_000},
    ],
)
def test_wrong_requests_are_refused_in_one_sentence(method, request_, wrong):
    with pytest.raises(MethodError) as caught:
        method.generate(replace(request_, **wrong))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize("control", ["style", "level", "pose", "stile_clip", "seed"])
def test_controls_that_a_method_lacks_are_refused_by_name(method, request_, control):
    with pytest.raises(MethodError, match=f"no control '{control}'"):
        method.generate(replace(request_, controls={control: 1}))


def test_kdtalker_has_no_guidance_and_no_emotion(request_):
    for control in ("guidance", "emotion"):
        with pytest.raises(MethodError, match=f"kdtalker has no control '{control}'"):
            KDTalker("mini").generate(replace(request_, controls={control: 1.0}))


def test_unknown_emotions_are_refused_with_the_known_ones(request_):
    with pytest.raises(MethodError, match=r"'cheerful'.*happiness"):
        MoDA("mini").generate(replace(request_, controls={"emotion": "cheerful"}))


def test_stages_are_timed_and_told(method, request_):
    told = []
    generation = method.generate(request_, lambda *step: told.append(step))
    frames = list(generation.frames)
    assert set(generation.seconds) == {"portrait", "audio", "motion", "render"}
    assert all(value > 0 for value in generation.seconds.values())
    assert [step for step in told if step[0] == "render"] == [("render", i, len(frames)) for i in range(len(frames))]
    assert ("denoise", 2, 3) in told


def test_frames_are_rendered_as_they_are_read(method, request_):
    generation = method.generate(replace(request_, frames=64))
    assert "render" not in generation.seconds
    list(islice(iter(generation.frames), 1))
    assert "render" in generation.seconds


def test_more_threads_or_batches_do_not_change_the_motion(method, request_):
    wide = frames_of(method, replace(request_, frames=17)).astype(int)
    object.__setattr__(method._stage, "batch", 3)
    narrow = frames_of(method, replace(request_, frames=17)).astype(int)
    object.__setattr__(method._stage, "batch", 8)
    assert np.abs(wide - narrow).max() <= 1


@pytest.mark.parametrize("name", METHODS)
def test_unknown_presets_and_missing_files(name, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="mini"):
        METHODS[name]("minni")
    monkeypatch.setenv("THBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingWeightsError, match="preset `mini`"):
        METHODS[name]("paper")


def test_cached_steps_run(request_):
    fast = KDTalker("mini", accelerations=("lightningcp",))
    plain = KDTalker("mini")
    asked = replace(request_, controls={"steps": 20})
    a, b = frames_of(fast, asked).astype(int), frames_of(plain, asked).astype(int)
    assert a.shape == b.shape and not np.array_equal(a, b)
    assert np.abs(a - b).mean() < 10


def test_guidance_and_emotion_reach_moda(request_):
    method = MoDA("mini")
    plain = frames_of(method, replace(request_, controls={**FAST, "guidance": 1.0}))
    strong = frames_of(method, replace(request_, controls={**FAST, "guidance": 4.0}))
    happy = frames_of(method, replace(request_, controls={**FAST, "guidance": 1.0, "emotion": "happiness"}))
    assert not np.array_equal(plain, strong) and not np.array_equal(plain, happy)


def test_padding_reaches_kdtalker(request_):
    method = KDTalker("mini")
    edge = frames_of(method, request_)
    repeated = frames_of(method, replace(request_, controls={**FAST, "padding": "repeat-start"}))
    assert not np.array_equal(edge, repeated)
