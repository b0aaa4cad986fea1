"""Correlations, responses, verdicts and marks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thbench.errors import UsageError
from thbench.registry import METRICS
from thbench.spec import SetStatistic
from thbench.validate.catalogue import BY_NAME
from thbench.validate.document import Validation, marks, read_validation
from thbench.validate.figure import can_draw, draw
from thbench.validate.judge import Evidence, respond, set_distance, spearman, verdict_of
from thbench.validate.remember import RememberingDetector
from thbench.validate.text import markdown, summary

BLUR = BY_NAME["blur"]
SSIM, CAPPED = METRICS["ssim"], METRICS["psnr/cap100"]


def evidence(metric: str, degradation, *rows) -> Evidence:
    variants = degradation.variants()
    return Evidence(
        {
            f"clip{n}": {v: {metric: x} for v, x in zip(variants, row, strict=True) if not math.isnan(x)}
            for n, row in enumerate(rows)
        }
    )


def response(metric: str, degradation: str, *rows):
    return respond(METRICS[metric], BY_NAME[degradation], evidence(metric, BY_NAME[degradation], *rows))


@settings(deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=3, max_size=9))
def test_spearman_agrees_with_scipy(values) -> None:
    from scipy.stats import spearmanr

    ours = spearman(range(len(values)), values)
    if len(set(values)) == 1:
        assert ours is None
    else:
        assert ours == pytest.approx(spearmanr(range(len(values)), values).statistic)


def test_spearman_ranks_infinities_and_refuses_nan() -> None:
    assert spearman([0, 1, 2], [math.inf, 40.0, 30.0]) == -1.0
    assert spearman([0, 1, 2], [1.0, math.nan, 2.0]) is None


def test_a_metric_that_falls_as_it_must_holds() -> None:
    found = response("ssim", "blur", (1, 0.9, 0.8, 0.7, 0.6), (1, 0.95, 0.9, 0.7, 0.65))
    assert (found.verdict, found.rho, found.least_rho, found.clips) == ("holds", -1.0, -1.0, 2)
    assert found.change == pytest.approx(0.375)


@pytest.mark.parametrize("row", [(1, 0.9, 0.8, 0.85, 0.6), (0.6, 0.7, 0.8, 0.9, 1), (1, 1, 1, 1, 1)])
def test_a_metric_that_does_not_fall_as_it_must_fails(row) -> None:
    found = response("ssim", "blur", row)
    assert found.verdict == "fails"
    assert found.reason


def test_what_must_be_ignored_is_held_against_its_tolerance_clip_by_clip() -> None:
    assert response("apd/geodesic-deg", "colour", (0, 0.2, 0.4, 0.6, 0.9)).verdict == "holds"
    # Changes of opposite sign do not cancel.
    found = response("pose-div/deg", "colour", (5, 5, 5, 5, 7), (5, 5, 5, 5, 3))
    assert (found.verdict, found.change) == ("fails", 2.0)


def test_relative_tolerances_are_shares_of_the_unchanged_value() -> None:
    found = response("pose-intensity", "colour", (20, 20, 20, 20, 21.5))
    assert (found.verdict, found.allowed) == ("holds", 2.0)
    assert response("pose-intensity", "colour", (20, 20, 20, 20, 22.5)).verdict == "fails"


def test_two_infinities_are_no_change() -> None:
    found = response("psnr", "wrong-sound", (math.inf,) * 5)
    assert (found.verdict, found.change) == ("holds", 0.0)
    assert response("psnr", "wrong-sound", (math.inf, math.inf, 40.0, 40.0, 40.0)).verdict == "fails"


def test_the_unchanged_dose_may_lie_in_the_middle() -> None:
    found = response("pose-div/deg", "pose-scale", (0, 1, 2, 3, 4, 5, 6))
    assert (found.verdict, found.change) == ("holds", 4.0)


def test_clips_without_a_value_at_some_dose_are_left_out() -> None:
    found = response("ssim", "blur", (1, 0.9, 0.8, 0.7, 0.6), (1, math.nan, 0.1, 0.9, 0.2))
    assert (found.clips, found.means[1]) == (1, 0.9)


def test_what_has_no_value_is_not_measured_and_says_why() -> None:
    missing = {"clip": {v: {"ssim": "no reference video"} for v in BLUR.variants()}}
    found = respond(SSIM, BLUR, Evidence({}, missing))
    assert (found.verdict, found.reason, found.means) == ("not measured", "no reference video", ())


def test_a_metric_of_sets_is_judged_over_all_clips_together() -> None:
    spec = METRICS["fid/pytorch-fid"]
    random = np.random.default_rng(0)
    clean = random.standard_normal((2, 40, 4)).astype(np.float32)
    features = {
        f"clip{n}": {v: {spec.statistic.extractor: clean[n] + 0.5 * dose} for dose, v in enumerate(BLUR.variants())}
        for n in range(2)
    }
    found = respond(spec, BLUR, Evidence({"clip0": {}, "clip1": {}}, {}, features))
    assert found.verdict == "holds"
    assert found.clips == 2
    np.testing.assert_allclose(found.means, [4 * (0.5 * d) ** 2 for d in range(5)], atol=1e-4)


def test_sets_that_do_not_vary_have_no_distance() -> None:
    statistic = SetStatistic(kind="frechet", extractor="x", reference="x")
    assert math.isnan(set_distance(statistic, np.zeros((1, 3), np.float32), np.ones((5, 3), np.float32)))


def test_verdicts_sum_up() -> None:
    good, bad = response("ssim", "blur", (5, 4, 3, 2, 1)), response("ssim", "noise", (1, 2, 3, 4, 5))
    nothing = respond(SSIM, BY_NAME["jpeg"], Evidence({}))
    assert verdict_of(SSIM, [good]).verdict == "holds"
    assert verdict_of(SSIM, [nothing]).verdict == "not measured"
    mixed = verdict_of(SSIM, [good, bad, nothing])
    assert (mixed.verdict, mixed.held, mixed.failed, mixed.expected) == ("fails", 1, 1, 3)
    assert "noise" in mixed.reasons[0]


def test_a_metric_that_only_ignored_is_not_validated() -> None:
    stays, nothing = response("ssim", "wrong-sound", (1,) * 5), respond(SSIM, BLUR, Evidence({}))
    assert verdict_of(SSIM, [stays, nothing]).verdict == "not measured"


@pytest.fixture
def validation() -> Validation:
    responses = (
        response("ssim", "blur", (5, 4, 3, 2, 1)),
        response("psnr/cap100", "blur", (1, 2, 3, 4, 5)),
        response("psnr", "wrong-sound", (math.inf,) * 5),
    )
    verdicts = tuple(
        verdict_of(METRICS[name], [r for r in responses if r.metric == name])
        for name in ("ssim", "psnr/cap100", "psnr")
    )
    return Validation(
        thbench="0",
        created="2020-01-01T00:00:00+00:00",
        seconds=1.0,
        workers=1,
        frames=10,
        acted_clips=("a",),
        sound_clips=(),
        long_clips=(),
        monotone=0.95,
        degradations=(BLUR, BY_NAME["wrong-sound"]),
        verdicts=verdicts,
        responses=responses,
    )


def test_a_validation_survives_its_file(validation, tmp_path) -> None:
    path = tmp_path / "v.json"
    path.write_text(validation.model_dump_json())
    assert read_validation(path) == validation
    path.write_text("{}")
    with pytest.raises(UsageError, match="validate-metrics"):
        read_validation(path)
    with pytest.raises(UsageError, match="cannot read"):
        read_validation(tmp_path / "absent.json")


def test_leaderboards_mark_what_fails_and_what_was_not_tried(validation) -> None:
    specs = [METRICS[name] for name in ("ssim", "psnr/cap100", "flicker")]
    found = marks(validation, specs)
    assert set(found) == {"psnr/cap100", "flicker"}
    assert found["psnr/cap100"].startswith("fails 1 of 1 expectations: blur")
    assert found["flicker"] == "not validated: not tried"


def test_a_verdict_is_about_one_version_of_a_metric(validation) -> None:
    newer = METRICS["ssim"].model_copy(update={"version": 99})
    assert marks(validation, [newer]) == {"ssim": "not validated: not tried"}


def test_the_page_names_what_fails(validation) -> None:
    page = markdown(validation)
    assert "| `psnr/cap100` | **fails** | 0/1 | blur: must fall: rho +1.00 |" in page
    assert "3 metrics: 2 hold, 1 fail" in summary(validation) or "1 hold, 1 fail, 1 not measured" in summary(validation)


def test_the_figure_is_written(validation, tmp_path) -> None:
    if not can_draw():
        pytest.skip("matplotlib is absent")
    pdf, png = draw(validation, tmp_path / "v")
    assert pdf.read_bytes().startswith(b"%PDF")
    assert png.read_bytes().startswith(b"\x89PNG")


def test_equal_images_are_looked_at_once() -> None:
    class Counting:
        calls = 0

        def detect(self, rgb):
            self.calls += 1
            return [int(rgb.sum())]

    counting = Counting()
    detector = RememberingDetector(counting, limit=2)
    images = [np.full((4, 4, 3), n, np.uint8) for n in range(3)]
    assert [detector.detect(images[i]) for i in (0, 0, 1, 0, 2, 0)] == [[0], [0], [48], [0], [96], [0]]
    assert counting.calls == 3
    detector.detect(images[1])
    assert counting.calls == 4
    detector.detect(
        np.zeros(
            (
                3,
                4,
                4,
            ),
            np.uint8,
        ).reshape(2, 8, 3)
    )
    assert counting.calls == 5
