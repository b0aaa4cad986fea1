"""Which steps should be key steps: measured on a few clips, chosen by dynamic programming, stored with the method.

The feature that a cached step would reuse is recorded at every step of the unaccelerated sampler. Its relative L2
distance between any two steps says what caching would cost; the key steps are those K, the first step among them, that
make the sum of the distances from each step to the key step before it least. The paper shows the distances (its Figure
1) and does not say how the key steps were chosen.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from thbench.accel.moves import Change, Kind
from thbench.errors import UsageError
from thbench.types import Document

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from torch import Tensor

    from thbench.accel.denoiser import Denoiser, Schedule
    from thbench.accel.moves import Step
    from thbench.types import Method, Request

PROTOCOL = "relative-l2/mean-over-clips/least-sum-to-key-before"
"""How the distances are taken and the key steps chosen."""
CHUNK = 2**20
"""Numbers of a feature that are compared at once, for memory's sake."""


class Calibration(Document):
    """Feature distances of a method, and the key steps that follow from them."""

    schema_version: int = 1
    """Version of this layout."""
    protocol: str = PROTOCOL
    """How it was made."""
    method: str
    """Method and preset."""
    clips: tuple[str, ...] = Field(min_length=1)
    """What it was measured on."""
    steps: int
    """Denoising steps."""
    distances: tuple[tuple[float, ...], ...]
    """Row i, column j: mean over clips of |f_j - f_i| / |f_i| (L2), f_i the cached feature of step i."""
    cosines: tuple[tuple[float, ...], ...]
    """Row i, column j: mean over clips of the cosine similarity of f_i and f_j."""
    key_steps: tuple[int, ...]
    """Chosen."""
    cost: float
    """Sum of the distances from each step to the key step before it."""
    uniform_cost: float
    """The same for as many key steps at equal distances."""


def key_steps(distances: NDArray[np.floating], count: int) -> tuple[tuple[int, ...], float]:
    """Choose key steps by dynamic programming, in O(count steps^2).

    Args:
        distances: Shape (steps, steps): row i, column j is what it costs to use the feature of step i at step j >= i.
        count: How many, the first step among them.

    Returns:
        The key steps, rising, and their cost. Of equally good choices the one with later key steps is taken.

    Raises:
        UsageError: There are fewer steps than key steps, or none.

    Example:
        >>> import numpy as np
        >>> moved = np.array([0.0, 5.0, 5.1, 5.2])
        >>> key_steps(np.abs(moved[None] - moved[:, None]), 2)[0]
        (0, 1)
    """
    steps = len(distances)
    if not 1 <= count <= steps:
        raise UsageError(f"{count} key steps of {steps} denoising steps; allowed are 1 to {steps}")
    # held[i, j]: cost of the steps i to j - 1 if i is their key step.
    held = np.zeros((steps, steps + 1))
    for key in range(steps):
        held[key, key + 1 :] = np.cumsum(distances[key, key:])
    best = held[0].copy()  # best[j]: cost of the steps before j with the key steps so far
    chosen = [np.zeros(steps + 1, dtype=np.intp)]
    for number in range(1, count):
        options = np.full((steps, steps + 1), np.inf)
        for key in range(number, steps):
            options[key, key + 1 :] = best[key] + held[key, key + 1 :]
        chosen.append(np.array([steps - 1 - int(options[::-1, j].argmin()) for j in range(steps + 1)], dtype=np.intp))
        best = options.min(axis=0)
    keys, stop = [], steps
    for last in reversed(chosen):
        stop = int(last[stop])
        keys.append(stop)
    return tuple(reversed(keys)), float(best[steps])


def cost_of(distances: NDArray[np.floating], keys: Sequence[int]) -> float:
    """Return the sum of the distances from each step to the key step before it."""
    bounds = [*keys, len(distances)]
    return float(sum(distances[a, a:b].sum() for a, b in pairwise(bounds)))


