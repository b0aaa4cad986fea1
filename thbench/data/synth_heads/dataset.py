"""Synth-heads as a dataset: clips and their truth."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from thbench.data.synth_heads.manifest import read_manifest
from thbench.errors import UsageError
from thbench.types import Clip

if TYPE_CHECKING:
    from thbench.data.synth_heads.truth import Truth

EMBEDDED = "embedded"
"""Name that stands for the test split inside the package."""


def embedded_folder(*, must_exist: bool = True) -> Path:
    """Folder of the test split that comes with the package.

    Args:
        must_exist: Refuse an installation without it.

    Raises:
        UsageError: The package was installed without its data.
    """
    folder = Path(str(files(__package__).joinpath("test")))
    if must_exist and not folder.is_dir():
        raise UsageError(
            f"the test split of synth-heads is not in {folder}; install thbench again with its package data"
        )
    return folder


def clips_of(folder: Path | None = None) -> tuple[Clip, ...]:
    """Clips of a split.

    Args:
        folder: Made by `thbench data make synth-heads`; None or `embedded` takes the test split of the package.

    Raises:
        UsageError: The folder holds no split.
    """
    place = embedded_folder() if folder is None or str(folder) == EMBEDDED else folder
    manifest = read_manifest(place)
    clips = () if manifest is None else manifest.clips
    fps = None if manifest is None else manifest.fps
    return tuple(Clip(id=e.id, identity=e.identity, path=place / e.video.name, fps=fps) for e in clips)


def truth_of(clip: Clip) -> Truth:
    """The truth of a clip of this dataset.

    Raises:
        MediaError: The truth file beside the video cannot be read.
    """
    from thbench.data.synth_heads.truth import read_truth

    return read_truth(clip.path.with_suffix(".npz"))
