"""How a variant becomes a method."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from thbench.errors import UsageError
from thbench.run.building import build_method


@pytest.fixture(autouse=True)
def module(monkeypatch: pytest.MonkeyPatch) -> None:
    made = ModuleType("made_methods")

    class Plain:
        def __init__(self, preset: str, device: str) -> None:
            self.given: dict[str, Any] = {"preset": preset, "device": device}

    class Sampling(Plain):
        def __init__(self, preset: str, device: str, accelerations: tuple[str, ...] = ()) -> None:
            super().__init__(preset, device)
            self.given["accelerations"] = accelerations

    made.Plain, made.Sampling = Plain, Sampling  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "made_methods", made)


def test_accelerations_reach_a_method_that_samples() -> None:
    method: Any = build_method("made_methods:Sampling", name="m", preset="mini", accelerations=["a", "b"])
    assert method.given == {"preset": "mini", "device": "cpu", "accelerations": ("a", "b")}


def test_a_method_without_a_sampler_need_not_know_of_them() -> None:
    method: Any = build_method("made_methods:Plain", name="m", preset="mini", device="cuda")
    assert method.given == {"preset": "mini", "device": "cuda"}


def test_accelerations_of_a_method_without_a_sampler_are_refused() -> None:
    with pytest.raises(UsageError, match=r"'m' takes no accelerations \(asked for: a\)"):
        build_method("made_methods:Plain", name="m", preset="mini", accelerations=["a"])
