"""Triangle meshes: subdivision, normals, mirror symmetry and smooth deformation."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Points = NDArray[np.float64]
    Triangles = NDArray[np.int32]


class Subdivision(NamedTuple):
    """One step of Loop subdivision of a fixed topology."""

    matrix: sparse.csr_array
    """Shape (new vertices, old vertices). The first rows are the old vertices, so their numbers stay valid."""
    triangles: Triangles
    """Shape (4 * old triangles, 3)."""


def edges_of(triangles: Triangles) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Unique undirected edges.

    Returns:
        Edges (e, 2) with the smaller vertex first; the edge number of each triangle's sides 01, 12, 20, shape (t, 3);
        and how many triangles share each edge, shape (e,).
    """
    sides = np.sort(np.stack((triangles, np.roll(triangles, -1, axis=1)), axis=-1).reshape(-1, 2), axis=1)
    edges, number, count = np.unique(sides, axis=0, return_inverse=True, return_counts=True)
    return edges.astype(np.int64), number.reshape(-1, 3).astype(np.int64), count


def loop_subdivision(triangles: Triangles, vertices: int) -> Subdivision:
    """Loop's scheme with his boundary rules (Loop, "Smooth subdivision surfaces based on triangles", 1987).

    Args:
        triangles: Shape (t, 3).
        vertices: Number of vertices of the old mesh.
    """
    edges, number, count = edges_of(triangles)
    inner = count == 2
    old = _old_vertex_rules(edges, inner, vertices)
    across = np.roll(triangles, -2, axis=1).reshape(-1)
    side = number.reshape(-1)
    end = np.where(inner, 3 / 8, 1 / 2)
    row = np.concatenate((np.arange(len(edges)).repeat(2), side[inner[side]]))
    column = np.concatenate((edges.reshape(-1), across[inner[side]]))
    value = np.concatenate((end.repeat(2), np.full(int(inner[side].sum()), 1 / 8)))
    new = sparse.csr_array((value, (row, column)), shape=(len(edges), vertices))
    ab, bc, ca = (number + vertices).T
    a, b, c = triangles.T
    parts = ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))
    split = np.concatenate([np.stack(p, axis=1) for p in parts]).astype(np.int32)
    return Subdivision(sparse.csr_array(sparse.vstack((old, new))), split)


def _old_vertex_rules(edges: NDArray[np.int64], inner: NDArray[np.bool_], vertices: int) -> sparse.csr_array:
    on_border = np.zeros(vertices, dtype=bool)
    on_border[edges[~inner]] = True
    both = np.concatenate((edges, edges[:, ::-1]))
    border_edge = np.concatenate((~inner, ~inner))
    degree = np.bincount(both[:, 0], minlength=vertices)
    beta = (5 / 8 - (3 / 8 + np.cos(2 * np.pi / np.maximum(degree, 1)) / 4) ** 2) / np.maximum(degree, 1)
    start = both[:, 0]
    weight = np.where(on_border[start], np.where(border_edge, 1 / 8, 0.0), beta[start])
    keep = np.where(on_border, 3 / 4, 1 - degree * beta)
    matrix = sparse.csr_array((weight, (start, both[:, 1])), shape=(vertices, vertices))
    return sparse.csr_array(matrix + sparse.diags_array(keep))


def normal_operator(triangles: Triangles, vertices: int) -> sparse.csr_array:
    """Matrix (vertices, triangles) that sums the triangles' area vectors around each vertex."""
    column = np.arange(len(triangles)).repeat(3)
    one = np.ones(len(column), dtype=np.float32)
    return sparse.csr_array((one, (triangles.reshape(-1), column)), shape=(vertices, len(triangles)))


def vertex_normals(
    points: NDArray[np.floating], triangles: Triangles, operator: sparse.csr_array
) -> NDArray[np.float32]:
    """Unit normals (vertices, 3), area-weighted; `operator` is that of `normal_operator` for the same triangles."""
    a, b, c = (points[triangles[:, i]].astype(np.float32) for i in range(3))
    u, v = b - a, c - a
    area = np.empty_like(u)
    area[:, 0] = u[:, 1] * v[:, 2] - u[:, 2] * v[:, 1]
    area[:, 1] = u[:, 2] * v[:, 0] - u[:, 0] * v[:, 2]
    area[:, 2] = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    normals = operator @ area
    length = np.sqrt((normals * normals).sum(axis=1, keepdims=True))
    return np.asarray(normals / np.maximum(length, 1e-12), dtype=np.float32)


