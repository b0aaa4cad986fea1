"""Which emotion is in a voice: a classifier of a voice's features, asked second by second.

Source: memoavatar/memo at a5aee30, memo/models/emotion_classifier.py and memo/utils/audio_utils.py
(extract_audio_emotion_labels). The paper calls it emotion-aware (arXiv 2412.04448, section 3.3).
"""

from __future__ import annotations

import importlib
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from thbench_methods.common.sound import RATE
from thbench_methods.memo.networks import EMOTIONS
from torch import Tensor, nn

from thbench.errors import MethodError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray
    from thbench_methods.memo.config import EmotionSizes

    Feel = Callable[[NDArray[np.float32]], int]
    """Some seconds of sound at 16 kHz to the class of the emotion in it."""

PACKAGE = "funasr"
"""What runs emotion2vec."""


class EmotionClassifier(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, sizes: EmotionSizes) -> None:
        super().__init__()
        widths = [sizes.features, *[sizes.hidden] * (sizes.layers - 1), EMOTIONS]
        named: OrderedDict[str, nn.Module] = OrderedDict()
        for number in range(1, sizes.layers + 1):
            named[f"fc{number}"] = nn.Linear(widths[number - 1], widths[number])
            if number < sizes.layers:
                named[f"relu{number}"] = nn.ReLU()
        self.layers = nn.Sequential(named)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, features) to logits (N, 9)."""
        logits: Tensor = self.layers(features)
        return logits


class PublishedFeel:
    """emotion2vec by funasr, and the published classifier; loaded when a voice is first asked for."""

    def __init__(self, encoder: Path, classifier: EmotionClassifier) -> None:
        """Make it.

        Args:
            encoder: Published folder of emotion2vec.
            classifier: With the published weights.
        """
        self._folder, self._classifier = encoder, classifier
        self._encoder: Any = None

    @torch.inference_mode()
    def __call__(self, sound: NDArray[np.float32]) -> int:
        """Return the class of the emotion in a sound.

        Raises:
            MethodError: funasr is not installed.
        """
        if self._encoder is None:
            self._encoder = _emotion2vec(self._folder)
        samples = torch.from_numpy(sound)
        normal = F.layer_norm(samples, samples.shape)[None]
        features = self._encoder.extract_features(normal)["x"].mean(dim=1)
        return int(self._classifier(features.float()).argmax())


def _emotion2vec(folder: Path) -> Any:
    try:
        funasr = importlib.import_module(PACKAGE)
    except ModuleNotFoundError as error:
        raise MethodError(
            f"memo@paper hears a voice's emotion by {PACKAGE}, which is not installed; run: pip install {PACKAGE},"
            f" or state the control `emotion`: none, or 0 to {EMOTIONS - 1}"
        ) from error
    return funasr.AutoModel(model=str(folder), device="cpu", disable_update=True).model.eval()


def voice_features(hidden: Tensor) -> Tensor:
    """Return what the small classifier reads: mean and deviation over time of all layers.

    Args:
        hidden: Of the mini speech encoder, (..., frames, layers, width), at least one frame.

    Returns:
        Shape (..., 2 layers width).
    """
    return torch.cat((hidden.mean(dim=-3), hidden.std(dim=-3, unbiased=False)), dim=-2).flatten(-2)


def felt(sound: NDArray[np.float32], frames: int, fps: float, feel: Feel) -> NDArray[np.int64]:
    """Return the class of the emotion at each frame.

    As published, each second has the emotion of itself with the one before and the one behind, the first and the last
    second have that of the first and the last two. The release stretches these classes over the frames of whole clips;
    here each stays at its time.

    Args:
        sound: Shape (samples,), at 16 kHz, at least one.
        frames: Of the video.
        fps: Frames per second.
        feel: Some seconds of sound to a class.

    Returns:
        Shape (frames,); frames behind the end of the sound have the last class.
    """
    total = len(sound)
    classes = np.full(total, feel(sound[: 2 * RATE]), np.int64)
    for first in range(RATE, total - RATE, RATE):
        classes[first : first + RATE] = feel(sound[first - RATE : first + 2 * RATE])
    if total > RATE:
        classes[-RATE:] = feel(sound[-2 * RATE :])
    places = (np.arange(frames) / fps * RATE).astype(np.int64)
    at_frames: NDArray[np.int64] = classes[places.clip(max=total - 1)]
    return at_frames


def most_often(classes: NDArray[np.int64]) -> int:
    """Return the class that is there most often, the lowest of several; shape (n,)."""
    return int(np.bincount(classes).argmax())
