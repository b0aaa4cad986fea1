"""Identity similarity: cosines, missing faces, the network's input."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from thbench.metrics.csim import embed, prepare, similarity, unit


def test_faces_come_out_channels_first_between_minus_one_and_one() -> None:
    faces = np.zeros((2, 112, 112, 3), np.uint8)
    faces[1, ..., 0] = 255
    x = prepare(faces)
    assert x.shape == (2, 3, 112, 112)
    assert x[0].unique().tolist() == [-1] and x[1, 0].unique().tolist() == [1] and x[1, 1].unique().tolist() == [-1]


def test_embeddings_have_unit_length_and_do_not_depend_on_the_batch() -> None:
    faces = np.random.default_rng(0).integers(0, 256, (11, 112, 112, 3)).astype(np.uint8)

    def network(x: torch.Tensor) -> torch.Tensor:
        return x.flatten(2).mean(dim=2) * 7

    whole = embed(network, faces)
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1)
    np.testing.assert_array_equal(embed(network, faces, batch=3), whole)
    np.testing.assert_array_equal(embed(network, faces[::-1].copy()), whole[::-1])


def test_a_face_is_like_itself_and_unlike_the_opposite() -> None:
    rows = unit(np.random.default_rng(0).standard_normal((5, 16)))
    assert similarity(rows, rows).value == pytest.approx(1)
    assert similarity(rows, -rows).value == pytest.approx(-1)


def test_a_source_image_is_compared_with_every_frame() -> None:
    rows = unit(np.array([[1.0, 0], [0, 1], [1, 1]]))
    assert similarity(rows, np.array([1.0, 0])) == (pytest.approx((1 + 0 + math.sqrt(0.5)) / 3), 3, 0)


def test_frames_without_a_face_are_counted() -> None:
    generated = unit(np.array([[1.0, 0], [np.nan, np.nan], [0, 1], [1, 0]]))
    reference = unit(np.array([[1.0, 0], [1, 0], [0, 0], [1, 0]]))
    assert similarity(generated, reference) == (pytest.approx(1), 2, 2)
    nothing = similarity(generated[1:2], reference[1:2])
    assert math.isnan(nothing.value) and nothing[1:] == (0, 1)
