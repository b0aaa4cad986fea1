"""Identity similarity (CSIM): the cosine of face embeddings.

A CSIM is specified by the network, the alignment of the face and the frame it is compared with; papers rarely name all
three. Embeddings are of aligned faces here; frames without a face have none, and are counted, never skipped in silence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from thbench.backbones.batches import BATCH, FixedBatches

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


class Similarity(NamedTuple):
    """Mean cosine over the frames that have a face."""

    value: float
    """Range [-1, 1]; NaN if no frame can be compared."""
    compared: int
    """Frames with a face, whose reference has one too."""
    missing: int
    """Frames that could not be compared."""


def prepare(faces: NDArray[np.uint8]) -> torch.Tensor:
    """Return aligned faces as ArcFace takes them: (v - 127.5) / 127.5.

    Args:
        faces: Shape (N, 112, 112, 3), RGB.

    Returns:
        Shape (N, 3, 112, 112), range [-1, 1].
    """
    return torch.from_numpy(faces).permute(0, 3, 1, 2).float().sub_(127.5).div_(127.5)


def embed(
    network: Callable[[torch.Tensor], torch.Tensor], faces: NDArray[np.uint8], batch: int = BATCH
) -> NDArray[np.float64]:
    """Return embeddings at unit length.

    Args:
        network: ArcFace in evaluation mode.
        faces: Shape (N, 112, 112, 3), RGB, N at least 1.
        batch: Faces prepared at a time; the network always runs on as many, so that no digit depends on it.

    Returns:
        Shape (N, 512).
    """
    batches = FixedBatches(network)
    for start in range(0, len(faces), batch):
        batches.add(prepare(faces[start : start + batch]))
    return unit(batches.finish().double().numpy())


def unit(embeddings: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return rows at unit length; a row of zeros or NaN gives NaN."""
    rows = embeddings.astype(np.float64)
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(rows / length)


def similarity(generated: NDArray[np.float64], reference: NDArray[np.float64]) -> Similarity:
    """Compare the identities of a video.

    Args:
        generated: Shape (frames, d), unit length; a row of NaN where a frame has no face.
        reference: The same shape: the reference video at the same instants (self-reenactment); or shape (d,): the
            source image (cross-reenactment).
    """
    cosines = (generated * reference).sum(axis=-1)
    known = np.isfinite(cosines)
    value = float(cosines[known].mean()) if known.any() else float("nan")
    return Similarity(value, int(known.sum()), int((~known).sum()))
