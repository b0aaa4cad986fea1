"""Subdivision, normals and deformation."""

from __future__ import annotations

import numpy as np

from thbench.data.synth_heads import mesh
from thbench.data.synth_heads.template import canonical_face, surface, template


def flat_grid(side=6):
    y, x = np.mgrid[0:side, 0:side].astype(float)
    return np.stack((x.ravel(), y.ravel(), np.zeros(side * side)), axis=1), mesh.grid_triangles(side, side)


def test_subdivision_averages_and_keeps_planes_and_numbers():
    points, triangles = flat_grid()
    step = mesh.loop_subdivision(triangles, len(points))
    assert np.allclose(np.asarray(step.matrix.sum(axis=1)).ravel(), 1)
    assert len(step.triangles) == 4 * len(triangles)
    assert np.allclose((step.matrix @ points)[:, 2], 0)
    inner = [7, 8, 13, 14]
    assert np.allclose((step.matrix @ points)[inner], points[inner])


def test_subdivision_approaches_a_sphere():
    t = (1 + 5**0.5) / 2
    points = np.array([(-1, t, 0), (1, t, 0), (-1, -t, 0), (1, -t, 0), (0, -1, t), (0, 1, t), (0, -1, -t), (0, 1, -t),
                       (t, 0, -1), (t, 0, 1), (-t, 0, -1), (-t, 0, 1)])  # fmt: skip
    distance = np.linalg.norm(points[:, None] - points, axis=-1)
    near = distance < 2.01
    triangles = np.array(
        [(i, j, k) for i in range(12) for j in range(i) for k in range(j) if near[i, j] and near[j, k] and near[i, k]],
        dtype=np.int32,
    )
    normal = np.cross(
        points[triangles[:, 1]] - points[triangles[:, 0]], points[triangles[:, 2]] - points[triangles[:, 0]]
    )
    inwards = (normal * points[triangles[:, 0]]).sum(axis=1) < 0
    triangles[inwards] = triangles[inwards][:, ::-1]
    for _ in range(2):
        step = mesh.loop_subdivision(triangles, len(points))
        points, triangles = step.matrix @ points, step.triangles
    radius = np.linalg.norm(points, axis=1)
    assert np.ptp(radius) / radius.mean() < 0.05
    normals = mesh.vertex_normals(points, triangles, mesh.normal_operator(triangles, len(points)))
    assert ((normals * points).sum(axis=1) / radius).min() > 0.98


def test_a_handle_is_reached_and_what_is_not_free_stays():
    points, triangles = flat_grid(9)
    free = np.flatnonzero((points[:, 0] > 0) & (points[:, 0] < 8) & (points[:, 1] > 0) & (points[:, 1] < 8))
    influence = mesh.SmoothDeformer(points, triangles).influence([40], free)[:, 0]
    assert influence[40] == 1
    assert np.all(influence[points[:, 0] == 0] == 0)
    around = influence[[39, 41, 31, 49]]
    assert np.all((around > 0.3) & (around < 1))


def test_the_head_is_closed_symmetric_and_keeps_the_published_points():
    mean, face = template(), canonical_face()
    _, _, count = mesh.edges_of(mean.triangles)
    assert set(count.tolist()) <= {1, 2}
    # Open borders: the two rims of the lids.
    assert (count == 1).sum() == 16 + 16
    away = [v for v in range(468) if np.hypot(face[0][v, 0] / 4.0, (face[0][v, 1] + 4.4) / 2.2) > 1]
    assert np.allclose(mean.points[away], face[0][away])
    drawn = surface().matrix @ mean.points
    mirror = mesh.mirror_vertices(mean.points[:468])
    assert np.allclose(drawn[:468][mirror] * (-1, 1, 1), drawn[:468], atol=1e-9)
