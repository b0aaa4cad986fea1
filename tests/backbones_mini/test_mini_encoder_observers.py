"""FID, KID, FVD and identity similarity on the mini encoders, through observers, specs and the engine's records."""

from __future__ import annotations

import os

import numpy as np
import pytest

from thbench.backbones.mini import loaded
from thbench.backbones.mini.train.clip_encoder import encode
from thbench.backbones.mini.train.held_out import embed
from thbench.data.synth_heads.dataset import clips_of
from thbench.evaluate.engine import evaluate_clip
from thbench.evaluate.settings import Settings
from thbench.media import read_frames
from thbench.metrics.available import lack_of, select
from thbench.metrics.csim import unit
from thbench.metrics.observe_mini_csim import MiniCsimObserver
from thbench.metrics.observe_mini_sets import CLIP_FEATURES, FRAME_FEATURES, MiniClipObserver, MiniFrameObserver
from thbench.metrics.observer import ClipFacts, Missing, Moment, VideoFacts, View
from thbench.metrics.specs_mini_encoders import MINI_ENCODER_METRICS
from thbench.registry import METRICS
from thbench.validate.expectations import EXPECTATIONS

FACTS = ClipFacts(fps=25, generated=VideoFacts(128, 128, 1, 1.0, None), reference=None)
PORTRAIT, SAME = "csim/mini/whole-frame/portrait", "csim/mini/whole-frame/same-frame"


@pytest.fixture(scope="module")
def videos() -> list[list[np.ndarray]]:
    return [[f.rgb for f in read_frames(clip.path, threads=1)][:20] for clip in clips_of()[:2]]


def run(observer, generated, reference=()):
    for i, frame in enumerate(generated):
        observer.observe(Moment(i, View(frame), View(reference[i]) if i < len(reference) else None))
    return observer


def test_protocols_say_mini_and_differ_from_the_published_ones() -> None:
    published = {s.protocol for n, s in METRICS.items() if n.split("/")[0] in ("fid", "kid", "fvd", "csim")}
    published -= {s.protocol for s in MINI_ENCODER_METRICS}
    for spec in MINI_ENCODER_METRICS:
        assert spec.protocol.startswith("mini-")
        assert "mini" in spec.name and "(mini)" in spec.title
        assert spec.protocol not in published
        assert METRICS[spec.name] == spec
        assert spec.name in EXPECTATIONS
        assert not spec.on_request and not spec.weights and "face" not in spec.needs


def test_they_need_no_file_beyond_the_package(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("THBENCH_WEIGHTS", os.fspath(tmp_path))
    assert all(lack_of(spec) is None for spec in MINI_ENCODER_METRICS)
    assert {s.name for s in MINI_ENCODER_METRICS} <= set(select(["all"]).specs)


def test_frames_are_encoded_one_by_one_whatever_the_order(videos) -> None:
    found = run(MiniFrameObserver(frozenset({"fid/mini", "kid/mini"})), videos[0]).features(FACTS)[FRAME_FEATURES]
    assert found.shape == (20, 256) and found.dtype == np.float32
    wanted = embed(loaded.frame_encoder(), np.stack(videos[0])[None], 128)[0]
    assert np.array_equal(found, wanted.astype(np.float32))
    backwards = run(MiniFrameObserver(frozenset({"fid/mini"})), videos[0][::-1]).features(FACTS)[FRAME_FEATURES]
    assert np.array_equal(backwards[::-1], found)


def test_clips_of_sixteen_frames_follow_each_other(videos) -> None:
    frames = videos[0] + videos[0][:13]
    found = run(MiniClipObserver(frozenset({"fvd/mini"})), frames).features(FACTS)[CLIP_FEATURES]
    assert found.shape == (2, 128)
    np.testing.assert_array_equal(found, encode(loaded.clip_encoder(), frames).astype(np.float32))


def test_what_is_too_short_has_no_features_and_says_why(videos) -> None:
    short = run(MiniClipObserver(frozenset({"fvd/mini"})), videos[0][:15]).features(FACTS)[CLIP_FEATURES]
    assert isinstance(short, Missing) and "15 frames" in short.reason and "16" in short.reason
    assert isinstance(MiniFrameObserver(frozenset({"fid/mini"})).features(FACTS)[FRAME_FEATURES], Missing)


def test_similarity_is_the_mean_cosine_to_the_portrait_and_to_the_frame_of_the_instant(videos) -> None:
    mine, theirs = (unit(embed(loaded.identity(), np.stack(v)[None], 112)[0]) for v in videos)
    found = run(MiniCsimObserver(frozenset({PORTRAIT, SAME})), videos[0], videos[1]).values(FACTS)
    assert found[SAME] == pytest.approx((mine * theirs).sum(axis=1).mean(), abs=1e-6)
    assert found[PORTRAIT] == pytest.approx((mine @ theirs[0]).mean(), abs=1e-6)
    own = run(MiniCsimObserver(frozenset({PORTRAIT, SAME})), videos[0], videos[0]).values(FACTS)
    assert own[SAME] == pytest.approx(1, abs=1e-6)
    assert own[PORTRAIT] > found[PORTRAIT] + 0.2


def test_instants_beyond_the_reference_are_left_out_and_no_reference_is_no_number(videos) -> None:
    whole = run(MiniCsimObserver(frozenset({SAME})), videos[0][:8], videos[1][:8]).values(FACTS)
    longer = run(MiniCsimObserver(frozenset({SAME})), videos[0][:12], videos[1][:8]).values(FACTS)
    assert longer[SAME] == pytest.approx(whole[SAME], abs=1e-6)
    alone = run(MiniCsimObserver(frozenset({PORTRAIT, SAME})), videos[0][:2]).values(FACTS)
    assert all(isinstance(value, Missing) for value in alone.values())
    assert isinstance(MiniCsimObserver(frozenset({PORTRAIT})).values(FACTS)[PORTRAIT], Missing)


def test_the_engine_gives_values_and_features(videos) -> None:
    first, second = clips_of()[:2]
    names = [spec.name for spec in MINI_ENCODER_METRICS]
    rows = {"ground-truth": first.path, "other": second.path}
    found = evaluate_clip(rows, first.path, selection=select(names), settings=Settings(fps=25), new_tracker=None)
    assert found["ground-truth"].values[SAME] == pytest.approx(1, abs=1e-6)
    assert found["other"].values[PORTRAIT] < found["ground-truth"].values[PORTRAIT]
    for scores in found.values():
        assert not scores.missing
        assert scores.features[FRAME_FEATURES].shape == (100, 256)
        assert scores.features[CLIP_FEATURES].shape == (6, 128)
