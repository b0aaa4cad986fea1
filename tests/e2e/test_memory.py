"""Memory must not grow with the length of the video."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from thbench.data.drawn_clips import LOOKS, babble, draw_frames
from thbench.media import write_video
from thbench.types import Audio


def looped(path: Path, seconds: int) -> Path:
    """A drawn clip of 4 s over and over."""
    rng = np.random.default_rng(0)
    loudness, sound = babble(4.0, 140.0, rng)
    frames = list(draw_frames(LOOKS[0], loudness, 192, rng))
    write_video(
        path,
        itertools.islice(itertools.cycle(frames), seconds * 25),
        25,
        quality="view",
        audio=Audio(np.resize(sound.samples, seconds * sound.rate), sound.rate),
    )
    return path


def peak_memory(folder: Path, out: Path) -> int:
    """Largest resident memory of `thbench eval` and its children, each at its own peak, in bytes."""
    command = [sys.executable, "-m", "thbench", "eval", "--generated", str(folder), "--reference", str(folder)]
    process = psutil.Popen([*command, "--out", str(out), "--workers", "1", "--quiet"], stdout=subprocess.DEVNULL)
    peaks: dict[int, int] = {}
    while process.poll() is None:
        for member in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError, FileNotFoundError):
                peaks[member.pid] = max(peaks.get(member.pid, 0), so_far(member))
        time.sleep(0.05)
    assert process.returncode == 0
    return sum(peaks.values())


def so_far(process: psutil.Process) -> int:
    """Peak resident memory of a process; a busy machine looks too seldom to see what it has at a moment."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        return int(process.memory_info().rss)
    lines = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
    return int(lines[0].split()[1]) * 1024 if lines else 0


@pytest.mark.parametrize(
    ("seconds", "limit"), [(60, 1.15), pytest.param(600, 1.15, marks=pytest.mark.full)], ids=["1 min", "10 min"]
)
def test_a_long_video_needs_little_more_memory_than_one_of_ten_seconds(
    tmp_path: Path, weights: str, seconds: int, limit: float
) -> None:
    peaks = {}
    for length in (10, seconds):
        folder = tmp_path / str(length)
        folder.mkdir()
        looped(folder / "clip.mp4", length)
        peaks[length] = peak_memory(folder, tmp_path / f"run-{length}")
    ratio = peaks[seconds] / peaks[10]
    print(f"peak memory: {peaks[10] / 1e6:.0f} MB at 10 s, {peaks[seconds] / 1e6:.0f} MB at {seconds} s: {ratio:.3f}")
    assert ratio <= limit
