"""The commands `time` and `flops`, as users type them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from cost_fakes import CLOCK, FakeDevice, request
from torch import nn

import thbench.registry as registry
from thbench.accel.specs import ACCELERATIONS
from thbench.cli import main
from thbench.cost.child import CostWorker
from thbench.cost.offer import Denoising, Offer
from thbench.cost.record import read_cost
from thbench.cost.watch import Clocks
from thbench.spec import MethodSpec


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.head = nn.Linear(8, 64), nn.Linear(64, 8)

    def full(self, z: Any, t: Any, condition: Any) -> Any:
        deep = self.trunk(z)
        return self.head(deep), deep

    def shallow(self, z: Any, t: Any, condition: Any, deep: Any) -> Any:
        return self.head(deep)


def offer(preset: str) -> Offer:
    with torch.device("meta"):
        net, noise = Net(), torch.zeros(1, 8)
    return Offer("a toy", 4, Denoising("toy_net", net, net, noise, None, steps=40), uncounted=("ears",))


FULL, SHALLOW = 2 * 2 * 8 * 64, 2 * 8 * 64


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted = MethodSpec(
        name="scripted",
        title="a method whose times are known",
        kind="external",
        factory="cost_fakes:Scripted",
        flops="test_cli_cost:offer",
    )
    refuses = MethodSpec(name="refuses", title="no", kind="external", factory="cost_fakes:Refuses")
    monkeypatch.setattr(registry.METHODS, "_specs", {"scripted": scripted, "refuses": refuses})
    monkeypatch.setattr(registry.ACCELERATIONS, "_specs", {spec.name: spec for spec in ACCELERATIONS})


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripted time instead of fresh processes."""
    worker = CostWorker(Clocks(CLOCK, CLOCK))
    monkeypatch.setattr("thbench.cost.child.open_device", lambda name: FakeDevice(CLOCK))
    monkeypatch.setattr("thbench.cost.measure.fresh_process", lambda job: worker(job, lambda done: None))
    monkeypatch.setattr("thbench.cli.time._request", lambda args, spec: ("made", request(frames=args.frames or 5)))
    monkeypatch.setattr("gc.collect", lambda: 0)


def test_time_writes_every_sample_and_shows_the_speed_up(
    in_process: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cost.json"
    command = [
        "time",
        "scripted",
        "--accelerate",
        "lightningcp",
        "--json",
        str(path),
        "--processes",
        "3",
        "--no-memory",
    ]
    assert main(command) == 0
    record = read_cost(path)
    assert record.variants == ("scripted", "scripted+lightningcp")
    assert len(record.values("scripted", "end-to-end")) == 9
    ratio = next(c for c in record.comparisons if c.measure == "end-to-end")
    assert ratio.ratio == pytest.approx(2.0)
    shown = capsys.readouterr().out
    assert "2.000x" in shown
    assert "cold/load" in shown


def test_time_can_say_how_far_from_the_limit_it_runs(
    in_process: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thbench.cost.rates.SIZES", {"cpu": (64,)})
    monkeypatch.setattr("thbench.cost.rates.COPY_BYTES", {"cpu": 2**16})
    monkeypatch.setattr("thbench.cost.rates.SECONDS", 0.01)
    path = tmp_path / "cost.json"
    assert main(["time", "scripted", "--roofline", "--json", str(path), "--processes", "1", "--no-memory"]) == 0
    record = read_cost(path)
    assert record.work["scripted"].flops == 40 * FULL
    assert 0 < record.limits["scripted"].fused <= record.limits["scripted"].single
    assert "operation by operation" in " ".join(capsys.readouterr().out.split())


def test_time_to_standard_output_is_json_alone(in_process: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["time", "scripted", "--json", "-", "--processes", "1", "--cold-starts", "0", "--no-memory"]) == 0
    assert json.loads(capsys.readouterr().out)["variants"] == ["scripted"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["time", "nobody"], "no method is called 'nobody'"),
        (["time", "scripted", "--accelerate", "lightning"], "did you mean 'lightningcp'"),
        (["time", "scripted", "--preset", "huge"], "no preset 'huge'"),
        (["time", "scripted", "--processes", "0"], "--processes is 0; it must be 1 or more"),
        (["time", "scripted", "--max-rounds", "2"], "must be at least --rounds"),
        (["time", "scripted", "--frames", "0"], "--frames is 0"),
        (["time", "scripted", "--min-seconds", "-1"], "--min-seconds is -1"),
        (["time", "scripted", "--clip", "absent"], "no clip is called 'absent'"),
        (["time", "scripted", "--json", "/proc/nowhere/x.json"], "cannot write"),
        (["flops", "refuses"], "offers no networks"),
        (["flops", "scripted", "--accelerate", "dfa"], "foreground"),
        (["flops", "scripted", "--machine", "--device", "gpu"], "must be cpu, cuda"),
    ],
)
def test_wrong_usage_is_one_sentence(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(arguments)
    assert code == (1 if "dfa" in arguments else 3)
    error = capsys.readouterr().err
    assert says in error
    assert "Traceback" not in error


def test_a_method_that_fails_fails_the_command(in_process: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["time", "refuses", "--processes", "1", "--no-memory"]) == 1
    assert "refuses cannot be timed: this one refuses" in capsys.readouterr().err


def test_flops_counts_both_variants(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "work.json"
    assert main(["flops", "scripted", "--accelerate", "lightningcp", "--json", str(path)]) == 0
    base, fast = json.loads(path.read_text())["works"]
    assert [p["calls"] for p in base["parts"]] == [40]
    assert {p["name"]: p["calls"] for p in fast["parts"]} == {"toy_net": 11, "toy_net, shallow": 29}
    ratio = 40 * FULL / (11 * FULL + 29 * SHALLOW)
    shown = capsys.readouterr().out
    assert f"{ratio:.3f} times fewer operations" in shown
    assert "not counted: ears" in shown


def test_fewer_steps_are_counted_as_fewer(tmp_path: Path) -> None:
    path = tmp_path / "work.json"
    assert main(["flops", "scripted", "--accelerate", "fewer-steps", "--json", str(path), "--quiet"]) == 0
    base, fewer = json.loads(path.read_text())["works"]
    assert 0 < fewer["parts"][0]["calls"] < base["parts"][0]["calls"]
