"""Key steps of a whole method: a method that samples is watched through its accelerations."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from thbench_methods.memo.schedule import sampler

from thbench.accel import sample
from thbench.accel.calibrate import calibrate_method, read, stored_beside, stored_key_steps, write
from thbench.accel.named import Setting, planned
from thbench.cli import main
from thbench.errors import UsageError
from thbench.types import Audio, Generation, Request

STEPS = 8


class Denoiser:
    """Its feature is the latent itself; it changes most in the first steps."""

    def full(self, z, t, condition):
        return z * (t[0] / 1000) ** 4 * 5, z

    def shallow(self, z, t, condition, deep):
        return z * (t[0] / 1000) ** 4 * 5


class Method:
    """One loop for each two frames."""

    def __init__(self, preset: str = "mini", device: str = "cpu", accelerations: tuple = ()) -> None:
        self._accelerations = accelerations

    def generate(self, request: Request, on_step=None) -> Generation:
        def frames():
            for start in range(0, request.frames, 2):
                noise = torch.randn(1, 4, generator=torch.Generator().manual_seed(request.seed + start))
                plan = planned(self._accelerations, Setting(STEPS))
                sample(Denoiser(), sampler(STEPS), noise, None, plan)
                yield np.zeros((8, 8, 3), np.uint8)
                yield np.zeros((8, 8, 3), np.uint8)

        return Generation(frames())


class Still:
    """Runs no sampler loop."""

    def __init__(self, **settings) -> None: ...

    def generate(self, request: Request, on_step=None) -> Generation:
        return Generation([request.portrait] * request.frames)


def request(seed: int) -> Request:
    return Request(np.zeros((8, 8, 3), np.uint8), Audio(np.zeros(16000, np.float32), 16000), 25.0, 4, seed)


def test_a_method_is_watched_through_its_accelerations(tmp_path: Path) -> None:
    found = calibrate_method(Method, [("a", request(1)), ("b", request(2))], name="m", preset="mini", count=4)
    assert (found.method, found.clips, found.steps) == ("m@mini", ("a", "b"), STEPS)
    assert found.key_steps[:3] == (0, 1, 2)
    assert found.cost < found.uniform_cost
    default = calibrate_method(Method, [("a", request(1))], name="m", preset="mini")
    assert len(default.key_steps) == round(STEPS * 11 / 40)


def test_a_method_without_a_loop_has_no_key_steps() -> None:
    with pytest.raises(UsageError, match="no steps"):
        calibrate_method(Still, [("a", request(1))], name="still", preset="mini")


def test_key_steps_lie_beside_the_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "made_method").mkdir()
    (tmp_path / "made_method" / "__init__.py").touch()
    (tmp_path / "made_method" / "pipeline.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    path = stored_beside("made_method.pipeline", "mini")
    assert path == tmp_path / "made_method" / "key_steps-mini.json"
    assert stored_key_steps("made_method.pipeline", "mini", STEPS) is None
    found = calibrate_method(Method, [("a", request(1))], name="m", preset="mini", count=3)
    write(found, path)
    assert read(path) == found
    assert stored_key_steps("made_method.pipeline", "mini", STEPS) == found.key_steps
    assert stored_key_steps("made_method.pipeline", "mini", STEPS + 1) is None


def test_scored_clips_are_not_calibrated_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["time", "static-portrait", "--calibrate"]) == 3
    assert "--calibrate needs a folder of clips" in capsys.readouterr().err
    assert main(["time", "static-portrait", "--calibrate", "0"]) == 3


def test_the_command_writes_beside_the_method(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import thbench.registry
    from thbench.spec import MethodSpec

    clips = shared / "real" / "reference"
    if not any(clips.glob("*.mp4")):
        pytest.skip(f"no real clips (looked in {clips})")
    package = ModuleType("watched_method")
    package.Method = Method
    monkeypatch.setitem(sys.modules, "watched_method", package)
    spec = MethodSpec(
        name="watched", title="t", kind="motion-space", factory="watched_method:Method", presets=("mini",)
    )
    monkeypatch.setattr(thbench.registry, "METHODS", {"watched": spec})
    out = tmp_path / "key_steps.json"
    arguments = ["--calibrate", "1", "--data", str(clips), "--frames", "4", "--key-steps", "3", "--json", str(out)]
    assert main(["time", "watched", *arguments, "--quiet"]) == 0
    assert len(read(out).key_steps) == 3
    assert out.with_suffix(".png").is_file()
