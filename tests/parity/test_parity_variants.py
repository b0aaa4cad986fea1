"""Fixtures of the same form with another salt, other numbers and other lengths, against oracles in float64."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.fft
import skimage.metrics

from thbench.parity import check, read_fixture
from thbench.parity.fixture import Fixture
from thbench.parity.targets import METRICS

HERE = Path(__file__).parent
Arrays = Mapping[str, Any]


def run(
    folder: Path,
    name: str,
    shapes: Mapping[str, list[int]],
    oracle: Callable[[Fixture], Arrays],
    tolerance: float = 1e-6,
    **spec: Any,
) -> None:
    """Make a variant of a fixture, fill in what the oracle expects, and check it."""
    written = json.loads((HERE / name / "spec.json").read_text()) | {"salt": "variant"} | spec
    for key, shape in shapes.items():
        written["inputs"][key]["shape"] = shape
    folder.mkdir(exist_ok=True)
    (folder / "spec.json").write_text(json.dumps(written | {"outputs": {}}))
    np.savez(folder / "expected.npz")
    expected = {key: np.asarray(value) for key, value in oracle(read_fixture(folder)).items()}
    outputs = {key: {"shape": list(value.shape), "slice": ""} for key, value in expected.items()}
    (folder / "spec.json").write_text(
        json.dumps(written | {"outputs": outputs, "tolerance": tolerance, "tolerances": {}})
    )
    np.savez(folder / "expected.npz", **expected)
    outcome = check(folder, METRICS)
    assert outcome.message is None and outcome.outputs
    failed = {a.output: (a.error, a.problem) for a in outcome.outputs if not a.passed}
    assert outcome.status == "passed", failed


@pytest.mark.parametrize(
    "numbers",
    [
        {
            "few_x": 23,
            "few_y": 2,
            "eq_x": 24,
            "eq_y": 25,
            "many_x": 24,
            "many_y": 500,
            "low_x": 6,
            "low_y": 3,
            "far_x": 9,
        },
        {
            "few_x": 3,
            "few_y": 23,
            "eq_x": 25,
            "eq_y": 24,
            "many_x": 40,
            "many_y": 23,
            "low_x": 400,
            "low_y": 24,
            "far_y": 3,
        },
    ],
    ids=["one way", "other way"],
)
def test_frechet_of_other_numbers(numbers: dict[str, int], tmp_path: Path) -> None:
    def oracle(fixture: Fixture) -> Arrays:
        x = {key: value.astype(np.float64) for key, value in fixture.inputs.items()}
        decay = 0.75 ** np.arange(24)
        few, eq, many = ([x[f"{n}_{s}"] @ x["mix"] * decay for s in "xy"] for n in ("few", "eq", "many"))
        sets = {
            "n_below_d": (few[0], few[1] + 0.1),
            "n_equals_d": eq,
            "n_above_d": (many[0], 1.1 * many[1]),
            "rank_deficient": (x["low_x"] @ x["low"], x["low_y"] @ x["low"]),
            "large_mean": (x["far_x"], x["far_y"]),
            "two_samples": (x["two_x"], x["two_y"]),
            "wide": (x["wide_x"], x["wide_y"]),
        }
        return {f"{n}.ddof{d}": _frechet(*pair, d) for n, pair in sets.items() for d in (0, 1)}

    widths = {"few": 24, "eq": 24, "many": 24, "low": 5, "far": 24}
    shapes = {key: [count, widths[key.partition("_")[0]]] for key, count in numbers.items()}
    run(tmp_path / "f", "metrics.frechet", shapes, oracle)


def _frechet(x: np.ndarray, y: np.ndarray, ddof: int) -> list[float]:
    a, b = ((z - z.mean(axis=0)) / math.sqrt(len(z) - ddof) for z in (x, y))
    root = float(np.linalg.svd(a @ b.T, compute_uv=False).sum())
    mean, first, second = (float(np.square(z).sum()) for z in (x.mean(0) - y.mean(0), a, b))
    return [mean, first, second, root, mean + first + second - 2 * root]


@pytest.mark.parametrize(("first", "second", "subsets", "size"), [(75, 140, 3, 51), (60, 53, 5, 2), (50, 50, 2, 50)])
def test_kid_of_other_subsets(first: int, second: int, subsets: int, size: int, tmp_path: Path) -> None:
    def oracle(fixture: Fixture) -> Arrays:
        x, y = (fixture.inputs[name].astype(np.float64) for name in "xy")
        chosen = [np.argsort(fixture.inputs[n], axis=1, kind="stable")[:, :size] for n in ("ix", "iy")]
        each = np.array([_mmd(x[i], y[j]) for i, j in zip(*chosen, strict=True)])
        random = np.random.RandomState(2020)
        drawn = []
        for _ in range(10):
            i, j = random.choice(first, 50, replace=False), random.choice(second, 50, replace=False)
            drawn.append(_mmd(x[i], y[j]))
        return {
            "mmd2": each,
            "mean": [each.mean()],
            "std": [each.std()],
            "torch-fidelity.seed2020": [np.mean(drawn), np.std(drawn)],
            "unbiased_full": [_mmd(x, y)],
        }

    shapes = {"x": [first, 64], "y": [second, 64], "ix": [subsets, first], "iy": [subsets, second]}
    config = {"degree": 3, "gamma": "1/d", "coef0": 1, "subsets": subsets, "subset_size": size}
    run(tmp_path / "f", "metrics.kid", shapes, oracle, config=config)


def _mmd(x: np.ndarray, y: np.ndarray) -> float:
    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1) ** 3

    n, m = len(x), len(y)
    within = [k[~np.eye(len(k), dtype=bool)].sum() for k in (kernel(x, x), kernel(y, y))]
    return float(within[0] / (n * (n - 1)) + within[1] / (m * (m - 1)) - 2 * kernel(x, y).mean())


@pytest.mark.parametrize("samples", [1, 400, 401, 2803])
def test_mfcc_of_other_lengths(samples: int, tmp_path: Path) -> None:
    def oracle(fixture: Fixture) -> Arrays:
        audio = fixture.inputs["noise"].astype(np.float64)
        signal = np.append(audio[0], audio[1:] - 0.97 * audio[:-1])
        count = 1 if len(signal) <= 400 else 1 + math.ceil((len(signal) - 400) / 160)
        signal = np.append(signal, np.zeros(max(0, (count - 1) * 160 + 400 - len(signal))))
        power = [np.square(np.abs(np.fft.rfft(signal[160 * i : 160 * i + 400], 512))) / 512 for i in range(count)]
        cepstra = scipy.fft.dct(np.log(np.stack(power) @ _filters().T), norm="ortho")[:, :13]
        cepstra *= 1 + 11 * np.sin(np.pi * np.arange(13) / 22)
        cepstra[:, 0] = np.log(np.sum(power, axis=1))
        return {"noise.mfcc": cepstra, "filterbank": _filters()}

    run(tmp_path / "f", "metrics.mfcc", {"noise": [samples]}, oracle)


def _filters() -> np.ndarray:
    top = 2595 * math.log10(1 + 8000 / 700)
    edges = [math.floor(513 * 700 * (10 ** (k * top / 27 / 2595) - 1) / 16000) for k in range(28)]
    bank = np.zeros((26, 257))
    for row in range(26):
        left, middle, right = edges[row : row + 3]
        for k in range(left, middle):
            bank[row, k] = (k - left) / (middle - left)
        for k in range(middle, right):
            bank[row, k] = (right - k) / (right - middle)
    return bank


@pytest.mark.parametrize(
    ("shares", "rows", "columns"), [([0, 1], 11, 17), ([0.3, 0, 0.9], 13, 12), ([0.2] * 5, 12, 15)]
)
def test_ssim_and_psnr_of_other_sizes_and_batches(shares: list[float], rows: int, columns: int, tmp_path: Path) -> None:
    def oracle(fixture: Fixture) -> Arrays:
        a, b, an, bn = (fixture.inputs[name].astype(np.float64) for name in ("a", "b", "an", "bn"))
        w = np.reshape(shares, (-1, 1, 1, 1))
        first, second = (np.clip(np.floor(z), 0, 255).astype(np.uint8) for z in (a + an, (1 - w) * a + w * b + bn))
        pairs = list(zip(first, second, strict=True))
        wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        ssim = skimage.metrics.structural_similarity
        errors = [np.square(x.astype(float) - y).mean() for x, y in pairs]
        return {
            "skimage.wang_rgb": [ssim(x, y, data_range=255, channel_axis=2, **wang) for x, y in pairs],
            "skimage.default_rgb": [ssim(x, y, data_range=255, channel_axis=2) for x, y in pairs],
            "skimage.psnr": [10 * math.log10(255**2 / e) for e in errors],
            "torchmetrics.psnr_pooled": [10 * math.log10(255**2 / np.mean(errors))],
        }

    small, large = [len(shares), rows, columns, 3], [len(shares), 13 * rows, 13 * columns, 3]
    derived = {
        "image_a": "as ever",
        "image_b": f"uint8: clip(floor((1-w)*a + w*b + bn), 0, 255), w = {shares} over the batch",
    }
    shapes = {"a": small, "b": small, "an": large, "bn": large}
    run(tmp_path / "f", "metrics.ssim_psnr", shapes, oracle, tolerance=1e-5, derived=derived)


@pytest.mark.parametrize("frames", [1, 2, 33])
def test_landmark_distances_of_other_lengths(frames: int, tmp_path: Path) -> None:
    def oracle(fixture: Fixture) -> Arrays:
        x = {name: np.asarray(value, np.float64) for name, value in fixture.inputs.items()}
        real = np.round(x["face"] + x["shift"] + x["real_move"])
        fake = np.round(x["face"] + x["shift"] + x["fake_shift"] + 0.6 * x["real_move"] + 0.5 * x["fake_move"])
        mouths = [z[:, 48:] - z[:, 48:].mean(axis=1, keepdims=True) for z in (fake, real)]
        lips = np.linalg.norm(mouths[0] - mouths[1], axis=2)
        eyes = [real[:, first : first + 6].mean(axis=1) for first in (36, 42)]
        between = np.linalg.norm(eyes[0] - eyes[1], axis=1)
        plain = np.linalg.norm(fake - real, axis=2)
        return {
            "eat.m_lmd": [lips.mean()],
            "atvgnet.lmd": [lips.sum(axis=1).mean()],
            "thm.f_lmd": [plain.mean()],
            "thm.m_lmd": [plain[:, 48:].sum() / (frames * 68)],
            "interocular.m_lmd": [(lips.mean(axis=1) / between).mean()],
            "akd.mean_abs": [np.abs(fake - real).mean()],
            "per_frame.centred.m_lmd": lips.mean(axis=1),
        }

    moving = {name: [frames, 68, 2] for name in ("real_move", "fake_move")}
    shapes = moving | {name: [frames, 1, 2] for name in ("shift", "fake_shift")}
    run(tmp_path / "f", "metrics.lmd", shapes, oracle)


@pytest.mark.parametrize(("first", "second"), [(2, 5), (260, 199)])
def test_pose_diversity_of_other_lengths(first: int, second: int, tmp_path: Path) -> None:
    """Of longer videos only the first 200 frames count for the logits, all of them for the degrees."""

    def oracle(fixture: Fixture) -> Arrays:
        x = {name: np.asarray(value, np.float64) for name, value in fixture.inputs.items()}
        videos = [x["peak"] + x["drift"], x["peak"][:, ::-1] + x["drift2"]]
        each = np.stack([video[:200].std(axis=0).mean(axis=1) for video in videos])
        soft = np.exp(videos[0] - videos[0].max(axis=2, keepdims=True))
        return {
            "logits.per_video": each,
            "logits.diversity": [each.mean()],
            "degrees": 3 * (soft / soft.sum(axis=2, keepdims=True)) @ np.arange(66) - 99,
            "angles.std": x["angles"].std(axis=0),
            "angles.var": [x["angles"].var(axis=0).mean()],
            "angles.mean_step": [np.abs(np.diff(x["angles"], axis=0)).mean()],
        }

    shapes = {"drift": [first, 3, 66], "drift2": [second, 3, 66], "angles": [first, 3]}
    run(tmp_path / "f", "metrics.diversity", shapes, oracle)
