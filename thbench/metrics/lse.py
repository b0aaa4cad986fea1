"""Lip-sync error (LSE-C, LSE-D, offset): distances between lips and speech over time shifts.

Source: joonson/syncnet_python, SyncNetInstance.py (`evaluate`, `calc_pdist`); Prajwal et al., "A Lip Sync Expert Is
All You Need", ACM MM 2020, for the names.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from thbench.backbones.batches import in_fixed_batches
from thbench.backbones.mfcc import mfcc_blocks
from thbench.backbones.syncnet import MFCC_WINDOW, WINDOW, LipTower
from thbench.errors import MediaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from thbench.backbones.syncnet import SyncNet
    from thbench.metrics.lip_stream import LipStream
    from thbench.metrics.observer import Features, Missing

SIDE = 224
"""Rows and columns that the lip network sees."""
FPS = 25
"""Frames per second that the network was trained on."""
RATE = 16000
"""Samples per second that the networks expect."""
SAMPLES_PER_FRAME = RATE // FPS
"""Sound of one frame."""
MFCC_PER_FRAME = 4
"""Columns of MFCC per video frame."""
CURVE = "lse-curve-"
"""How the names of features begin that hold a curve; the protocol follows."""
MAX_SHIFT = 15
"""Largest shift that is tried, frames."""
AUDIO_WINDOWS = 16
"""Windows of sound that the network hears at once; the last batch is filled up: more is lost on short clips."""
DISTANCES = 1024
"""Windows whose distances are computed at once."""
MEDIAN_WINDOW = 9
"""Frames of the median filter of the framewise confidence."""


@dataclass(frozen=True, slots=True)
class SyncScore:
    """What the distances say."""

    distances: NDArray[np.float32]
    """Shape (windows, 2 shifts + 1); column k is a shift of the sound by k - shifts frames."""
    curve: NDArray[np.float32]
    """Shape (2 shifts + 1,): mean distance per shift."""
    lse_d: float
    """Smallest mean distance; lower is better."""
    lse_c: float
    """Median of the curve less its minimum; higher is better."""
    offset: int
    """`shifts` less the column of the minimum: frames by which the sound leads (positive) or lags (negative)."""
    framewise_confidence: NDArray[np.float32]
    """Shape (windows,): median of the curve less the distance at the best shift, median-filtered over 9 windows."""


class SyncValues(NamedTuple):
    """What one protocol says of a clip."""

    lse_c: float
    lse_d: float
    offset: float
    curve: tuple[float, ...] = ()
    """Mean distance at each shift of the sound, from -`MAX_SHIFT` to `MAX_SHIFT` frames; of the longest track where
    there are several. No metric: reports draw it."""


def window_count(frames: int, samples: int) -> int:
    """Return how many windows a clip has: five frames fewer than the shorter of picture and sound.

    Raises:
        MediaError: There is no window.
    """
    length = min(frames, samples // SAMPLES_PER_FRAME)
    if length <= WINDOW:
        raise MediaError(
            f"lip sync needs at least {WINDOW + 1} frames (0.24 s) of picture and sound; "
            f"this clip has {frames} frames and {samples / RATE:.2f} s of sound"
        )
    return length - WINDOW


def audio_windows(audio: NDArray[np.int16], count: int) -> torch.Tensor:
    """Return the MFCC windows of a clip.

    Args:
        audio: Shape (samples,), 16 kHz, not scaled.
        count: Number of windows.

    Returns:
        Shape (count, 1, 13, 20): window i is columns 4 i to 4 i + 19; a view, for neighbours share most of theirs.
    """
    columns = torch.from_numpy(np.concatenate([rows.astype(np.float32) for rows in mfcc_blocks(audio)]))
    return columns.unfold(0, MFCC_WINDOW, MFCC_PER_FRAME)[:count, None]


def distances(video: Iterable[torch.Tensor], audio: Iterable[torch.Tensor], shifts: int = MAX_SHIFT) -> torch.Tensor:
    """Return the distances of each video window to the sound at each shift.

    Both come as pieces of any length, in order, of which only those in reach are held. Beyond the ends the sound's
    embedding is zero. The distance is Euclidean, with 1e-6 added to each difference, as torch's pairwise distance does.

    Args:
        video: At least one piece of shape (n, features), n > 0.
        audio: The same, of as many windows in total.
        shifts: Largest shift.

    Returns:
        Shape (windows, 2 shifts + 1).
    """
    heard, rows = iter(audio), []
    near: torch.Tensor | None = None
    for piece in video:
        near = piece.new_zeros(shifts, piece.shape[1]) if near is None else near
        while (missing := len(piece) + 2 * shifts - len(near)) > 0:
            near = torch.cat((near, next(heard, piece.new_zeros(missing, piece.shape[1]))))
        # One shift at a time: all at once would take memory for windows x shifts x features.
        columns = [F.pairwise_distance(piece, near[shift : shift + len(piece)]) for shift in range(2 * shifts + 1)]
        rows.append(torch.stack(columns, dim=1))
        near = near[len(piece) :]
    return torch.cat(rows)


def score(video: torch.Tensor, audio: torch.Tensor, shifts: int = MAX_SHIFT) -> SyncScore:
    """Score embeddings.

    Args:
        video: Shape (windows, features): one embedding per window of five frames.
        audio: The same shape: the sound of the same windows.
        shifts: Largest shift, frames.
    """
    return summed_up(distances(torch.split(video, DISTANCES), torch.split(audio, DISTANCES), shifts))


def summed_up(between: torch.Tensor) -> SyncScore:
    """Score distances (windows, 2 shifts + 1)."""
    shifts = between.shape[1] // 2
    curve = between.mean(dim=0)
    best = int(curve.argmin())
    median = curve.median()
    confidence = (median - between[:, best]).numpy()
    return SyncScore(
        distances=between.numpy(),
        curve=curve.numpy(),
        lse_d=float(curve[best]),
        lse_c=float(median - curve[best]),
        offset=shifts - best,
        framewise_confidence=median_filter(confidence, MEDIAN_WINDOW),
    )


def median_filter(values: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Return the running median over an odd number of values, with zeros beyond the ends."""
    padded = np.pad(values, width // 2)
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1).astype(values.dtype)


