"""Where splits are made when nobody names a folder."""

from __future__ import annotations

import os
from pathlib import Path

from thbench.data.synth_heads.plan import VERSION

FOLDER_VARIABLE = "THBENCH_DATA"
"""Environment variable that names the folder of made datasets."""


def data_folder() -> Path:
    """Folder of the made splits: under `THBENCH_DATA` if set, else in the user's cache folder for thbench."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named).expanduser() / "synth-heads"
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "thbench" / "data" / "synth-heads"


def split_folder(split: str, size: int, seconds: float) -> Path:
    """Folder of one split; clips of other versions of the generator lie elsewhere."""
    return data_folder() / f"v{VERSION}-{split}-{size}px-{seconds:g}s"
