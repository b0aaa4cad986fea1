"""How large MEMO's small weights are, and that voices of people whom they never heard tell them an emotion."""

from __future__ import annotations

from held_out import one_thread
from thbench_methods.memo.bundle import FILE
from thbench_methods.memo.held_out import emotions_heard
from thbench_methods.memo.pipeline import MEMO

from thbench.data.synth_heads.dataset import clips_of


def test_weights_are_small() -> None:
    assert FILE.stat().st_size < 8_000_000


def test_emotions_are_heard_more_often_than_by_chance() -> None:
    method = MEMO("mini")
    with one_thread():
        found = emotions_heard(method, clips_of())
    assert found.people == 24
    assert found.low is not None and found.low > 1 / len(method.config.emotions)
