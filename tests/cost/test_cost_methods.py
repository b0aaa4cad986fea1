"""What the methods offer for counting, against counts by hand at the published sizes."""

from __future__ import annotations

import importlib
from functools import cache

import pytest
from thbench_methods.kdtalker.spec import KDTALKER
from thbench_methods.moda.spec import MODA

from thbench.cost.counted import PartCount, WorkCount
from thbench.cost.offer import Offer
from thbench.cost.planned import count
from thbench.errors import UsageError


@cache
def offer(method: str, preset: str) -> Offer:
    found: Offer = importlib.import_module(f"thbench_methods.{method}.flops").offer(preset)
    return found


@cache
def work(method: str, preset: str) -> WorkCount:
    return count(offer(method, preset), method)[0]


def part(method: str, preset: str, name: str) -> PartCount:
    return next(p for p in work(method, preset).parts if p.name == name)


def linear(tokens: int, inputs: int, outputs: int) -> int:
    return 2 * tokens * inputs * outputs


def attention(queries: int, keys: int, width: int) -> int:
    """Both products, over all heads."""
    return 4 * queries * keys * width


def test_kdtalkers_denoiser() -> None:
    """Six layers of two residual blocks and an attention, over 64 frames and two prior tokens."""
    tokens, width, condition = 66, 768, 256 + 512
    block = linear(tokens, condition, 2 * width) + 2 * linear(tokens, width, width)
    layer = 2 * block + linear(tokens, width, 4 * width) + attention(tokens, tokens, width)
    around = linear(tokens, 70, width) + linear(64, width, 70) + linear(1, width, 256) + linear(1, 256, 256)
    assert part("kdtalker", "paper", "denoiser").flops == 6 * layer + around
    assert part("kdtalker", "paper", "denoiser").calls == 50


def test_modas_attention() -> None:
    """21 blocks over four streams of 80 frames, under guidance."""
    assert part("moda", "paper", "talking_head_dit").by_kind["attention"] == 2 * 21 * attention(320, 320, 768)


def test_dreamtalks_content_encoder() -> None:
    """Three layers over 11 speech features around each of 100 frames."""
    layer = 4 * linear(11, 256, 256) + attention(11, 11, 256) + 2 * linear(11, 256, 1024)
    assert part("dreamtalk", "paper", "content_encoder").flops == 100 * (linear(11, 1024, 256) + 3 * layer)


@pytest.mark.parametrize(
    ("method", "preset"),
    [
        ("kdtalker", "mini"),
        ("moda", "mini"),
        pytest.param("dawn", "paper", marks=pytest.mark.full),
        pytest.param("dawn", "paper-256", marks=pytest.mark.full),
    ],
)
def test_every_preset_can_be_counted(method: str, preset: str) -> None:
    found = work(method, preset)
    assert found.flops > 0
    assert found.frames == offer(method, preset).frames
    assert all(p.flops > 0 and 0 < p.least_bytes <= p.moved_bytes for p in found.parts)


@pytest.mark.parametrize("spec", [KDTALKER, MODA], ids=lambda spec: spec.name)
def test_presets_of_the_spec_are_those_that_can_be_counted(spec: object) -> None:
    configs = importlib.import_module(f"thbench_methods.{spec.name}.flops").CONFIGS  # type: ignore[attr-defined]
    assert set(configs) == set(spec.presets)  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", ["kdtalker", "moda", "dreamtalk", "dawn"])
def test_a_preset_that_is_none_is_refused(method: str) -> None:
    with pytest.raises(UsageError, match="no preset 'huge'"):
        offer(method, "huge")
