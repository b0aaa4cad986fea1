"""The command, on one short list of metrics that need no face."""

from __future__ import annotations

import pytest

from thbench.cli import main
from thbench.data.synth_heads.dataset import clips_of, truth_of
from thbench.errors import UsageError
from thbench.registry import METRICS
from thbench.validate import judge
from thbench.validate.catalogue import BY_NAME, DEGRADATIONS, UNCHANGED
from thbench.validate.document import NAME, marks, read_validation
from thbench.validate.expectations import FALLS
from thbench.validate.material import ACTED_SECONDS, busiest_stretch
from thbench.validate.run import cast, trials_of
from thbench.validate.worker import groups

QUICK = ["validate-metrics", "--clips", "1", "--executor", "local", "--workers", "1", "--quiet"]
ASKED = [*QUICK, "--metrics", "psnr/pooled,flicker,duration-error,ms-ssim", "--degradations", "repeats,drops"]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    return main([*ASKED, "--out", str(folder)]), folder


def test_metrics_that_do_what_they_must_exit_with_0(done) -> None:
    code, folder = done
    found = read_validation(folder / f"{NAME}.json")
    assert code == 0
    assert {v.metric: v.verdict for v in found.verdicts} == dict.fromkeys(
        ("psnr/pooled", "flicker", "duration-error", "ms-ssim"), "holds"
    )
    assert len(found.acted_clips) == 1
    assert not found.failures
    # One unchanged clip, four doses of each: 10 % to 40 % of the frames are dropped.
    assert found.frames == FRAMES + 4 * FRAMES + sum(LEFT) + LARGE
    assert (folder / f"{NAME}.md").read_text().startswith("# Do the metrics")
    assert not marks(found, [METRICS["flicker"]])


FRAMES = round(ACTED_SECONDS * 25)
LEFT = [round(FRAMES * share) for share in (0.9, 0.8, 0.7, 0.6)]
LARGE = 9 * 25
"""Frames that were enlarged for MS-SSIM."""


def test_durations_are_those_of_the_doses(done) -> None:
    found = read_validation(done[1] / f"{NAME}.json")
    drops = next(r for r in found.responses if r.metric == "duration-error" and r.degradation == "drops")
    assert drops.means == pytest.approx([(FRAMES - left) / 25 for left in (FRAMES, *LEFT)], abs=1e-6)


def test_a_metric_that_fails_its_expectation_exits_with_1(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(judge, "expectation_of", lambda metric, degradation: FALLS)
    code = main([*QUICK, "--metrics", "duration-error", "--degradations", "drops", "--out", str(tmp_path)])
    assert code == 1
    found = read_validation(tmp_path / f"{NAME}.json")
    assert [v.metric for v in found.failing] == ["duration-error"]
    assert "fails 1 of 1" in marks(found, [METRICS["duration-error"]])["duration-error"]


def test_nothing_that_can_be_measured_exits_with_2(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("THBENCH_WEIGHTS", str(tmp_path))
    code = main([*QUICK, "--metrics", "fid/pytorch-fid", "--degradations", "repeats", "--out", str(tmp_path)])
    assert code == 2
    assert "doctor" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--degradations", "blurr"], "did you mean 'blur'"),
        (["--metrics", "psrn"], "did you mean 'psnr'"),
        (["--clips", "0"], "--clips is 0"),
        (["--workers", "0"], "--workers is 0"),
    ],
)
def test_wrong_usage_exits_with_3(arguments, says, tmp_path, capsys) -> None:
    assert main(["validate-metrics", "--out", str(tmp_path), "--quiet", *arguments]) == 3
    assert says in capsys.readouterr().err


def test_the_cast_is_of_different_people_with_most_blinks() -> None:
    clips = clips_of()
    parts = cast(clips, 4)
    everybody = (*parts.acted, *parts.sound)
    assert len({c.identity for c in everybody}) == len(everybody) == 12
    assert min(len(busiest_stretch(truth_of(c)).blinks) for c in parts.acted) >= 2
    with pytest.raises(UsageError, match="people"):
        cast(clips, 24)


def test_every_trial_gets_the_wrong_sound_of_somebody_else() -> None:
    clips = clips_of()
    for trial in trials_of(cast(clips, 3), clips, DEGRADATIONS):
        assert len(trial.others) == len(trial.clips)
        assert all(a.identity != b.identity for a, b in zip(trial.clips, trial.others, strict=True))
    assert sum(t.large for t in trials_of(cast(clips, 3), clips, DEGRADATIONS)) == 1


def test_each_variant_is_made_once() -> None:
    names = tuple(d.name for d in DEGRADATIONS if "acted" in d.kinds)
    made = [v for group in groups(names) for v in group]
    assert len(made) == len(set(made))
    assert {v for n in names for v in BY_NAME[n].variants()} == {UNCHANGED, *made}