@torch.inference_mode()
def clip_embeddings(
    network: SyncNet, frames: NDArray[np.uint8], audio: NDArray[np.int16], chunk: int = 32
) -> tuple[torch.Tensor, torch.Tensor]:
    """Embed the windows of an already cropped clip.

    Args:
        network: SyncNet.
        frames: Shape (T, 224, 224, 3), BGR, 25 per second.
        audio: Shape (samples,), 16 kHz, not scaled, beginning with the first frame.
        chunk: Windows at a time, rounded up to a multiple of four; changes the memory needed, not the result beyond the
            rounding of the last layers.

    Returns:
        Embeddings of picture and sound, each of shape (windows, 1024), on the CPU.

    Raises:
        MediaError: The clip is too short for a window.
    """
    count = window_count(len(frames), len(audio))
    chunk = -(-chunk // LipTower.WINDOWS) * LipTower.WINDOWS
    pieces = [network.lips_of_clip(piece).cpu() for piece in _pieces(frames, count, chunk)]
    return torch.cat(pieces), torch.cat(list(_heard(network, audio, count)))


def _heard(network: SyncNet, audio: NDArray[np.int16], count: int) -> Iterator[torch.Tensor]:
    """Embed the windows of the sound, a fixed number at a time: memory does not grow with the clip."""
    for windows in torch.split(audio_windows(audio, count), AUDIO_WINDOWS):
        yield in_fixed_batches(network.audio, windows, AUDIO_WINDOWS)


def _pieces(frames: NDArray[np.uint8], count: int, chunk: int) -> Iterator[torch.Tensor]:
    """Yield the frames (3, t, height, width) of `chunk` windows at a time; pieces overlap by four frames."""
    for start in range(0, count, chunk):
        piece = torch.from_numpy(frames[start : min(start + chunk, count) + WINDOW - 1])
        yield piece.permute(3, 0, 1, 2).float()


def scored(network: SyncNet, lips: LipStream, audio: NDArray[np.int16]) -> SyncValues:
    """Score embedded lips, which are used up, against the sound that begins with their first frame.

    Raises:
        MediaError: Picture or sound is too short for a window, or the embeddings are not numbers.
    """
    count = window_count(lips.frames, len(audio))
    with torch.inference_mode():
        result = summed_up(distances(lips.pieces(count), _heard(network, audio, count)))
    if not math.isfinite(result.lse_d) or not math.isfinite(result.lse_c):
        raise MediaError("the network's embeddings are not numbers")
    return SyncValues(result.lse_c, result.lse_d, float(result.offset), tuple(result.curve.tolist()))


def curve_features(found: Mapping[str, SyncValues | Missing]) -> Features:
    """Return the curves of some protocols as features `lse-curve-PROTOCOL`, shape (1, 2 MAX_SHIFT + 1)."""
    return {
        f"{CURVE}{name}": np.array([values.curve], dtype=np.float32)
        for name, values in found.items()
        if isinstance(values, SyncValues) and values.curve
    }


def whole_frame(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a frame as Wav2Lip's LRS script feeds it: the whole of it at 224x224, BGR, no face crop.

    OpenCV resizes it bilinearly, without regard to the aspect, so its scores are not comparable with those of face
    crops. Source: Rudrabha/Wav2Lip, evaluation/scores_LSE/SyncNetInstance_calc_scores.py.

    Args:
        frame: Shape (height, width, 3), RGB.
    """
    import cv2

    return np.asarray(cv2.resize(frame[..., ::-1], (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
