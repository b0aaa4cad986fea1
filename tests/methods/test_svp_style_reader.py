"""What tells styles of speaking apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from thbench_methods.svp.bundle import FILE as NETWORKS
from thbench_methods.svp.style_reader import (
    FILE,
    StyleReader,
    fit_style_reader,
    load_style_reader,
    save_style_reader,
)

from thbench.errors import MissingWeightsError

STYLES, EACH, FRAMES, VALUES = 4, 30, 20, 10


def clips(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Clips whose people differ far more than their styles do, in other coefficients."""
    rng, own = np.random.default_rng(seed), np.random.default_rng(99)
    kind = np.tile(np.arange(STYLES), EACH)
    manner = np.pad(own.normal(0, 0.1, (STYLES, 4)), ((0, 0), (0, VALUES - 4)))
    person = np.pad(rng.normal(0, 1, (len(kind), VALUES - 3)), ((0, 0), (3, 0)))
    level = 0.5 + manner[kind] + person
    frames = level[:, None] + 0.02 * rng.standard_normal((len(kind), FRAMES, VALUES))
    return frames.astype(np.float32), kind


def told(codes: np.ndarray, kind: np.ndarray, middles: np.ndarray) -> float:
    """Share of codes that are nearest to the middle of their kind."""
    far = np.linalg.norm(codes[:, None] - middles[None], axis=-1)
    return float(np.mean(far.argmin(axis=1) == kind))


def middles(codes: np.ndarray, kind: np.ndarray) -> np.ndarray:
    return np.stack([codes[kind == number].mean(axis=0) for number in range(STYLES)])


def test_styles_of_new_people_are_told() -> None:
    known, kind = clips(0)
    reader = fit_style_reader(known, kind)
    assert reader.directions.shape == (3 * VALUES, STYLES - 1)
    held, held_kind = clips(1)
    assert told(reader(held), held_kind, middles(reader(known), kind)) > 0.9
    # Without the reader, people hide them.
    assert told(held.mean(axis=1), held_kind, middles(known.mean(axis=1), kind)) < 0.6


def test_units_of_coefficients_do_not_matter() -> None:
    known, kind = clips(0)
    scale = np.linspace(0.1, 5, VALUES, dtype=np.float32)
    codes, scaled = fit_style_reader(known, kind)(known), fit_style_reader(known * scale, kind)(known * scale)
    assert np.abs(np.abs(codes) - np.abs(scaled)).max() < 0.02 * np.abs(codes).max()


def test_one_style_is_none_to_tell() -> None:
    known, kind = clips(0)
    with pytest.raises(ValueError, match="there is 1 style"):
        fit_style_reader(known, np.zeros_like(kind))


def test_a_reader_is_kept(tmp_path: Path) -> None:
    known, kind = clips(0)
    reader = fit_style_reader(known, kind, directions=2)
    save_style_reader(reader, tmp_path / "reader.safetensors")
    again = load_style_reader(tmp_path / "reader.safetensors")
    assert isinstance(again, StyleReader)
    np.testing.assert_allclose(again(known), reader(known), rtol=1e-3, atol=1e-3)
    with pytest.raises(MissingWeightsError, match=r"nowhere\.safetensors does not exist"):
        load_style_reader(tmp_path / "nowhere.safetensors")


def test_the_shipped_reader_is_small_and_of_the_face_regressor() -> None:
    reader = load_style_reader()
    assert reader.directions.shape == (3 * 53, 8)
    assert (reader.unit > 0).all()
    assert FILE.stat().st_size + NETWORKS.stat().st_size < 8_000_000
