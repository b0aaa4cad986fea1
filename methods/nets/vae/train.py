"""Trains the small autoencoder on synth-heads.

Absolute and structural (SSIM) error of the picture, absolute error of its gradients, a small Kullback-Leibler term.
What moves when somebody speaks is small, so errors at the mouth and the eyes count many times. No adversary and no
external network take part. At the end each latent channel is whitened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from thbench_methods.common.training import About, destination, fitted, ship
from thbench_methods.nets.vae.autoencoder import FILE, AutoencoderKL, whiten
from thbench_methods.nets.vae.config import MINI

from thbench.training import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from thbench.data.synth_heads.pictures import Pictures
    from thbench.training.order import Order

RECIPE = Recipe(steps=3000, learning_rate=2e-3, warm_up=100, average=0.998, bfloat16=False)
"""Without AMX, float32 is the faster format on processors."""
ABOUT = About(
    "Mini autoencoder",
    "Rombach et al., CVPR 2022; sizes and loss are the project's own",
    "Absolute error, absolute error of gradients and SSIM, mouth and eyes weighted; a small Kullback-Leibler term.",
    ("It knows heads of synth-heads at 128 px, nothing else.",),
)
BATCH = 8
KL = 1e-6
"""Weight of the Kullback-Leibler term per picture value."""
FOCUS = {"mouth": 12.0, "eyes": 6.0}
"""Weight of a part over that of everything else."""
_PARTS = (("mouth", slice(48, 68), 1.5), ("eyes", slice(36, 42), 1.6), ("eyes", slice(42, 48), 1.6))
"""Name, landmarks, and how far beyond their hull a part reaches."""


class Batch(NamedTuple):
    """Pictures and how much each pixel counts."""

    pictures: Tensor
    """Shape (N, 3, H, W), range [-1, 1]."""
    weight: Tensor
    """Shape (N, 1, H, W); mean 1."""


class VAETask:
    """Reconstruction of frames of the train split."""

    def __init__(self, pictures: Pictures) -> None:
        self.network = AutoencoderKL(MINI).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._pictures = pictures

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw frames of random clips, half of them mirrored, brightness and colour jittered."""
        frames, weights = [], []
        count, length = self._pictures.frames.shape[:2]
        for _ in range(BATCH):
            clip, frame = int(rng.integers(count)), int(rng.integers(length))
            rgb = self._pictures.frames[clip, frame].astype(np.float32) / 127.5 - 1
            weight = focus(self._pictures.landmarks68[clip, frame], rgb.shape[0])
            if rng.random() < 0.5:
                rgb, weight = rgb[:, ::-1], weight[:, ::-1]
            gain = rng.uniform(0.85, 1.15, 3).astype(np.float32)
            frames.append(np.clip(rgb * gain + rng.uniform(-0.08, 0.08), -1, 1))
            weights.append(weight)
        stacked = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)
        return Batch(
            stacked.contiguous(memory_format=torch.channels_last), torch.from_numpy(np.stack(weights))[:, None]
        )

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return the weighted errors of the reconstruction."""
        mean, log_variance = self.network.gaussian(batch.pictures)
        noise = torch.randn_like(mean)
        restored = self.network.decode(mean + (0.5 * log_variance).exp() * noise).float()
        mean, log_variance = mean.float(), log_variance.float()
        error = restored - batch.pictures
        absolute = (error.abs() * batch.weight).mean()
        edges = sum(
            ((_slope(error, dim).abs()) * batch.weight.narrow(dim, 0, error.shape[dim] - 1)).mean() for dim in (2, 3)
        )
        structure = 1 - similarity(restored, batch.pictures)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=(1, 2, 3)).mean()
        loss = absolute + 0.5 * edges + 0.2 * structure + KL * divergence
        return {"loss": loss, "absolute": absolute, "structure": structure, "divergence": divergence}


def focus(points: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Weight of each pixel, shape (size, size), mean 1: mouth and eyes by `FOCUS`, the rest alike.

    Args:
        points: Shape (68, 2); pixels.
        size: Pixels along each side.
    """
    weight = np.ones((size, size), np.float32)
    for name, landmarks, grow in _PARTS:
        part = points[landmarks]
        centre = part.mean(axis=0)
        hull = cv2.convexHull(np.rint(centre + (part - centre) * grow).astype(np.int32))
        cv2.fillConvexPoly(weight, hull, FOCUS[name])
    return np.asarray(weight / weight.mean(), np.float32)


def similarity(a: Tensor, b: Tensor) -> Tensor:
    """Mean SSIM of pictures (N, 3, H, W) in [-1, 1], over every second window of 7 x 7 with equal weights."""
    mean_a, mean_b = _window_means(a), _window_means(b)
    var_a = _window_means(a * a) - mean_a**2
    var_b = _window_means(b * b) - mean_b**2
    both = _window_means(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    mapped = (2 * mean_a * mean_b + c1) * (2 * both + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    return mapped.mean()


def _window_means(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 7, 2)


def _slope(x: Tensor, dim: int) -> Tensor:
    return x.diff(dim=dim)


def whitened(vae: AutoencoderKL, pictures: Pictures, count: int = 512) -> None:
    """Whiten the latents by the statistics of frames spread over the split."""
    rng = np.random.default_rng(0)
    clips = rng.integers(len(pictures), size=count)
    moments = []
    with torch.no_grad():
        for clip in clips:
            frame = int(rng.integers(pictures.frames.shape[1]))
            rgb = torch.from_numpy(np.array(pictures.frames[clip, frame])).permute(2, 0, 1)[None].float() / 127.5 - 1
            mean = vae.encode(rgb)[0].flatten(1)
            moments.append(torch.stack((mean.mean(1), mean.square().mean(1))))
        first, second = torch.stack(moments).double().mean(0)
        whiten(vae, first.float(), (second - first**2).sqrt().float())


def train_mini(order: Order, pictures: Pictures) -> None:
    """Train and write the autoencoder, unless it is there."""
    path = destination(order, FILE)
    if path.exists():
        return
    torch.manual_seed(RECIPE.seed)
    task = VAETask(pictures)
    training = fitted(task, RECIPE, order, "vae")
    whitened(task.network, pictures)
    ship(path, task.network, ABOUT, order, training, pictures)
