"""What a frame hears of the speech encoder's features.

Source: antgroup/echomimic at a53e970, src/models/whisper/audio2feature.py (get_sliced_feature).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from thbench_methods.echomimic.config import Hearing
    from torch import Tensor


def heard_around(features: Tensor, hearing: Hearing, frames: int, fps: float) -> Tensor:
    """Return the audio tokens of each frame; the first and the last feature are repeated beyond the ends.

    Args:
        features: Of the whole sound, shape (n, layers, channels), `hearing.rate` a second, at least one.
        hearing: Which of them.
        frames: Of the video.
        fps: Frames per second.

    Returns:
        Shape (frames, tokens, channels): the layers of the first feature, then those of the next one.
    """
    middle = (torch.arange(frames, dtype=torch.float64) * hearing.rate / fps).floor().long()
    places = middle[:, None] + torch.arange(-hearing.before, hearing.after + 1)
    return features[places.clamp(0, len(features) - 1)].flatten(1, 2)
