"""Where the face is: a box, drawn as a mask and encoded beside the portrait's feature.

Source: Hanbo-Cheng/DAWN-pytorch, DM_3/modules/video_flow_diffusion_model_*_test.py (generate_bbox_mask,
Face_loc_Encoder). The encoder was neither trained nor saved: it is a random projection, and the U-Net was trained
beside that of one seed. The published scripts for training and testing set the seed 1234; the later one for inference
sets none and so gives the U-Net another projection at every start.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FaceMaskEncoder(nn.Module):
    """Two strided convolutions."""

    def __init__(self, widths: tuple[int, int] = (8, 16)) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, widths[0], 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(*widths, 3, stride=2, padding=1)

    def forward(self, mask: Tensor) -> Tensor:
        """Map masks (N, 1, H, W) to features (N, 16, H / 4, W / 4), 0 or more."""
        feature: Tensor = self.conv2(self.conv1(mask).relu()).relu()
        return feature


DRAWS_BEFORE = 115_785_680
"""Random numbers that the published code draws between seeding and building the encoder: all those that the latent flow
generator and the U-Net start from."""


def published_encoder(seed: int = 1234) -> FaceMaskEncoder:
    """Return the encoder that the published code has beside a U-Net trained with a seed.

    Its 1248 numbers are drawn anew, after as many as were drawn before them. That the released checkpoints belong to
    1234 is what their scripts say and not verified.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.manual_seed(seed)
        for start in range(0, DRAWS_BEFORE, CHUNK):
            torch.rand(min(CHUNK, DRAWS_BEFORE - start))
        return FaceMaskEncoder()


CHUNK = 2**20


def face_mask(boxes: Tensor, image_size: int) -> Tensor:
    """Draw face boxes.

    The published code divides x by the height and y by the width of the source. That only shows for sources that are
    not square, and is kept.

    Args:
        boxes: Shape (N, 6): x_min, x_max, y_min, y_max, height, width, in pixels of the source.
        image_size: Side of the square mask.

    Returns:
        Shape (N, 1, image_size, image_size): one inside the box, borders included, and zero outside.
    """
    limits, source = boxes[:, :4].reshape(-1, 2, 2), boxes[:, 4:, None]
    lower, upper = (limits / source * image_size + limits.new_tensor([0, 1])).trunc().unbind(dim=2)
    places = torch.arange(image_size, device=boxes.device)
    inside = (lower[..., None] <= places) & (places <= upper[..., None])
    columns, rows = inside[:, 0], inside[:, 1]
    return (rows[:, :, None] & columns[:, None, :]).to(boxes.dtype)[:, None]
