"""Priors, decoding and suppression of S3FD's boxes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from net_helpers import filled

from thbench.backbones.s3fd import (
    S3FD,
    DetectorSettings,
    decode,
    detect,
    find_faces,
    find_faces_in_batch,
    in_pixels,
    preprocess,
    priors,
    suppress,
)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def faces(count: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    corner, size = random.random((count, 2)) * 50, 10 + random.random((count, 2)) * 30
    return np.concatenate((corner, corner + size, random.permutation(count)[:, None] / count), axis=1)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 40), st.integers(0, 10**6), st.sampled_from([0.0, 0.1, 0.3, 0.7]))
def test_suppression_keeps_the_best_of_each_group(count: int, seed: int, most: float) -> None:
    given_faces = faces(count, seed)
    kept = suppress(given_faces, most)
    assert list(kept[:, 4]) == sorted(kept[:, 4], reverse=True)
    for i, face in enumerate(kept):
        assert all(overlap(face, better) <= most for better in kept[:i])
    names = {row.tobytes() for row in kept}
    for face in given_faces:
        if face.tobytes() not in names:
            assert any(overlap(face, other) > most and other[4] > face[4] for other in kept)


def test_priors_lie_on_the_centres_of_their_cells() -> None:
    boxes = priors(64, 128, [(2, 3), (1, 1)], strides=(32, 64), sizes=(16, 48))
    assert boxes.shape == (7, 4)
    assert boxes[0].tolist() == [16 / 128, 16 / 64, 16 / 128, 16 / 64]
    assert boxes[5].tolist() == [80 / 128, 48 / 64, 16 / 128, 16 / 64]
    assert boxes[6].tolist() == [32 / 128, 32 / 64, 48 / 128, 48 / 64]


def test_no_shift_gives_the_prior_back() -> None:
    boxes = priors(64, 64, [(2, 2)], strides=(32,), sizes=(16,))
    corners = decode(torch.zeros(4, 4), boxes)
    assert torch.allclose((corners[:, :2] + corners[:, 2:]) / 2, boxes[:, :2])
    assert torch.allclose(corners[:, 2:] - corners[:, :2], boxes[:, 2:])
    doubled = decode(torch.tensor([[0.0, 0.0, math.log(2) / 0.2, 0.0]] * 4), boxes)
    assert torch.allclose(doubled[:, 2] - doubled[:, 0], 2 * boxes[:, 2])


def test_weak_boxes_and_too_many_boxes_are_left_out() -> None:
    boxes = torch.tensor([[i, 0.0, i + 0.5, 1.0] for i in range(10)])
    score = torch.tensor([0.01, 0.05, 0.06, 0.9, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    assert detect(boxes, score)[:, 0].tolist() == pytest.approx([0.9, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.06])
    assert len(detect(boxes, score, DetectorSettings(most=3))) == 3
    assert len(detect(boxes, score, DetectorSettings(candidates=5))) == 5
    assert detect(boxes, score * 0).shape == (0, 5)


def test_boxes_in_pixels_are_scaled_by_both_sides() -> None:
    found = torch.tensor([[0.95, 0.1, 0.2, 0.5, 0.6], [0.5, 0, 0, 1, 1]])
    np.testing.assert_allclose(in_pixels(found, 100, 200, 0.9), [[20, 20, 100, 60, 0.95]], rtol=1e-6)
    assert in_pixels(found, 100, 200, 0.99).shape == (0, 5)


def test_the_mean_of_each_colour_is_subtracted() -> None:
    image = np.zeros((40, 60, 3), np.uint8) + np.array([123, 117, 104], np.uint8)
    x = preprocess(image, 0.5)
    assert x.shape == (3, 20, 30) and float(x.abs().max()) == 0


def test_an_image_without_a_face_gives_no_box() -> None:
    assert find_faces(filled(S3FD), np.zeros((256, 256, 3), np.uint8)).shape == (0, 5)
    several = find_faces(filled(S3FD), np.zeros((256, 256, 3), np.uint8), scales=(0.25, 0.5), threshold=0.1)
    assert several.shape[1] == 5 and len(several) > 1


def test_a_batch_finds_in_each_image_what_one_alone_finds() -> None:
    random = np.random.default_rng(2)
    images = [random.integers(0, 256, (256, 320, 3)).astype(np.uint8) for _ in range(3)]
    network = filled(S3FD)
    alone = [find_faces(network, image, threshold=0.1) for image in images]
    together = find_faces_in_batch(network, images, threshold=0.1)
    for one, same in zip(alone, together, strict=True):
        assert one.shape == same.shape
        assert np.allclose(one, same, rtol=1e-4, atol=1e-2)