@dataclass(slots=True)
class Recorder:
    """Takes the cached features of the clips it watches: the `on_step` of unaccelerated sampling, or by `Recording`.

    They are kept in float32 on the CPU for one clip at a time, and then as inner products.
    """

    features: list[Tensor] = field(default_factory=list)
    """Of the clip that is being watched, flat."""
    products: list[NDArray[np.float64]] = field(default_factory=list)
    """Of each finished clip, (steps, steps): inner products of its features."""

    def __call__(self, step: Step) -> None:
        """Take the feature of a step.

        Raises:
            UsageError: The step was not a full pass, so it has no feature of its own.
        """
        if step.kind is not Kind.FULL:
            raise UsageError(f"step {step.index} ran {step.kind.value}; calibrate on the unaccelerated sampler")
        self.take(step.deep)
        if step.index == step.count - 1:
            self.finish()

    def take(self, deep: Any) -> None:
        """Take the feature of the next step."""
        self.features.append(flat(deep))

    def finish(self) -> None:
        """Compare the features of the clip that is being watched, if there is one; the next feature is another's."""
        if self.features:
            self.products.append(inner_products(self.features))
            self.features = []


@dataclass(frozen=True, slots=True)
class Recording(Change):
    """Lets a recorder watch whatever sampler loops a method runs: given to it in the place of an acceleration."""

    recorder: Recorder
    """Takes the features."""

    def denoiser(self, denoiser: Denoiser) -> Denoiser:
        """Return the denoiser, watched; a new clip begins."""
        self.recorder.finish()
        return _Recorded(denoiser, self.recorder)


@dataclass(frozen=True, slots=True)
class _Recorded:
    inner: Denoiser
    recorder: Recorder

    def full(self, z: Tensor, t: Tensor, condition: Any) -> tuple[Tensor, Any]:
        prediction, deep = self.inner.full(z, t, condition)
        self.recorder.take(deep)
        return prediction, deep

    def shallow(self, z: Tensor, t: Tensor, condition: Any, deep: Any) -> Tensor:
        raise UsageError("a cached step was asked for; calibrate on the unaccelerated sampler")


def flat(deep: Any) -> Tensor:
    """Return the numbers of a cached feature as one vector, float32 on the CPU."""
    import torch

    from thbench.accel.tree import tensors

    return torch.cat([part.detach().flatten().float().cpu() for part in tensors(deep)])


def inner_products(features: Sequence[Tensor]) -> NDArray[np.float64]:
    """Return (steps, steps) inner products of feature vectors, in float64: distances are differences of them."""
    import torch

    products = torch.zeros(len(features), len(features), dtype=torch.float64)
    for part in zip(*(torch.split(feature, CHUNK) for feature in features), strict=True):
        stacked = torch.stack(part).double()
        products += stacked @ stacked.T
    found: NDArray[np.float64] = products.numpy()
    return found


