"""Memory does not grow with the length of a video."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from media_clips import Sound, encode, loop, sine

from thbench.media import probe

if TYPE_CHECKING:
    from pathlib import Path

READ = """
import resource, sys
from thbench.media import iter_audio, read_frames
frames = sum(1 for _ in read_frames(sys.argv[1], 25))
samples = sum(len(block) for block in iter_audio(sys.argv[1], 16000))
print(frames, samples, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def peak(path: Path) -> tuple[int, int, float]:
    """Frames, samples and peak resident memory in MiB of a process that reads the whole file."""
    done = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True)
    frames, samples, memory = done.stdout.split()
    return int(frames), int(samples), float(memory)


def second(folder: Path, size: int, codec: str) -> Path:
    dice = np.random.default_rng(0)
    coarse = dice.integers(0, 256, (25, size // 8, size // 8, 3), dtype=np.uint8)
    frames = [np.kron(frame, np.ones((8, 8, 1), np.uint8)) for frame in coarse]
    name, sound = ("clip.mp4", "aac") if codec == "h264" else ("clip.mkv", "pcm_s16le")
    return encode(folder / name, frames, codec=codec, sound=Sound(sine(1.0), codec=sound), options={})


def compare(folder: Path, codec: str, size: int, short: int, long: int, slack: float) -> None:
    source = second(folder, size, codec)
    brief = loop(source, folder / f"brief{source.suffix}", short)
    lasting = loop(source, folder / f"lasting{source.suffix}", long)
    frames, samples, small = peak(brief)
    more_frames, more_samples, large = peak(lasting)
    seconds = probe(lasting).duration
    assert seconds is not None
    assert seconds >= long * 0.99
    assert more_frames == pytest.approx(frames * long / short, rel=0.02)
    assert more_samples == pytest.approx(samples * long / short, rel=0.05)
    assert large <= small * slack, f"{small:.0f} MiB for {short} s, {large:.0f} MiB for {long} s"


@pytest.mark.parametrize("codec", ["h264", "ffv1"])
def test_reading_two_minutes_takes_the_memory_of_four_seconds(tmp_path: Path, codec: str) -> None:
    compare(tmp_path, codec, 96, 4, 120, 1.05)


@pytest.mark.full
def test_reading_ten_minutes_takes_the_memory_of_ten_seconds(tmp_path: Path) -> None:
    compare(tmp_path, "h264", 512, 10, 600, 1.10)
