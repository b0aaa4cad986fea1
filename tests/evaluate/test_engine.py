"""The pass itself, with small observers and drawn clips."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from thbench.data.drawn_clips import write_drawn_clips
from thbench.evaluate import stream as stream_module
from thbench.evaluate.engine import Scores, evaluate_clip
from thbench.evaluate.settings import Settings
from thbench.evaluate.stream import VideoStream
from thbench.faces import FaceTracker
from thbench.media import read_audio, read_frames, write_video
from thbench.metrics.available import Selection, select
from thbench.metrics.observer import ClipFacts, Missing, Moment, Values
from thbench.metrics.sound import to_int16
from thbench.spec import MetricSpec


class Witness:
    """An observer that reports what it was shown."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self.wanted = wanted
        self.indices: list[int] = []
        self.paired = 0
        self.same = 0
        self.faces = 0

    def observe(self, moment: Moment) -> None:
        self.indices.append(moment.index)
        self.paired += moment.reference is not None
        self.same += moment.reference is moment.generated
        self.faces += moment.generated.face is not None

    def values(self, clip: ClipFacts) -> Values:
        found = {
            "seen": float(len(self.indices)),
            "ordered": float(self.indices == list(range(len(self.indices)))),
            "paired": float(self.paired),
            "same": float(self.same),
            "faces": float(self.faces),
            "refused": Missing("because"),
            "length": clip.generated.duration,
        }
        return {name: found[name] for name in self.wanted}


def metric(name: str, *needs: str) -> MetricSpec:
    return MetricSpec(
        name=name, title="t", direction="none", unit="1", protocol="p", source="s",
        needs=frozenset(needs), observer=f"{__name__}:Witness",
    )  # fmt: skip


def selection(*specs: MetricSpec) -> Selection:
    return Selection(specs={s.name: s for s in specs}, lacking={})


