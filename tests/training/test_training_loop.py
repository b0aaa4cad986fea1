import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from thbench.errors import UsageError, WeightsMismatchError
from thbench.training import Recipe, fit
from thbench.training.loop import rate
from thbench.training.weights import load_weights, save_weights


@dataclasses.dataclass
class Line:
    """Learns y = 3 x - 1."""

    network: nn.Module
    poison_at: int = -1
    seen: int = 0

    def batch(self, rng):
        x = torch.tensor(rng.uniform(-1, 1, (512, 1)), dtype=torch.float32)
        self.seen += 1
        return x * float("nan") if self.seen - 1 == self.poison_at else x

    def losses(self, x):
        noise = 0.01 * torch.randn_like(x)
        error = (self.network(x) - (3 * x - 1 + noise)).square().mean()
        return {"loss": error, "twice": 2 * error}


def line(**kwargs):
    torch.manual_seed(0)
    return Line(nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1, affine=False), nn.Linear(1, 1)), **kwargs)


RECIPE = Recipe(steps=300, learning_rate=0.05, warm_up=10, bfloat16=False, average=0.9, weight_decay=0.0)


def test_it_learns(tmp_path):
    task = line()
    trained = fit(task, RECIPE, tmp_path)
    assert trained.curve[-1].values["loss"] < 2e-2 < trained.curve[0].values["loss"]
    assert trained.curve[-1].values["twice"] == pytest.approx(2 * trained.curve[-1].values["loss"])
    assert trained.curve[-1].step == 300


def test_an_interrupted_training_ends_as_one_that_was_not(tmp_path):
    whole = fit(line(), RECIPE, tmp_path / "whole")

    class Stop(Exception):
        pass

    def stop(point):
        if point.step == 150:
            raise Stop

    with pytest.raises(Stop):
        fit(line(), RECIPE, tmp_path / "parts", every=50, save_every=100, on_point=stop)
    resumed = fit(line(), RECIPE, tmp_path / "parts", every=50, save_every=100)
    for name, value in whole.state.items():
        assert torch.equal(value, resumed.state[name]), name
    assert [p.values for p in whole.curve] == [p.values for p in resumed.curve]


def test_gradients_left_on_what_is_not_trained_do_not_count(tmp_path):
    curves = []
    for left in (None, 1e6):
        task = line()
        for parameter in task.network[0].parameters():
            parameter.requires_grad_(False)
            parameter.grad = None if left is None else torch.full_like(parameter, left)
        recipe = RECIPE.model_copy(update={"steps": 20})
        curves.append([point.values for point in fit(task, recipe, tmp_path / f"{left}").curve])
        assert all(parameter.grad is None for parameter in task.network[0].parameters())
    assert curves[0] == curves[1]


def test_other_recipe_is_refused(tmp_path):
    fit(line(), RECIPE, tmp_path)
    with pytest.raises(UsageError, match="another recipe"):
        fit(line(), RECIPE.model_copy(update={"seed": 1}), tmp_path)


def test_loss_that_is_no_number_stops_at_once(tmp_path):
    task = line(poison_at=3)
    with pytest.raises(UsageError, match="step 3: the loss is nan"):
        fit(task, RECIPE, tmp_path)
    assert task.seen == 4


def test_rate_warms_up_and_decays():
    recipe = Recipe(steps=1000, learning_rate=1.0, warm_up=100, last_rate=0.1)
    rates = [rate(recipe, s) for s in range(1000)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == pytest.approx(1.0) == rates[99]
    assert all(np.diff(rates[100:]) < 0)
    assert rates[-1] == pytest.approx(0.1, abs=1e-4)


def test_weights_round_trip_and_strictness(tmp_path):
    task = line()
    size, digest = save_weights(tmp_path / "w.safetensors", task.network.state_dict(), torch.float16)
    assert size == (tmp_path / "w.safetensors").stat().st_size
    assert len(digest) == 64
    other = line()
    nn.init.zeros_(other.network[0].weight)
    load_weights(tmp_path / "w.safetensors", other.network)
    assert torch.allclose(other.network[0].weight, task.network[0].weight, rtol=1e-3)
    with pytest.raises(WeightsMismatchError, match="does not fit its network"):
        load_weights(tmp_path / "w.safetensors", nn.Linear(2, 2))
    (tmp_path / "w.safetensors").write_bytes(b"torn")
    with pytest.raises(WeightsMismatchError):
        load_weights(tmp_path / "w.safetensors", line().network)
