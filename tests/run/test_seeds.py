"""Seeds that methods are given in a run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from thbench.errors import MethodError
from thbench.run import worker
from thbench.run.job import ClipJob, Task
from thbench.run.seeds import clip_seed
from thbench.run.worker import ClipWorker


def test_clips_have_noise_of_their_own_that_stays_the_same() -> None:
    found = {(seed, clip): clip_seed(seed, clip) for seed in range(3) for clip in ("may", "obama", "1/2")}
    assert len(set(found.values())) == len(found)
    assert all(0 <= value < 2**31 for value in found.values())
    # Runs of tomorrow are to be comparable with those of today.
    assert clip_seed(0, "may") == 26_342_136


def test_a_method_is_given_the_seed_of_the_clip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: list[int] = []

    def asked(*_: object, seed: int, **__: object) -> None:
        given.append(seed)
        raise MethodError("enough")

    monkeypatch.setattr(worker, "request_of", asked)
    ours: Any = ClipWorker.__new__(ClipWorker)
    ours.plan = SimpleNamespace(folder=tmp_path, controls={}, settings=SimpleNamespace(fps=25.0))
    variant: Any = SimpleNamespace(method="mouth-warp")
    for seed in (0, 1):
        task = Task(key="k", name="v", seed=seed, variant=variant)
        for clip in ("may", "obama"):
            job = ClipJob(clip, "who", tmp_path / "clip.mp4", (task,), ())
            with pytest.raises(MethodError, match="enough"):
                ours._video(task, job, lambda *_: None)
    assert given == [clip_seed(seed, clip) for seed in (0, 1) for clip in ("may", "obama")]
