"""LSE: analytic embeddings, published rules of windows and ends, scipy's median filter, short clips."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import torch

from thbench.backbones.checkpoint import build
from thbench.backbones.mfcc import mfcc
from thbench.backbones.syncnet import SyncNet
from thbench.errors import MediaError
from thbench.metrics.lip_stream import LipStream
from thbench.metrics.lse import (
    DISTANCES,
    audio_windows,
    clip_embeddings,
    distances,
    median_filter,
    score,
    scored,
    whole_frame,
    window_count,
)
from thbench.parity.recipe import tensor

EMBEDDINGS = torch.randn(80, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def network() -> SyncNet:
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in SyncNet().state_dict().items()}
    return build(SyncNet, {k: torch.from_numpy(tensor(k, s, "lse")) for k, s in shapes.items()}, source="test")


@pytest.mark.parametrize("lead", [-15, -4, 0, 3, 15])
def test_the_offset_is_how_far_the_sound_leads(lead: int) -> None:
    """A sound that leads by n frames says at window i what the picture shows at window i + n."""
    video, audio = EMBEDDINGS[16:60], EMBEDDINGS[16 + lead : 60 + lead]
    result = score(video, audio)
    assert result.offset == lead
    # Beyond the ends of the sound there are zeros: |lead| windows of the 44 have nothing to match.
    assert result.distances.min() == pytest.approx(1e-6 * np.sqrt(32), rel=1e-2)
    assert result.lse_c > 3 * (1 - abs(lead) / 44)


@pytest.mark.parametrize("windows", [1, 10, DISTANCES, DISTANCES + 1, 2 * DISTANCES + 7])
def test_distances_of_long_clips_are_those_of_all_windows_at_once(windows: int) -> None:
    generator = torch.Generator().manual_seed(1)
    video, audio = (torch.randn(windows, 6, generator=generator) for _ in range(2))
    padded = torch.nn.functional.pad(audio, (0, 0, 15, 15))
    once = [torch.nn.functional.pairwise_distance(video, padded[k : k + windows]) for k in range(31)]
    torch.testing.assert_close(distances(video.split(70), audio.split(50)), torch.stack(once, dim=1), rtol=0, atol=0)


def test_the_curve_is_the_mean_of_the_published_distance() -> None:
    video, audio = EMBEDDINGS[:20], EMBEDDINGS[5:25] * 1.5
    result = score(video, audio, shifts=3)
    assert result.distances.shape == (20, 7)
    for window in (0, 9, 19):
        for column in range(7):
            source = window + column - 3
            sound = audio[source] if 0 <= source < 20 else torch.zeros(32)
            expected = (video[window] - sound + 1e-6).square().sum().sqrt()
            assert result.distances[window, column] == pytest.approx(float(expected), rel=1e-5)
    np.testing.assert_allclose(result.curve, result.distances.mean(axis=0), rtol=1e-5)
    assert result.lse_d == pytest.approx(result.curve.min())
    assert result.lse_c == pytest.approx(float(np.median(result.curve) - result.curve.min()), rel=1e-5)


def test_embeddings_are_not_normalised() -> None:
    once = distances([EMBEDDINGS[:9]], [EMBEDDINGS[9:18]])
    assert torch.allclose(distances([3 * EMBEDDINGS[:9]], [3 * EMBEDDINGS[9:18]]), 3 * once, rtol=1e-4)


@pytest.mark.parametrize("length", [1, 4, 9, 50])
def test_the_median_filter_is_scipys(length: int) -> None:
    values = np.random.default_rng(0).standard_normal(length).astype(np.float32)
    with np.errstate(all="ignore"):
        expected = scipy.signal.medfilt(np.concatenate((values, np.zeros(9, np.float32))), 9)[:length]
    np.testing.assert_array_equal(median_filter(values, 9), expected)


@pytest.mark.parametrize(
    ("frames", "samples", "windows"), [(50, 32000, 45), (50, 16000, 20), (20, 32000, 15), (6, 3840, 1)]
)
def test_the_shorter_of_picture_and_sound_counts(frames: int, samples: int, windows: int) -> None:
    assert window_count(frames, samples) == windows


@pytest.mark.parametrize(("frames", "samples"), [(5, 32000), (50, 3839), (0, 0)])
def test_clips_without_a_window_are_refused(frames: int, samples: int) -> None:
    with pytest.raises(MediaError, match=f"this clip has {frames} frames and"):
        window_count(frames, samples)


def test_audio_windows_are_twenty_columns_every_four() -> None:
    audio = np.random.default_rng(0).integers(-9000, 9000, 16000).astype(np.int16)
    windows = audio_windows(audio, 20)
    columns = mfcc(audio).T
    assert windows.shape == (20, 1, 13, 20)
    for index in (0, 7, 19):
        np.testing.assert_allclose(
            windows[index, 0].numpy(), columns[:, 4 * index : 4 * index + 20], rtol=1e-5, atol=1e-5
        )


def test_the_chunk_changes_memory_not_the_curve(network: SyncNet) -> None:
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (14, 224, 224, 3)).astype(np.uint8)
    audio = random.integers(-9000, 9000, 14 * 640).astype(np.int16)
    curves = [score(*clip_embeddings(network, frames, audio, chunk)).distances for chunk in (1, 4, 32)]
    assert curves[0].shape == (9, 31)
    for curve in curves[1:]:
        np.testing.assert_allclose(curve, curves[0], rtol=1e-4)
    with pytest.raises(MediaError, match="3 frames and"):
        clip_embeddings(network, frames[:3], audio)


def test_streamed_lips_are_scored_as_the_whole_clip_and_used_up(network: SyncNet) -> None:
    random = np.random.default_rng(3)
    frames = random.integers(0, 256, (14, 224, 224, 3)).astype(np.uint8)
    audio = random.integers(-9000, 9000, 14 * 640).astype(np.int16)
    lips = LipStream(network, chunk=4)
    for frame in frames:
        lips.add(frame)
    whole, found = score(*clip_embeddings(network, frames, audio, chunk=4)), scored(network, lips, audio)
    assert found.offset == whole.offset
    # Of distances in the hundreds; on some processors the last bit depends on how the frames lie in memory.
    np.testing.assert_allclose((found.lse_c, found.lse_d), (whole.lse_c, whole.lse_d), rtol=0, atol=1e-6 * whole.lse_d)
    assert list(lips.pieces(9)) == []


def test_the_whole_frame_is_squeezed_and_turned_to_bgr() -> None:
    frame = np.zeros((100, 300, 3), np.uint8)
    frame[..., 0] = 200
    out = whole_frame(frame)
    assert out.shape == (224, 224, 3) and out[5, 5].tolist() == [0, 0, 200]
