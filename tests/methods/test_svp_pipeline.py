"""SVP from request to frames, in the sizes of the mini preset with random weights; controls and refusals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from svp_weights import random_mini
from thbench_methods.common import Noise, read_controls
from thbench_methods.svp.config import MINI
from thbench_methods.svp.guidance import Told
from thbench_methods.svp.pipeline import SVP, Seen
from thbench_methods.svp.spec import CONTROLS
from thbench_methods.svp.spec import SVP as SPEC

from thbench.accel.calibrate import Sampling
from thbench.data.synth_heads.dataset import clips_of
from thbench.data.synth_heads.expression import EXPRESSIONS
from thbench.errors import MethodError, UsageError
from thbench.media import read_audio, read_frames, write_video
from thbench.spec import load
from thbench.types import Audio, Request

FAST = {"steps": 2}
LENGTH = 20
"""Frames of the videos that are named."""


@pytest.fixture(scope="module", autouse=True)
def _weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with random_mini(tmp_path_factory.mktemp("mini")):
        yield


@pytest.fixture(scope="module")
def method(_weights: None) -> SVP:
    return SVP("mini")


@pytest.fixture(scope="module")
def asked() -> Request:
    clip = clips_of()[0]
    portrait = next(iter(read_frames(clip.path, threads=1))).rgb
    return Request(portrait, read_audio(clip.path), 25.0, 3, seed=1, controls=FAST)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The first frames of two clips of different people, with their sound."""
    folder, made = tmp_path_factory.mktemp("videos"), []
    for clip in clips_of()[1:3]:
        frames = [frame.rgb for frame in islice(read_frames(clip.path, threads=1), LENGTH)]
        made.append(str(folder / f"{clip.id}.mkv"))
        write_video(made[-1], frames, 25.0, audio=read_audio(clip.path))
    return made


@pytest.fixture(scope="module")
def seen(method: SVP, asked: Request) -> Seen:
    return method.look(asked.portrait)


def frames_of(method: SVP, request: Request) -> np.ndarray:
    made = method.generate(request).frames
    assert not isinstance(made, Path)
    return np.stack(list(made))


def controlled(request: Request, **controls: Any) -> Request:
    return replace(request, controls={**request.controls, **controls})


def codes(method: SVP, frames: int = 5, seed: int = 1, **controls: Any) -> torch.Tensor:
    return method.codes(read_controls("svp", controls, CONTROLS), frames, Noise(seed))


def test_frames_are_as_asked_and_the_same_whatever_came_before(method: SVP, asked: Request) -> None:
    first = frames_of(method, replace(asked, frames=18))
    assert first.shape == (18, 128, 128, 3)
    assert first.dtype == np.uint8
    next(iter(method.generate(replace(asked, seed=5, frames=20)).frames))  # type: ignore[arg-type]
    assert np.array_equal(first, frames_of(method, replace(asked, frames=18)))
    short = frames_of(method, asked)
    assert np.array_equal(short, frames_of(SVP("mini"), asked))
    assert not np.array_equal(short, frames_of(method, replace(asked, seed=2)))


@pytest.mark.parametrize(
    ("audio", "frames"),
    [
        (Audio(np.ones(1, np.float32), 16_000), 1),
        (Audio(np.full(16_000, 3.0, np.float32), 16_000), 15),
        (Audio(np.sin(np.arange(8_000, dtype=np.float32)), 8_000), 16),
        (Audio(np.zeros(8_000, np.float32), 16_000), 17),
    ],
    ids=["single-sample", "clipped", "8k", "silence"],
)
def test_odd_sound_and_any_length_work(method: SVP, asked: Request, audio: Audio, frames: int) -> None:
    assert len(frames_of(method, replace(asked, audio=audio, frames=frames, controls={"steps": 1}))) == frames


def test_other_frame_rates_and_sizes(method: SVP, asked: Request) -> None:
    portrait = np.repeat(np.repeat(asked.portrait, 2, 0), 2, 1)[:, 20:236]
    made = frames_of(method, replace(asked, portrait=portrait, fps=50.0, frames=4))
    assert made.shape == (4, 256, 216, 3)
    assert np.array_equal(made[1], made[2])