WITNESSES = selection(
    metric("seen"), metric("ordered"), metric("length"), metric("refused"),
    metric("paired", "reference"), metric("same", "reference"),
)  # fmt: skip


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_drawn_clips(tmp_path_factory.mktemp("clips"), seconds=1.2, size=128)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every file whose frames were decoded."""
    paths: list[Path] = []
    original = stream_module.read_frames

    def counting(path: Path, fps: float | None = None) -> Iterator[object]:
        paths.append(path)
        return original(path, fps)

    monkeypatch.setattr(stream_module, "read_frames", counting)
    return paths


def score(
    generated: dict[str, Path], reference: Path | None, chosen: Selection = WITNESSES, **more: object
) -> dict[str, Scores]:
    return evaluate_clip(generated, reference, selection=chosen, settings=Settings(), new_tracker=None, **more)  # type: ignore[arg-type]


def test_each_video_is_decoded_once_whatever_the_number_of_rows(clips: list[Path], opened: list[Path]) -> None:
    scores = score({"a": clips[1], "b": clips[2], "truth": clips[0]}, clips[0])
    assert sorted(opened) == sorted(clips)
    for row in scores.values():
        assert row.values["seen"] == row.values["paired"] == 30
        assert row.values["ordered"] == 1
        assert row.missing == {"refused": "because"}
    assert scores["truth"].values["same"] == 30
    assert scores["a"].values["same"] == 0


def test_a_shorter_reference_stops_pairs_but_not_the_video(clips: list[Path], tmp_path: Path) -> None:
    short = tmp_path / "short.mp4"
    write_video(short, [f.rgb for f in read_frames(clips[0])][:10], 25, quality="view")
    (scores,) = score({"a": clips[1]}, short).values()
    assert (scores.values["seen"], scores.values["paired"]) == (30, 10)
    assert any("lengths differ" in warning for warning in scores.warnings)


def test_without_reference_only_reference_metrics_are_missing(clips: list[Path]) -> None:
    (scores,) = score({"a": clips[0]}, None).values()
    assert scores.missing == {"paired": "no reference video", "same": "no reference video", "refused": "because"}
    assert scores.values["seen"] == 30


def test_one_broken_row_costs_itself_only(clips: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"nothing")
    scores = score({"good": clips[1], "bad": broken}, clips[0])
    assert scores["good"].error is None
    assert scores["bad"].error is not None
    assert "broken.mp4" in scores["bad"].error
    assert not scores["bad"].values


def test_a_broken_reference_costs_reference_metrics_only(clips: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"nothing")
    scores = score({"good": clips[1], "truth": broken}, broken)
    assert scores["good"].values["seen"] == 30
    assert "reference unreadable" in scores["good"].missing["paired"]
    assert scores["truth"].error is not None


def test_lacking_metrics_stay_in_the_result_with_their_reason(clips: list[Path]) -> None:
    chosen = Selection(specs={"seen": metric("seen"), "y": metric("y")}, lacking={"y": "needs weights y"})
    (scores,) = score({"a": clips[0]}, None, chosen).values()
    assert scores.missing == {"y": "needs weights y"}
    assert scores.values == {"seen": 30}


def test_progress_counts_instants(clips: list[Path]) -> None:
    seen: list[int] = []
    score({"a": clips[0]}, None, on_instant=seen.append)
    assert seen[:30] == list(range(1, 31))


@pytest.mark.parametrize(("policy", "value"), [("skip", 20.0), ("hold", 30.0), ("fail", None)])
def test_policies_for_missing_faces(
    clips: list[Path], tmp_path: Path, weights: str, policy: str, value: float | None
) -> None:
    frames = [f.rgb for f in read_frames(clips[0])]
    frames[10:20] = [np.zeros_like(frames[0])] * 10
    gap = tmp_path / "gap.mkv"
    write_video(gap, frames, 25, quality="lossless")
    (scores,) = evaluate_clip(
        {"a": gap},
        None,
        selection=selection(metric("faces", "face")),
        settings=Settings(missing_face=policy),  # type: ignore[arg-type]
        new_tracker=lambda: FaceTracker(policy=policy),  # type: ignore[arg-type]
    ).values()
    assert scores.counts["faces_missing"] == 10
    assert scores.values.get("faces") == value
    if value is None:
        assert "no face in 10 of 30 frames" in scores.missing["faces"]


def test_a_clip_alone_equals_the_same_clip_after_another(clips: list[Path], weights: str) -> None:
    """State must not leak from clip to clip."""
    chosen = select(["all"])

    def run(path: Path, tracker: FaceTracker | None = None) -> Scores:
        (scores,) = evaluate_clip(
            {"a": path}, path, selection=chosen, settings=Settings(), new_tracker=FaceTracker
        ).values()
        return scores

    alone = run(clips[1])
    run(clips[0])
    after = run(clips[1])
    assert replace(alone, features={}) == replace(after, features={})
    kept = {"curves", "lse-curve-mini", "mini-clip-encoder", "mini-frame-encoder"}
    assert set(alone.features) == set(after.features) == kept
    assert alone.features["lse-curve-mini"].shape == (1, 31)
    for name, rows in alone.features.items():
        np.testing.assert_array_equal(rows, after.features[name])


def test_videos_read_together_score_as_one_after_another(clips: list[Path], tmp_path: Path, weights: str) -> None:
    """Streams that end at different instants, one that is the reference itself, and one that breaks off."""
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(clips[1].read_bytes()[: clips[1].stat().st_size * 2 // 3])
    short = tmp_path / "short.mkv"
    write_video(short, [f.rgb for f in read_frames(clips[1])][:12], 25, quality="lossless")
    videos = {"truth": clips[0], "other": clips[1], "short": short, "broken": broken}
    chosen = select(["psnr", "ssim", "m-lmd/eat", "pose-div/deg"])
    apart, together = (
        evaluate_clip(
            videos,
            clips[0],
            selection=chosen,
            settings=Settings(),
            new_tracker=FaceTracker,
            together=both,
        )
        for both in (False, True)
    )
    assert apart.keys() == together.keys() == videos.keys()
    for name, scores in apart.items():
        assert replace(scores, features={}) == replace(together[name], features={})
    assert apart["short"].counts["frames"] == 12 and apart["other"].counts["frames"] > 12


def test_the_sound_read_in_blocks_is_the_whole_sound(clips: list[Path]) -> None:
    stream = VideoStream(clips[0], 25.0, tracker=None, with_sound=True)
    read = stream.facts().read_int16
    assert read is not None
    np.testing.assert_array_equal(read(), to_int16(read_audio(clips[0]).samples))
    stream.close()
