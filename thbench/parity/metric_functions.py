"""Adapters of the functions that metrics use: fixture to outputs by name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from thbench.backbones import mfcc as mfcc_function
from thbench.faces.alignment import ARCFACE_TEMPLATE, arcface_matrix
from thbench.faces.geometry import to_uint8, warp
from thbench.metrics.frechet import frechet_distance
from thbench.metrics.kid import JEDI_KERNEL, PROTOCOLS, Kernel, squared_mmd
from thbench.metrics.kid import kid as kernel_distance
from thbench.metrics.moments import moments

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from thbench.parity.fixture import Fixture

Outputs = dict[str, Any]


def mfcc(fixture: Fixture) -> Outputs:
    """`metrics.mfcc`: coefficients of each input and of a sine, and the stages before them."""
    config = fixture.config
    settings = mfcc_function.MfccSettings(
        rate=config["samplerate"],
        window=config["winlen"],
        step=config["winstep"],
        coefficients=config["numcep"],
        filters=config["nfilt"],
        fft=config["nfft"],
        low=config["lowfreq"],
        high=config["highfreq"],
        preemphasis=config["preemph"],
        lifter=config["ceplifter"],
        energy=config["appendEnergy"],
    )
    sine = 10000 * np.sin(2 * np.pi * 440 * np.arange(settings.rate) / settings.rate)
    sounds = fixture.inputs | {"sine440": sine.astype(np.int16)}
    outputs: Outputs = {}
    for name, audio in sounds.items():
        bank = mfcc_function.filter_bank(audio, settings)
        outputs |= {
            f"{name}.mfcc": mfcc_function.mfcc(audio, settings),
            f"{name}.fbank": bank.energies,
            f"{name}.energy": bank.total,
        }
    outputs["filterbank"] = mfcc_function.mel_filters(settings)
    outputs["columns"] = [mfcc_function.frame_count(len(audio), settings) for audio in fixture.inputs.values()]
    return outputs


def frechet(fixture: Fixture) -> Outputs:
    """`metrics.frechet`: the parts of the distance of eight pairs of sets, with both divisors."""
    outputs: Outputs = {}
    for name, (first, second) in _frechet_sets(fixture.inputs).items():
        for ddof in (0, 1):
            parts = frechet_distance(moments(first), moments(second), ddof=ddof)
            outputs[f"{name}.ddof{ddof}"] = list(parts)
    return outputs


def _frechet_sets(inputs: Mapping[str, NDArray[Any]]) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    x = {name: array.astype(np.float64) for name, array in inputs.items()}
    decay = 0.75 ** np.arange(x["mix"].shape[1])

    def mixed(name: str) -> NDArray[Any]:
        return x[name] @ x["mix"] * decay

    return {
        "n_below_d": (mixed("few_x"), mixed("few_y") + 0.1),
        "n_equals_d": (mixed("eq_x"), mixed("eq_y")),
        "n_above_d": (mixed("many_x"), 1.1 * mixed("many_y")),
        "rank_deficient": (x["low_x"] @ x["low"], x["low_y"] @ x["low"]),
        "large_mean": (x["far_x"], x["far_y"]),
        "identical": (mixed("few_x"), mixed("few_x")),
        "two_samples": (x["two_x"], x["two_y"]),
        "wide": (x["wide_x"], x["wide_y"]),
    }


def kid(fixture: Fixture) -> Outputs:
    """`metrics.kid`: fixed subsets, the draws of two tools, and JEDi's estimate."""
    config, inputs = fixture.config, fixture.inputs
    x, y = inputs["x"].astype(np.float64), inputs["y"].astype(np.float64)
    first, second = (np.argsort(inputs[n], axis=1, kind="stable")[:, : config["subset_size"]] for n in ("ix", "iy"))
    kernel = Kernel(config["degree"], None, config["coef0"])
    each = np.array([squared_mmd(x[i], y[j], kernel) for i, j in zip(first, second, strict=True)])
    tools = {
        "torch-fidelity": kernel_distance(x, y, replace(PROTOCOLS["torch-fidelity"], count=10, size=50), kernel),
        "clean-fid": kernel_distance(x, y, replace(PROTOCOLS["clean-fid"], count=10, size=50), kernel),
    }
    pair = x[first[0]], y[second[0]]
    return {
        "mmd2": each,
        "mean": [each.mean()],
        "std": [each.std()],
        "torch-fidelity.seed2020": [tools["torch-fidelity"].value, tools["torch-fidelity"].std],
        "clean-fid.seed0": [tools["clean-fid"].value],
        "indices_x": first,
        "indices_y": second,
        "unbiased_full": [squared_mmd(x, y, kernel)],
        "biased_first": [squared_mmd(*pair, kernel, unbiased=False)],
        "jedi.quadratic": [100 * squared_mmd(*pair, JEDI_KERNEL, unbiased=False)],
    }


def arcface_align(fixture: Fixture) -> Outputs:
    """`metrics.arcface_align`: similarities onto the template and aligned crops."""
    image, size = fixture.inputs["image"], int(fixture.config["image_size"])
    landmarks = _landmarks(fixture.inputs["pose"], fixture.inputs["jitter"])
    matrices = np.stack([arcface_matrix(points, size) for points in landmarks])
    exact = np.stack([warp(image, matrix, (size, size)) for matrix in matrices])
    return {
        "landmarks": landmarks,
        "matrices": matrices,
        "matrices_128": np.stack([arcface_matrix(points, 128) for points in landmarks]),
        "matrix_swapped_eyes": arcface_matrix(landmarks[0][[1, 0, 2, 4, 3]], size),
        "warped_exact": exact,
        "warped": to_uint8(exact),
        "warped_256": to_uint8(warp(image, arcface_matrix(landmarks[0], 256), (256, 256))),
    }


def _landmarks(pose: NDArray[Any], jitter: NDArray[Any]) -> NDArray[np.float32]:
    """Return the template scaled, turned, moved and disturbed, one set of five points for each row of `pose`."""
    scale, turn, right, down = pose.astype(np.float64).T
    angle = 1.6 * (turn - 0.5)
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]).transpose(2, 0, 1)
    points = (0.6 + 1.6 * scale)[:, None, None] * (ARCFACE_TEMPLATE - 56) @ rotation
    shift = np.stack((70 + 90 * right, 70 + 90 * down), axis=1)
    return np.asarray(points + shift[:, None] + jitter, dtype=np.float32)