def test_speech_style_and_head_reach_the_frames(method: SVP, asked: Request, videos: list[str]) -> None:
    longer = controlled(replace(asked, frames=16), style="none", steps=1)
    plain = frames_of(method, longer)
    silent = replace(longer, audio=Audio(np.zeros(16_000, np.float32), 16_000))
    for other in (silent, *(controlled(longer, **c) for c in ({"style": "sampled"}, {"style": videos[0]}))):
        assert not np.array_equal(plain, frames_of(method, other))
    for head in ("still", videos[0]):
        assert not np.array_equal(plain, frames_of(method, controlled(longer, head=head)))


def test_styles_are_sampled_by_seed_and_number(method: SVP) -> None:
    first = codes(method)
    assert first.shape == (5, MINI.style.code)
    assert torch.equal(first, first[:1].expand(5, -1))
    assert torch.equal(first, codes(method, temperature=2.0))
    assert not torch.equal(first, codes(method, seed=2))
    numbered = codes(method, style_seed=1)
    assert torch.equal(numbered, codes(method, style_seed=1, seed=2))
    assert not torch.equal(numbered, codes(method, style_seed=2))


def test_styles_of_clips_are_their_middle_unless_drawn(method: SVP, videos: list[str]) -> None:
    one, other = (codes(method, style=path) for path in videos)
    assert not torch.allclose(one, other)
    assert torch.equal(one, codes(method, style=videos[0], seed=7))
    warm = [codes(method, style=videos[0], temperature=1.0, seed=seed) for seed in (1, 2)]
    assert not torch.equal(warm[0], one) and not torch.equal(warm[0], warm[1])
    hotter = codes(method, style=videos[0], temperature=2.0, seed=1)
    torch.testing.assert_close(hotter - one, 2 * (warm[0] - one), atol=1e-5, rtol=1e-4)


def test_styles_are_mixed_and_change(method: SVP, videos: list[str]) -> None:
    one, other = (codes(method, style=path) for path in videos)
    mixed = {share: codes(method, style=videos[0], style_to=videos[1], mix=share) for share in (0.0, 0.25, 1.0)}
    torch.testing.assert_close(mixed[0.0], one)
    torch.testing.assert_close(mixed[0.25], torch.lerp(one, other, 0.25))
    torch.testing.assert_close(mixed[1.0], other)
    changing = codes(method, style=videos[0], style_to=videos[1], mix=0.0, mix_end=1.0)
    for share, found in zip((0.0, 0.25, 0.5, 0.75, 1.0), changing, strict=True):
        torch.testing.assert_close(found, torch.lerp(one[0], other[0], share), atol=1e-5, rtol=1e-4)
    sampled = codes(method, style=videos[0], style_to="sampled", mix=0.5)
    assert not torch.allclose(sampled, one)
    assert torch.equal(codes(method, style="none", style_to=videos[1]), other)


def test_what_is_not_asked_for_is_not_run(method: SVP) -> None:
    def parts(**controls: Any) -> list[Told]:
        return list(method.how(read_controls("svp", controls, CONTROLS)).weights)

    assert parts() == [Told.NULL, Told.STYLED]
    assert parts(style_scale=3.0) == [Told.NULL, Told.HEARD, Told.STYLED]
    assert parts(style="none") == [Told.NULL, Told.HEARD]
    assert parts(style="none", style_to="sampled") == [Told.NULL, Told.STYLED]
    assert parts(style_scale=0.0, guidance=1.0) == [Told.HEARD]
    assert parts(style_scale=1.0, guidance=1.0) == [Told.STYLED]


def test_heads_are_free_still_or_led(method: SVP, seen: Seen, videos: list[str]) -> None:
    assert method.key_points("generated", seen, 4) is None
    still = method.key_points("still", seen, 4)
    assert still is not None and torch.equal(still, seen.key_points.expand(4, -1, -1))
    led = method.key_points(videos[0], seen, 30)
    assert led is not None and led.shape == (30, 3, 2)
    torch.testing.assert_close(led[0], seen.key_points)
    assert (led - seen.key_points).abs().max() > 1e-3
    # Behind its end the video is followed backwards.
    torch.testing.assert_close(led[LENGTH], led[LENGTH - 2])


