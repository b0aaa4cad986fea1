"""Runs one side of one part in a process of its own and says what it took: CPU and wall seconds, peak memory."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import sys
import time
from pathlib import Path

import numpy as np


def cpu_seconds() -> float:
    """Of this process and of those that it has started and that have ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def peak_mib() -> float:
    """Largest resident size of this process or of its largest child."""
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("side", choices=("peer", "exact", "fast"))
    parser.add_argument("part")
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    import cv2
    import torch

    torch.set_num_threads(chosen.threads)
    cv2.setNumThreads(chosen.threads)
    with contextlib.redirect_stdout(sys.stderr):
        if chosen.side == "peer":
            from peer_shim import install

            install()
            from peer_theirs import PARTS as THEIRS

            work = THEIRS[chosen.part](chosen.folder)
        else:
            from peer_ours import PARTS as OURS

            work = OURS[chosen.part](chosen.folder, chosen.side)
        cpu, wall = cpu_seconds(), time.perf_counter()
        arrays = work()
        cpu, wall = cpu_seconds() - cpu, time.perf_counter() - wall
    np.savez(chosen.output, **{name: np.asarray(value) for name, value in arrays.items()})
    sys.stdout.write(json.dumps({"cpu": cpu, "wall": wall, "peak_mib": peak_mib()}) + "\n")
    sys.stdout.flush()
    # Some peers' libraries crash while the interpreter ends; everything is written by now.
    os._exit(0)


if __name__ == "__main__":
    main()
