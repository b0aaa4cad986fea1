"""Times both sides, each in a process of its own, turn by turn, and writes the comparison down."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from peer_theirs import COMPLETE, PARTS

from thbench.backbones.convolution import Convolution, Int8Convolution

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
SIDES = ("peer", "exact", "fast")
THREADS = (1, 2)
FRECHET_COUNTS = (500, 5000)
TURNS = {"LSE scoring": 5, "SSIM": 3, "Frechet distance": 3}
"""Parts that take few seconds, where chance weighs more: how often they run. The others run once."""
SET_TURNS = 3
"""How often the complete set runs, all peers and both modes in each turn."""
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Cost:
    """What one run took."""

    cpu: float
    wall: float
    peak_mib: float
    load: float = 0.0


@dataclass(frozen=True)
class Run:
    """One run of one side."""

    cost: Cost
    arrays: Arrays


@dataclass(frozen=True)
class Bench:
    """A folder with the material, and with every run so far: what was measured once is not measured again."""

    folder: Path
    clip: Path
    frames: int

    def prepare(self) -> None:
        """Make the material unless it is there, and note the rate of convolutions."""
        if not (self.folder / "arcface.onnx").exists():
            make_material(self.folder, self.clip, self.frames)
        if not (self.folder / "rates.json").exists():
            (self.folder / "rates.json").write_text(json.dumps(convolution_rate()))

    @property
    def rates(self) -> dict[str, float]:
        """GFLOP per CPU second."""
        return dict(json.loads((self.folder / "rates.json").read_text()))

    def run(self, side: str, part: str, threads: int = 1, extra: Path | None = None, turn: int = 0) -> Run:
        """Return a run of a side in a process of its own; numeric libraries get `threads` threads."""
        label = f"{side}, {part}, {extra.name if extra else 'clips'}, {threads} threads, turn {turn}"
        output = self.folder / "runs" / f"{label}.npz"
        cost = output.with_suffix(".json")
        if not cost.exists():
            output.parent.mkdir(exist_ok=True)
            cost.write_text(_run(side, part, extra or self.folder, output, threads))
        with np.load(output) as saved:
            arrays = {name: saved[name] for name in saved.files}
        return Run(Cost(**json.loads(cost.read_text())), arrays)

    def turns(self, sides: tuple[str, ...], part: str, extra: Path | None = None) -> dict[str, Run]:
        """Run sides turn by turn as often as `TURNS` says: medians of time, the largest peak, the last arrays."""
        found: dict[str, list[Run]] = {side: [] for side in sides}
        for turn in range(TURNS.get(part, 1)):
            for side in sides:
                found[side].append(self.run(side, part, extra=extra, turn=turn))
        return {side: _middle(runs) for side, runs in found.items()}

    def parts(self) -> dict[str, dict[str, Run]]:
        """The sides of each part, turn by turn on one thread."""
        found: dict[str, dict[str, Run]] = {}
        for part in PARTS:
            if part in ("Frechet distance", "SSIM and PSNR"):
                continue
            found[part] = self.turns(SIDES, part)
            if part == "LSE scoring":
                found["LSE agreement"] = {side: self.run(side, "LSE agreement") for side in SIDES[1:]}
        return found

    def frechet(self) -> dict[int, dict[str, Run]]:
        """The Frechet step by the number of samples."""
        folders = {count: make_features(self.folder / f"features-{count}", count) for count in FRECHET_COUNTS}
        return {count: self.turns(SIDES[:2], "Frechet distance", folder) for count, folder in folders.items()}

    def complete(self) -> dict[int, dict[str, Run]]:
        """Everything in one pass, by threads and mode."""
        return {t: {side: self._set(t)[side, "Complete set"] for side in SIDES[1:]} for t in THREADS}

    def apart(self) -> dict[int, dict[str, Run]]:
        """The peers of the complete set one after another, by threads and part."""
        return {t: {part: self._set(t)["peer", part] for part in COMPLETE} for t in THREADS}

    def _set(self, threads: int) -> dict[tuple[str, str], Run]:
        """All peers and both modes in turns, as `turns` sums them up."""
        pairs = [*(("peer", part) for part in COMPLETE), *((mode, "Complete set") for mode in SIDES[1:])]
        runs = [[self.run(*pair, threads, turn=turn) for pair in pairs] for turn in range(SET_TURNS)]
        return {pair: _middle(list(of)) for pair, of in zip(pairs, zip(*runs, strict=True), strict=True)}

    def loads(self) -> Iterator[float]:
        """Average load of the machine when each run began."""
        for path in sorted((self.folder / "runs").glob("*.json")):
            yield json.loads(path.read_text())["load"]


def _run(side: str, part: str, folder: Path, output: Path, threads: int) -> str:
    load = os.getloadavg()[0]
    paths = [str(ROOT), str(HERE), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    # Threads wait for each other as they do where nobody has said how.
    environment.pop("OMP_WAIT_POLICY", None)
    environment |= {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "OPENBLAS", "MKL")}
    command = [sys.executable, str(HERE / "peer_worker.py"), side, part, str(folder), str(output)]
    done = subprocess.run([*command, "--threads", str(threads)], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{side} of {part} failed:\n{done.stderr[-3000:]}")
    return json.dumps(json.loads(done.stdout.strip().splitlines()[-1]) | {"load": load})


def _middle(runs: list[Run]) -> Run:
    costs = [asdict(run.cost) for run in runs]
    middle = {name: median(cost[name] for cost in costs) for name in costs[0]}
    return replace(runs[-1], cost=Cost(**middle | {"peak_mib": max(cost["peak_mib"] for cost in costs)}))


def make_material(folder: Path, clip: Path, frames: int) -> None:
    """Write clips and weights in a process of its own."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(HERE))), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / "peer_material.py"), str(folder), str(clip), str(frames)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the material could not be made:\n{done.stderr[-3000:]}")