def distances_of(products: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return relative L2 distances |f_j - f_i| / |f_i| of features with these inner products."""
    square = np.diag(products)
    apart = np.maximum(square[:, None] + square[None] - 2 * products, 0.0)
    found: NDArray[np.float64] = np.sqrt(apart / square[:, None])
    return found


def cosines_of(products: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return cosine similarities of features with these inner products."""
    size = np.sqrt(np.diag(products))
    found: NDArray[np.float64] = products / np.outer(size, size)
    return found


def calibrated(recorder: Recorder, *, method: str, clips: Sequence[str], count: int | None) -> Calibration:
    """Choose key steps from what a recorder saw.

    Args:
        recorder: Has watched every clip to its end; loops over windows of one clip count as clips.
        method: Method and preset, for the record.
        clips: Their names.
        count: Key steps; None for `thbench.accel.named.KEY_SHARE` of the steps.

    Raises:
        UsageError: Nothing was watched, or clips differ in their number of steps.
    """
    recorder.finish()
    lengths = sorted({len(products) for products in recorder.products})
    if len(lengths) != 1:
        raise UsageError(
            f"features of clips with {lengths or 'no'} steps; calibrate on at least one clip, all with the same steps"
        )
    from thbench.accel.named import KEY_SHARE
    from thbench.accel.plans import spread_keys

    count = max(1, round(lengths[0] * KEY_SHARE)) if count is None else count
    distances = np.mean([distances_of(products) for products in recorder.products], axis=0)
    cosines = np.mean([cosines_of(products) for products in recorder.products], axis=0)
    keys, cost = key_steps(distances, count)
    return Calibration(
        method=method,
        clips=tuple(clips),
        steps=lengths[0],
        distances=tuple(map(tuple, distances.tolist())),
        cosines=tuple(map(tuple, cosines.tolist())),
        key_steps=keys,
        cost=cost,
        uniform_cost=cost_of(distances, spread_keys(lengths[0], count)),
    )


@dataclass(frozen=True, slots=True)
class Sampling:
    """One run of a method's sampler loop."""

    denoiser: Denoiser
    schedule: Schedule
    noise: Tensor
    condition: Any


def calibrate(runs: Sequence[tuple[str, Sampling]], *, method: str, count: int) -> Calibration:
    """Sample some clips unaccelerated and choose key steps.

    Args:
        runs: Clip and sampler loop; a clip of several windows comes several times.
        method: Method and preset, for the record.
        count: Key steps.
    """
    from thbench.accel.loop import sample

    recorder = Recorder()
    for _, run in runs:
        sample(run.denoiser, run.schedule, run.noise, run.condition, on_step=recorder)
    return calibrated(recorder, method=method, clips=tuple(dict.fromkeys(clip for clip, _ in runs)), count=count)


def calibrate_method(
    build: Callable[..., Method],
    requests: Sequence[tuple[str, Request]],
    *,
    name: str,
    preset: str,
    device: str = "cpu",
    count: int | None = None,
) -> Calibration:
    """Generate some clips with a method, unaccelerated, and choose key steps for it.

    Args:
        build: The factory of its spec; it must take accelerations and hand them to `thbench.accel.named.planned`.
        requests: Clip and request.
        name: Of the method.
        preset: One of its presets.
        device: Where it computes.
        count: Key steps; None for `thbench.accel.named.KEY_SHARE` of the steps.

    Raises:
        UsageError: The method runs no sampler loop, or loops of several lengths.
    """
    recorder = Recorder()
    method = build(preset=preset, device=device, accelerations=(Recording(recorder),))
    for _, request in requests:
        generation = method.generate(request)
        if not isinstance(generation.frames, Path):
            for _ in generation.frames:
                pass
    return calibrated(recorder, method=f"{name}@{preset}", clips=[clip for clip, _ in requests], count=count)


def stored_beside(module: str, preset: str) -> Path:
    """Return where the calibration of a preset is kept: beside the method's modules, `key_steps-PRESET.json`.

    Args:
        module: Any module of the method, e.g. `__name__` of its pipeline.
        preset: One of its presets.
    """
    found = importlib.util.find_spec(module.rpartition(".")[0])
    if found is None or not found.submodule_search_locations:
        raise UsageError(f"module {module!r} is in no package, so there is no folder to keep its key steps in")
    return Path(next(iter(found.submodule_search_locations))) / f"key_steps-{preset}.json"


def stored_key_steps(module: str, preset: str, steps: int) -> tuple[int, ...] | None:
    """Return the calibrated key steps of a preset; None if it was not calibrated for so many steps.

    Args:
        module: As in `stored_beside`.
        preset: One of its presets.
        steps: Denoising steps.
    """
    path = stored_beside(module, preset)
    if not path.is_file():
        return None
    calibration = read(path)
    return calibration.key_steps if calibration.steps == steps else None


def figure(calibration: Calibration) -> Figure:
    """Draw how similar the features of all steps are, how much they change per step, and the key steps.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    from thbench.errors import MissingExtraError

    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtraError("matplotlib", "report", "drawing the similarity figure") from error
    drawing = Figure(figsize=(9, 4), layout="constrained")
    table, line = drawing.subplots(1, 2)
    shown = table.imshow(np.array(calibration.cosines), cmap="viridis", origin="lower", interpolation="nearest")
    drawing.colorbar(shown, ax=table, label="cosine similarity")
    table.set(xlabel="step", ylabel="step", title="cached feature, all pairs of steps")
    changes = [calibration.distances[i][i + 1] for i in range(calibration.steps - 1)]
    line.plot(range(1, calibration.steps), changes, marker=".", color="#2a6f97")
    for key in calibration.key_steps:
        line.axvline(key, color="#c1121f", alpha=0.4, linewidth=1)
    line.set(xlabel="step", ylabel="relative change (L2)", title=f"change per step; lines: {_keys(calibration)}")
    line.set_ylim(bottom=0)
    drawing.suptitle(calibration.method)
    return drawing


def _keys(calibration: Calibration) -> str:
    return f"{len(calibration.key_steps)} key steps"


def write(calibration: Calibration, path: Path) -> None:
    """Write a calibration as JSON, and its figure beside it as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(calibration.model_dump_json() + "\n", encoding="utf-8")
    figure(calibration).savefig(path.with_suffix(".png"), dpi=150)


def read(path: Path) -> Calibration:
    """Read a calibration.

    Raises:
        UsageError: The file is absent or no calibration.
    """
    try:
        return Calibration.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is no calibration: {error}; make one with thbench time METHOD --calibrate") from error