def test_a_window_starts_from_what_is_asked(method: SVP, seen: Seen, asked: Request, videos: list[str]) -> None:
    from thbench_methods.svp.pipeline import Acted

    frames = MINI.base.sampling.frames
    heard, past = torch.randn(frames, 5, 4, 96), seen.picture.expand(2, -1, -1, -1)
    noise = torch.randn(1, MINI.base.unet.latent, frames, MINI.base.side, MINI.base.side)

    def run(**controls: Any) -> Sampling:
        given = read_controls("svp", {**FAST, **controls}, CONTROLS)
        points = method.key_points(given["head"], seen, frames)
        acted = Acted(heard, method.codes(given, frames, Noise(0)), points, 0.0)
        return method.sampling(seen, acted, method.base(seen, acted), past, method.how(given), noise)

    three = run(style_scale=3.0, head="still")
    assert three.condition.batch == 3 and three.condition.plain == 1
    assert three.condition.style.shape == (3, frames, MINI.style.tokens, MINI.base.unet.tokens)
    assert not three.condition.style[:2].any() and three.condition.style[2].any()
    assert three.condition.located.shape[2] == frames
    assert not three.condition.located[0].any() and three.condition.located[1].any()
    free = run(head="generated")
    assert free.condition.located.shape[2] == 1
    assert method.base(seen, Acted(heard, heard[:, 0, 0], None, 0.0)).latents.shape[2] == 1
    still = method.base(seen, Acted(heard, heard[:, 0, 0], method.key_points("still", seen, frames), 0.0))
    # A head that is moved nowhere is the portrait's but for rounding.
    torch.testing.assert_close(still.latents, seen.latent[:, :, None].expand(-1, -1, frames, -1, -1), atol=0.05, rtol=0)
    assert len(three.schedule.times) == 2


def test_portraits_are_given_the_manner_of_the_style(method: SVP, seen: Seen) -> None:
    from thbench_methods.svp.pipeline import Acted

    extractor = method.bundle.networks.style
    kept = extractor.resting_weight.clone()
    smile = [EXPRESSIONS.index(name) for name in ("mouthSmileLeft", "mouthSmileRight")]
    try:
        extractor.resting_weight[smile, 0] = 3.0
        codes = torch.zeros(2, MINI.style.code)
        codes[1, 0] = 1.0
        heard, still = torch.zeros(2, 5, 4, 96), method.key_points("still", seen, 2)
        plain, smiling = (method.base(seen, Acted(heard, row.expand(2, -1), None, 1.0)) for row in codes)
        assert plain.pictures.shape == smiling.pictures.shape == (1, 3, 128, 128)
        away = (plain.pictures - smiling.pictures).abs().amax(dim=(0, 1))
        assert away.max() > 0.2 and away[:12].max() < 0.02
        # Where the style changes, so does the portrait; and a head that is led takes it along.
        for points in (None, still):
            both = method.base(seen, Acted(heard, codes, points, 1.0))
            assert both.latents.shape[2] == 2
            for frame, alone in zip(both.pictures, (plain, smiling), strict=True):
                torch.testing.assert_close(frame, alone.pictures[0], atol=0.05, rtol=0)
        led = method.base(seen, Acted(heard, codes[1:].expand(2, -1), still, 1.0))
        torch.testing.assert_close(led.pictures, smiling.pictures.expand(2, -1, -1, -1), atol=0.05, rtol=0)
    finally:
        extractor.resting_weight.copy_(kept)


