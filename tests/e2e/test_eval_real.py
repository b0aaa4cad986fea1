"""`thbench eval` on real talking-head videos."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thbench.media import read_audio, read_frames, remux, write_video
from thbench.metrics.available import select
from thbench.metrics.specs_mini_face import MINI_FACE_METRICS
from thbench.metrics.specs_mini_sync import MINI_SYNC_METRICS
from thbench.types import Audio

INFINITE_FOR_EQUAL = {"psnr", "psnr/pooled"}
"""The ground-truth row is equal to its reference, and PSNR is infinite then."""
TOO_SHORT_FOR = {"av-drift": "this clip has less"}
"""Drift needs 15 s; the longest of these clips has 10."""
NO_BLINKS = {"blink-duration": "no whole blink"}
"""The published DreamTalk outputs never blink."""
KNOW_ONLY_DRAWN_HEADS = {spec.name for specs in (MINI_FACE_METRICS, MINI_SYNC_METRICS) for spec in specs}
"""The mini networks may refuse a real face, saying so."""
pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def reencoded(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference clips once more through H.264, as a method's videos would be."""
    folder = tmp_path_factory.mktemp("reencoded")
    for path in sorted((shared / "real" / "reference").glob("*.mp4")):
        frames = (frame.rgb for frame in read_frames(path, 25))
        write_video(folder / path.name, frames, 25, quality="view", audio=read_audio(path))
    return folder


@pytest.fixture(scope="module")
def scored(shared: Path, reencoded: Path, weights: str, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """Leaderboard of the re-encoded clips against the originals."""
    return evaluate(reencoded, shared / "real" / "reference", tmp_path_factory.mktemp("run"))


def evaluate(made: Path, real: Path | None, out: Path, *more: str) -> Mapping[str, Any]:
    import json

    from thbench.cli import main

    arguments = ["eval", "--generated", str(made), "--name", "made", "--out", str(out), "--quiet", *more]
    main([*arguments, "--reference", str(real)] if real else arguments)
    return dict(json.loads((out / "leaderboard.json").read_text()))


def cells(board: Mapping[str, Any], row: str) -> dict[str, Mapping[str, Any]]:
    """Metric to cell of one row."""
    (found,) = [r for r in board["rows"] if r["variant"] == row]
    return dict(found["cells"])


def value(cell: Mapping[str, Any]) -> float:
    return math.nan if cell["value"] is None else float(cell["value"])


def test_every_metric_has_a_finite_value_on_every_real_clip(scored: Mapping[str, Any]) -> None:
    assert scored["failures"] == []
    made, truth = cells(scored, "made"), cells(scored, "ground-truth")
    assert set(made) == set(truth) == set(select(["all"]).specs)
    for row, table in (("made", made), ("ground-truth", truth)):
        for name, cell in table.items():
            if name in select(["all"]).lacking:
                assert "thbench weights " in str(cell["missing"]), name
            elif name in TOO_SHORT_FOR:
                assert TOO_SHORT_FOR[name] in str(cell["missing"]), name
            elif name in KNOW_ONLY_DRAWN_HEADS and cell["scored"] < 4:
                assert "as synth-heads does" in str(cell["missing"]), name
            elif name not in INFINITE_FOR_EQUAL or row == "made":
                assert math.isfinite(value(cell)), (row, name, cell)
                assert cell["scored"] == 4, (row, name, cell)


def test_ground_truth_bounds_the_reencoded_row(scored: Mapping[str, Any]) -> None:
    made, truth = cells(scored, "made"), cells(scored, "ground-truth")
    assert value(truth["ssim"]) == 1.0
    assert value(truth["psnr"]) == math.inf
    assert 0.9 < value(made["ssim"]) < 1
    assert 30 < value(made["psnr"]) < 60
    assert value(truth["m-lmd/eat"]) == 0
    assert 0 < value(made["m-lmd/eat"]) < 2


def test_published_dreamtalk_outputs_are_scored_without_reference(shared: Path, weights: str, tmp_path: Path) -> None:
    board = evaluate(shared / "real" / "generated", None, tmp_path / "run")
    assert board["failures"] == []
    found = cells(board, "made")
    for name, spec in select(["all"]).specs.items():
        if name in select(["all"]).lacking:
            assert "thbench weights " in str(found[name]["missing"])
        elif "reference" in spec.needs:
            assert found[name]["scored"] == 0
            assert "no reference" in str(found[name]["missing"])
        elif name in NO_BLINKS:
            assert NO_BLINKS[name] in str(found[name]["missing"])
        elif name in KNOW_ONLY_DRAWN_HEADS and found[name]["scored"] < found[name]["total"]:
            assert "as synth-heads does" in str(found[name]["missing"])
        else:
            assert math.isfinite(value(found[name])), (name, found[name])


def shifted(audio: Audio, seconds: float) -> Audio:
    """The sound later by `seconds` (earlier where negative), of the same length, silence where nothing is."""
    samples = np.zeros_like(audio.samples)
    shift = round(seconds * audio.rate)
    if shift >= 0:
        samples[shift:] = audio.samples[: len(samples) - shift]
    else:
        samples[:shift] = audio.samples[-shift:]
    return Audio(samples, audio.rate)


@pytest.mark.parametrize("frames", [5, -5])
def test_a_shift_of_five_frames_is_found_to_within_one(shared: Path, weights: str, tmp_path: Path, frames: int) -> None:
    real = shared / "real" / "reference"
    originals = offsets(real, tmp_path / "plain", "--metrics", "lip-audio-offset")
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in sorted(real.glob("*.mp4")):
        remux(path, moved / path.stem, shifted(read_audio(path), frames / 25))
    found = offsets(moved, tmp_path / "run", "--metrics", "lip-audio-offset")
    errors = {clip: found[clip] - originals[clip] - frames * 40 for clip in originals}
    assert sum(abs(error) <= 40 for error in errors.values()) >= 3, errors


def offsets(made: Path, out: Path, *more: str) -> dict[str, float]:
    """Clip to its offset in ms."""
    from thbench.run.store import RunStore

    evaluate(made, None, out, *more)
    name = "lip-audio-offset"
    return {record.clip: record.values[name] for record in RunStore.open(out).records() if name in record.values}


def test_shuffled_audio_scores_below_ground_truth(
    shared: Path, weights: str, tmp_path: Path, thbench: Callable[..., Any]
) -> None:
    suite = tmp_path / "sync.toml"
    suite.write_text(
        "name = 'sync'\ntitle = 'synchrony'\nvariants = ['ground-truth', 'shuffled-audio']\n"
        "metrics = ['lip-audio-corr']\n"
    )
    data = tmp_path / "data"
    shutil.copytree(shared / "real" / "reference", data)
    outcome = thbench("run", suite, "--data", data, "--out", tmp_path / "run", "--quiet")
    assert outcome.code == 0, outcome.err
    truth, shuffled = outcome.cell("ground-truth", "lip-audio-corr"), outcome.cell("shuffled-audio", "lip-audio-corr")
    assert truth["scored"] == shuffled["scored"] == 4
    assert shuffled["value"] < truth["value"]
