from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from store_helpers import MACHINE, NOON, metric, recipe, run_info

from thbench.errors import UsageError
from thbench.run.info import Planned, Recipe, RunInfo, describe_metric, join
from thbench.spec import MetricSpec

OTHER = MACHINE.model_copy(update={"cpu": "another CPU"})


def planned(*keys: str) -> list[Planned]:
    return [Planned(key=key, variant="v", clip=key, identity="i", recipe="r") for key in keys]


def test_recipe_key_depends_on_every_choice() -> None:
    changed = [
        recipe(),
        recipe(fps=30),
        recipe(faces="g"),
        recipe(decoder="e"),
        recipe(resampler="s"),
        recipe(missing_face="fail"),
        recipe({"psnr": metric("psnr/y")}),
        recipe({"psnr": metric(version=2)}),
        recipe({"psnr": metric(), "ssim": metric()}),
    ]
    assert len({one.key for one in changed}) == len(changed)
    assert {len(one.key) for one in changed} == {12}


def test_recipe_key_survives_the_file() -> None:
    one = recipe({"psnr": metric(low=0)})
    assert Recipe.model_validate_json(one.model_dump_json()).key == one.key == recipe({"psnr": metric(low=0.0)}).key


def test_description_of_a_metric_is_that_of_its_spec() -> None:
    spec = MetricSpec(
        name="psnr", title="PSNR", direction="higher", unit="dB", low=0, protocol="p", source="s", observer="m:o"
    )
    found = describe_metric(spec)
    assert (found.title, found.version, found.direction, found.unit, found.low) == ("PSNR", 1, "higher", "dB", 0)
    assert (found.protocol, found.source) == ("p", "s")


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValueError, match="Extra inputs"):
        RunInfo.model_validate_json(run_info().model_dump_json()[:-1] + ', "extra": 1}')


def test_attempts_are_kept_apart() -> None:
    """The time of a run that was restarted is known for each start, and where it ran."""
    info = run_info().begun(workers=2, started=NOON, on=MACHINE)
    killed = info.begun(workers=1, started=NOON + timedelta(hours=1), on=OTHER)
    ended = killed.ended("success", ended=NOON + timedelta(hours=2), seconds=3600)
    assert info.status == killed.status == "started"
    assert ended.status == "success"
    assert [a.seconds for a in ended.attempts] == [None, 3600]
    assert [a.environment for a in ended.attempts] == [None, OTHER]
    assert ended.environments == (MACHINE, OTHER)


def test_a_run_that_never_began_cannot_end() -> None:
    with pytest.raises(ValueError, match="never begun"):
        run_info().ended("success", ended=NOON, seconds=1)


class TestJoin:
    def shards(self) -> list[RunInfo]:
        fast, slow = recipe(), recipe(fps=30)
        return [
            run_info(fast, planned=planned("a", "b"), weights={"w": "1"}, status="success").begun(
                workers=1, started=NOON, on=MACHINE
            ),
            run_info(slow, planned=planned("b", "c"), kinds={"v": "baseline"}, environment=OTHER, status="success"),
            run_info(fast, planned=planned("d"), weights={"w": "1", "x": "2"}, status="failed"),
        ]

    def test_order_does_not_matter(self) -> None:
        joined = [join(order) for order in itertools.permutations(self.shards())]
        assert len({info.model_dump_json() for info in joined}) == 1

    def test_nothing_is_lost_and_nothing_is_counted_twice(self) -> None:
        joined = join(self.shards())
        assert sorted(entry.key for entry in joined.planned) == ["a", "b", "c", "d"]
        assert len(joined.recipes) == 2
        assert joined.weights == {"w": "1", "x": "2"}
        assert joined.kinds == {"v": "baseline"}
        assert len(joined.attempts) == 1

    def test_status_promises_no_more_than_the_least(self) -> None:
        assert join(self.shards()).status == "started"
        assert join(self.shards()[1:]).status == "failed"

    def test_environment_of_an_attempt_is_still_right(self) -> None:
        here, there = (
            run_info(environment=on).begun(workers=1, started=NOON + timedelta(minutes=m), on=on)
            for m, on in enumerate([MACHINE, OTHER])
        )
        joined = join([there, here])
        assert [a.environment or joined.environment for a in joined.attempts] == [MACHINE, OTHER]

    def test_other_suites_are_kept_beside_each_other(self) -> None:
        joined = join([run_info(suite={"name": "b"}), run_info(suite={"name": "a"}), run_info(suite={"name": "a"})])
        assert joined.suite["merged"] == [{"name": "a"}, {"name": "b"}]

    def test_other_weights_are_refused(self) -> None:
        with pytest.raises(UsageError, match="weight file 'w' has SHA-256 1 in one run and 2 in another"):
            join([run_info(weights={"w": "1"}), run_info(weights={"w": "2"})])

    def test_no_run_is_refused(self) -> None:
        with pytest.raises(UsageError, match="no run"):
            join([])

    def test_one_run_is_itself(self) -> None:
        info = run_info(status="success")
        assert join([info]) is info