def test_a_clip_without_style_keeps_the_face_of_its_portrait(
    method: SVP, asked: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[float] = []
    base = SVP.base
    monkeypatch.setattr(SVP, "base", lambda self, seen, acted: (told.append(acted.manner), base(self, seen, acted))[1])
    for controls in ({"style": "none"}, {"style_scale": 0.0}, {}, {"style_scale": 1.25}):
        frames_of(method, controlled(asked, **controls))
    assert told == [0.0, 0.0, MINI.manner, MINI.manner / 2]


def test_accelerations_apply_to_two_parts_and_to_three(method: SVP, asked: Request) -> None:
    request = controlled(asked, steps=4)
    fast = SVP("mini", accelerations=("lightningcp", "dfa", "refdrop"))
    assert frames_of(fast, request).shape == (3, 128, 128, 3)
    assert frames_of(fast, controlled(request, style_scale=3.0)).shape == (3, 128, 128, 3)
    cached = SVP("mini", accelerations=("cfg-cache",))
    assert frames_of(cached, request).shape == (3, 128, 128, 3)
    with pytest.raises(MethodError, match=r"Weighted.*two halves"):
        frames_of(cached, controlled(request, style_scale=3.0))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"frames": 0}, "0 frames"),
        ({"audio": Audio(np.zeros(0, np.float32), 16_000)}, "sound"),
        ({"portrait": np.zeros((8, 8), np.uint8)}, "portrait"),
        ({"portrait": np.zeros((64, 64, 3), np.uint8)}, "sees no head"),
        ({"controls": {"emotion": "happy"}}, "svp has no control 'emotion'"),
        ({"controls": {"style_scale": -1.0}}, "style_scale"),
        ({"controls": {"style": "nowhere.mp4"}}, "svp: style is 'nowhere.mp4'.*'sampled', 'none'"),
        ({"controls": {"style_to": "nowhere.mp4"}}, "svp: style_to"),
        ({"controls": {"head": "nowhere.mp4"}}, "svp: head is 'nowhere.mp4'.*'generated', 'still'"),
        ({"controls": {"mix": 2.0}}, "mix"),
    ],
)
def test_wrong_requests_are_refused_in_one_sentence(
    method: SVP, asked: Request, wrong: dict[str, Any], says: str
) -> None:
    with pytest.raises(MethodError, match=says) as caught:
        method.generate(replace(asked, **wrong))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_videos_without_sound_or_head_are_refused(method: SVP, asked: Request, tmp_path: Path) -> None:
    mute, blank = tmp_path / "mute.mkv", tmp_path / "blank.mkv"
    write_video(mute, [asked.portrait] * 3, 25.0)
    write_video(blank, [np.full((128, 128, 3), 90, np.uint8)] * 3, 25.0)
    with pytest.raises(MethodError, match="no sound"):
        codes(method, style=str(mute))
    with pytest.raises(MethodError, match="sees no head like those of synth-heads in frame 0 of the video of head"):
        method.key_points(str(blank), method.look(asked.portrait), 2)


def test_windows_are_made_as_they_are_read_and_stages_are_told(method: SVP, asked: Request) -> None:
    told: list[tuple[str, int, int]] = []
    generation = method.generate(replace(asked, frames=20), lambda *step: told.append(step))
    assert "denoise" not in generation.seconds
    list(islice(iter(generation.frames), 1))  # type: ignore[arg-type]
    assert told == [("denoise", 0, 2), ("denoise", 1, 2)]
    assert set(generation.seconds) == {"portrait", "audio", "style", "head", "denoise", "decode"}


def test_styles_are_compared_in_three_ways(method: SVP, videos: list[str]) -> None:
    from thbench_methods.svp.claims import OTHER, OWN, READER, encoders, read

    rows = []
    for video in videos:
        frames = np.stack([frame.rgb for frame in read_frames(video, threads=1)])
        rows.append(read(frames, read_audio(video).samples, method))
    ways = encoders(method)
    assert list(ways) == [READER, OTHER, OWN]
    for way in ways.values():
        one, other = (way(row) for row in rows)
        assert one.ndim == 1 and one.shape == other.shape and np.isfinite(one).all()
        assert not np.allclose(one, other)
    own = ways[OWN](rows[0])
    np.testing.assert_allclose(own, codes(method, style=videos[0])[0].numpy(), atol=1e-5)


def test_the_spec_names_what_there_is() -> None:
    for name in (SPEC.factory, SPEC.flops, SPEC.trainers["mini"]):
        assert callable(load(name, purpose="a test"))
    assert set(SPEC.controls) == set(CONTROLS)


def test_there_is_one_preset() -> None:
    with pytest.raises(UsageError, match=r"svp has no preset 'paper'.*mini"):
        SVP("paper")
