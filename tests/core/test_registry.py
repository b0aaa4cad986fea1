from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from thbench.errors import UsageError
from thbench.registry import METHODS, METRICS, read_specs
from thbench.spec import MethodSpec, MetricSpec, load

HERE = "tests_registry_specs"


@pytest.fixture(autouse=True)
def module_of_specs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that entry points can name."""
    import sys
    import types

    module = types.ModuleType(HERE)
    module.ONE = spec("one")  # type: ignore[attr-defined]
    module.MANY = (spec("two"), spec("three"))  # type: ignore[attr-defined]
    module.WRONG = "no spec"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, HERE, module)


def spec(name: str) -> MethodSpec:
    return MethodSpec(name=name, title="t", kind="external", factory="x:y")


def point(name: str, attribute: str) -> EntryPoint:
    return EntryPoint(name, f"{HERE}:{attribute}", "thbench.methods")


def test_one_spec_or_several_per_entry_point() -> None:
    specs = read_specs([point("one", "ONE"), point("more", "MANY")], MethodSpec, "method")
    assert list(specs) == ["one", "three", "two"]


def test_a_name_taken_twice_is_loud_and_names_both() -> None:
    twice = [point("one", "ONE"), EntryPoint("one", "tests_registry_specs:ONE ", "thbench.methods")]
    with pytest.raises(UsageError, match="two methods are called 'one'"):
        read_specs(twice, MethodSpec, "method")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (point("x", "ONE"), "must be equal"),
        (point("x", "WRONG"), "gives a str"),
        (point("x", "ABSENT"), "cannot be read"),
        (EntryPoint("x", "no_such_module_at_all:X", "g"), "cannot be read"),
    ],
)
def test_a_wrong_entry_point_is_named(entry: EntryPoint, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_specs([entry], MethodSpec, "method")


def test_near_misses_are_suggested() -> None:
    with pytest.raises(UsageError, match="did you mean 'mouth-warp'"):
        METHODS["mouth-wrap"]


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValueError, match="extra"):
        MethodSpec(name="a", title="t", kind="external", factory="x:y", colour="red")  # type: ignore[call-arg]


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_metric_says_what_it_is(name: str) -> None:
    metric: MetricSpec = METRICS[name]
    assert metric.low < metric.high
    for text in (metric.title, metric.unit, metric.protocol, metric.source):
        assert text.strip() == text
        assert text
    assert callable(load(metric.observer, purpose=name))


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_can_be_loaded(name: str) -> None:
    method = load(METHODS[name].factory, purpose=name)(preset=METHODS[name].presets[0], device="cpu")
    assert callable(method.generate)


@pytest.mark.parametrize("target", ["nonsense", "thbench.types:Nothing", ":x"])
def test_a_wrong_target_is_one_sentence(target: str) -> None:
    with pytest.raises(UsageError, match="correct it in the spec"):
        load(target, purpose="metric 'x'")