def make_features(folder: Path, count: int) -> Path:
    """Write two sets of 2048 features with the spectrum of real ones: few strong directions, the rest weak."""
    if (folder / "second.npy").exists():
        return folder
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    mix = random.standard_normal((256, 2048)) * 0.1
    for name, shift in (("first", 0.0), ("second", 0.01)):
        rows = random.standard_normal((count, 256)) @ mix + 0.05 * random.standard_normal((count, 2048))
        np.save(folder / f"{name}.npy", np.maximum(rows + 0.4 + shift, 0))
    return folder


def difference(ours: Arrays, theirs: Arrays) -> float | None:
    """Largest difference relative to the largest value, over what both give in the same shape."""
    shared = [name for name in theirs if name in ours and ours[name].shape == theirs[name].shape]
    gaps = [float(np.abs(ours[n] - theirs[n]).max() / max(np.abs(theirs[n]).max(), 1e-12)) for n in shared]
    return max(gaps, default=None)


@torch.inference_mode()
def convolution_rate() -> dict[str, float]:
    """Measured GFLOP per CPU second of a 3x3 convolution of 256 channels, channels last, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rates = {}
    layer = torch.nn.Conv2d(256, 256, 3, padding=1, bias=False).requires_grad_(requires_grad=False)
    x = torch.randn(8, 256, 35, 35).to(memory_format=torch.channels_last)
    for name, convolution in (("exact", Convolution(layer)), ("fast", Int8Convolution(layer))):
        seconds = []
        for _ in range(8):
            started = time.process_time()
            convolution(x)
            seconds.append(time.process_time() - started)
        rates[name] = 2 * 8 * 256 * 256 * 9 * 35 * 35 / min(seconds) / 1e9
    torch.set_num_threads(threads)
    return rates


def gflop(part: str, frames: int, side: int) -> float | None:
    """Multiplications and additions of a part's network, both videos where it sees both (counted by torch)."""
    area = side * side
    each = {
        "FID features": 2 * frames * 11.42,
        "FVD logits": 2 * (frames // 16) * 55.6,
        "LSE detection": frames * 10.3 * area / 512**2,
        "LSE scoring": (frames - 5) * 3.61,
        "CSIM embeddings": 2 * frames * 12.6,
        "LPIPS alex": frames * 3.5 * area / 256**2,
    }
    return each.get(part.split(",")[0])


def machine() -> str:
    """The processor, as the figures depend on it."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    flags = [
        flag for flag in ("avx512f", "avx512_vnni", "avx_vnni", "amx_int8") if flag in Path("/proc/cpuinfo").read_text()
    ]
    name = names[0] if names else platform.processor()
    return f"{name}, {os.cpu_count()} cores, {', '.join(flags)}; torch {torch.__version__}"


def number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"
