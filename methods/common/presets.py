"""How a preset is named and where its files lie. Imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from thbench.backbones.weights import weights_folder
from thbench.errors import MissingWeightsError, UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ValueT = TypeVar("ValueT")


def chosen(method: str, preset: str, presets: Mapping[str, ValueT]) -> ValueT:
    """Return what a preset stands for.

    Raises:
        UsageError: The method has no such preset.
    """
    if preset not in presets:
        raise UsageError(
            f"{method} has no preset {preset!r}{did_you_mean(preset, presets)}; it has: {', '.join(presets)}"
        )
    return presets[preset]


def shipped(path: Path) -> Path:
    """Return the path of a weight file that comes with the package.

    Raises:
        MissingWeightsError: The package was installed without it.
    """
    if not path.is_file():
        raise MissingWeightsError(f"{path} does not exist; install thbench again, or train it with `thbench train`")
    return path


def own_files(method: str, names: Mapping[str, str]) -> dict[str, Path]:
    """Return published files that the user placed in the weights folder, in any of its sub-folders.

    Args:
        method: Name of the method, for errors.
        names: File name by part; a folder's name counts too.

    Raises:
        MissingWeightsError: One is absent; all absent ones are named.
    """
    folder = weights_folder()
    found = {part: next(folder.rglob(name), None) for part, name in names.items()}
    missing = [names[part] for part, path in found.items() if path is None]
    if missing:
        raise MissingWeightsError(
            f"{method}@paper needs {', '.join(missing)} in {folder} (folder of published weights, see `thbench weights"
            f" where`); get them from the authors, or take the preset `mini`, whose weights come with thbench"
        )
    return {part: path for part, path in found.items() if path is not None}