def grid_triangles(rows: int, columns: int, *, wrap: bool = False) -> Triangles:
    """Two triangles per cell of a row-major vertex grid; `wrap` joins the last column to the first."""
    cells = columns if wrap else columns - 1
    row, column = np.divmod(np.arange((rows - 1) * cells), cells)
    here, right = row * columns + column, row * columns + (column + 1) % columns
    below, corner = here + columns, right + columns
    return np.concatenate((np.stack((here, below, right), 1), np.stack((right, below, corner), 1))).astype(np.int32)


def ring_triangles(
    outer: NDArray[np.integer], inner: NDArray[np.integer], turned: NDArray[np.bool_] | None = None
) -> Triangles:
    """Band between two closed rings of as many vertices.

    Seen from the front, both run anti-clockwise and `outer` lies around `inner`.

    Args:
        outer: Shape (n,): vertex numbers.
        inner: Shape (n,): vertex numbers.
        turned: Shape (n,): which cells are cut along their other diagonal. Cutting the two sides of a face in mirrored
            ways keeps its subdivision symmetric.
    """
    after, corner = np.roll(outer, -1), np.roll(inner, -1)
    one = np.stack((np.stack((outer, after, inner), -1), np.stack((after, corner, inner), -1)))
    other = np.stack((np.stack((outer, after, corner), -1), np.stack((outer, corner, inner), -1)))
    band = one if turned is None else np.where(turned[None, :, None], other, one)
    return band.reshape(-1, 3).astype(np.int32)


def mirror_vertices(points: Points, tolerance: float = 0.02) -> NDArray[np.int64]:
    """Number of the vertex opposite to each one across the plane x = 0.

    Raises:
        ValueError: A vertex has no opposite within `tolerance`.
    """
    from scipy.spatial import cKDTree

    distance, index = cKDTree(points).query(points * (-1.0, 1.0, 1.0))
    if distance.max() > tolerance:
        raise ValueError(f"vertex {int(distance.argmax())} has no mirror image within {tolerance}")
    return np.asarray(index, dtype=np.int64)


class SmoothDeformer:
    """Spreads displacements of a few vertices over a mesh as smoothly as the surface allows.

    Minimises the squared Laplacian of the displacement (cotangent weights) under the given displacements, as in Botsch
    and Sorkine, "On linear variational surface deformation methods" (2008), section III-C. Holes of the mesh (eyes,
    mouth) stop the spreading, which is what lets the upper and the lower lip move apart.
    """

    def __init__(self, points: Points, triangles: Triangles) -> None:
        laplacian, mass = _cotangent_laplacian(points, triangles)
        self._energy = (laplacian.T @ sparse.diags_array(1.0 / mass) @ laplacian).toarray()
        self._membrane = laplacian.toarray()

    def influence(self, handles: Sequence[int], free: NDArray[np.integer], stretch: float = 0.0) -> NDArray[np.float64]:
        """How far each vertex follows each handle, shape (vertices, handles).

        Args:
            handles: Vertices whose displacement is given.
            free: Vertices that may follow; all others stay still.
            stretch: Weight of the first-order (membrane) energy, which keeps the effect local; 0 is smoothest.
        """
        free = np.setdiff1d(free, handles)
        energy = self._energy[free] + stretch * self._membrane[free]
        result = np.zeros((len(self._energy), len(handles)))
        result[list(handles), np.arange(len(handles))] = 1.0
        # Rounded: the last digits of the solution depend on the threads and version of the linear-algebra library.
        result[free] = np.linalg.solve(energy[:, free], -energy[:, list(handles)]).round(7)
        return result


def _cotangent_laplacian(points: Points, triangles: Triangles) -> tuple[sparse.csr_array, NDArray[np.float64]]:
    count = len(points)
    matrix = sparse.csr_array((count, count))
    mass = np.zeros(count)
    for corner in range(3):
        i, j, k = (triangles[:, (corner + s) % 3] for s in range(3))
        u, v = points[j] - points[i], points[k] - points[i]
        area = np.linalg.norm(np.cross(u, v), axis=1)
        # Floor against the needle triangles at the corners of the eyes and lips, whose cotangents explode.
        cotangent = ((u * v).sum(axis=1) / np.maximum(area, 1e-9)).clip(0.05, 10.0) / 2
        matrix += sparse.coo_array((cotangent, (j, k)), shape=(count, count)).tocsr()
        np.add.at(mass, i, area / 6)
    matrix = sparse.csr_array(matrix + matrix.T)
    laplacian = sparse.diags_array(np.asarray(matrix.sum(axis=1)).ravel()) - matrix
    return sparse.csr_array(laplacian), np.maximum(mass, 1e-3)
