"""Reads one parity fixture: a folder with `spec.json` and `expected.npz`.

`spec.json` names the target and its configuration, the keys and shapes of the published checkpoint (`shapes`; `kept`
lists buffers that the network computes itself), the inputs (uniform numbers with `cumsum`, `cast` and `repeat`, or
literal `values`), and for each output its whole shape, the slice that `expected.npz` holds and the tolerance.
"""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from thbench.errors import ThbenchError, UsageError
from thbench.parity import recipe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

SPEC, EXPECTED = "spec.json", "expected.npz"
INTEGER_CASTS = ("uint8", "int16")
"""Casts that take the floor and clip to the range of the type; any other cast is a plain conversion."""


class FixtureError(ThbenchError):
    """A fixture cannot be read."""


@dataclass(frozen=True)
class Fixture:
    """One fixture; weights and inputs are rebuilt from the recipe when they are asked for."""

    folder: Path
    """Where it was read."""
    spec: Mapping[str, Any]
    """The whole of `spec.json`."""
    expected: Mapping[str, NDArray[Any]]
    """Output name to the slice of it that the published code gave."""

    @property
    def target(self) -> str:
        """Name of the network or function, e.g. `metrics.syncnet`."""
        return str(self.spec["target"])

    @property
    def config(self) -> Mapping[str, Any]:
        """Constructor values and settings of the call."""
        config: Mapping[str, Any] = self.spec.get("config") or {}
        return config

    @property
    def kept(self) -> frozenset[str]:
        """Keys of the published checkpoint that the network computes itself."""
        return frozenset(self.spec.get("kept") or ())

    @cached_property
    def inputs(self) -> dict[str, NDArray[Any]]:
        """Input name to array."""
        return {name: build_input(name, entry, self.spec["salt"]) for name, entry in self.spec["inputs"].items()}

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Key of the published checkpoint to shape, `kept` ones included."""
        return {key: tuple(shape) for key, shape in (self.spec.get("shapes") or {}).items()}

    def shares(self, derived: str, usual: Sequence[float]) -> NDArray[np.float64]:
        """Return the shares of a mix over the batch, as the fixture states them of a derived input: `w = [0, 0.5, 1]`.

        Args:
            derived: Name of the derived input.
            usual: What counts where it states none.
        """
        stated = re.search(r"\bw = \[([^\]]*)\]", str((self.spec.get("derived") or {}).get(derived, "")))
        return np.array([float(number) for number in stated.group(1).split(",")] if stated else usual)

    def weights(self, group: str = "") -> dict[str, NDArray[Any]]:
        """Return the checkpoint: every key but the kept ones, filled by the recipe.

        Args:
            group: Prefix of one of several checkpoints in the same fixture (`alex:`). Only its keys are returned, and
                the prefix is removed before the recipe sees the key.
        """
        shapes = {
            k.removeprefix(group): s for k, s in self.shapes.items() if k.startswith(group) and k not in self.kept
        }
        return recipe.state_dict(shapes, self.spec["salt"])

    def tolerance(self, output: str) -> float:
        """Return the largest accepted max|ours - expected| / max|expected| of an output."""
        return float((self.spec.get("tolerances") or {}).get(output, self.spec["tolerance"]))


def build_input(name: str, entry: Mapping[str, Any], salt: str) -> NDArray[Any]:
    """Build one input of a fixture.

    Args:
        name: Its name.
        entry: Its entry in `spec.json`: `values` and `dtype`, or `shape`, `low`, `high` and then, in this order where
            given, `cumsum` (an axis, in float64), `cast` and `repeat` (a factor for each axis).
        salt: Salt of the fixture.
    """
    if "values" in entry:
        return np.array(entry["values"], dtype=entry.get("dtype", "float32"))
    values: NDArray[Any] = recipe.uniform(name, entry["shape"], entry.get("low", -1.0), entry.get("high", 1.0), salt)
    if "cumsum" in entry:
        values = np.cumsum(values, axis=entry["cumsum"], dtype=np.float64)
    if "cast" in entry:
        values = cast(values, entry["cast"])
    for axis, factor in enumerate(entry.get("repeat", ())):
        values = np.repeat(values, factor, axis=axis)
    return values


def cast(values: NDArray[Any], dtype: str) -> NDArray[Any]:
    """Convert to another type; the integer types of images and sound take the floor and clip to their range."""
    if dtype in INTEGER_CASTS:
        limits = np.iinfo(dtype)
        values = np.clip(np.floor(values), limits.min, limits.max)
    return values.astype(dtype)


def cut(array: NDArray[Any], text: str) -> NDArray[Any]:
    """Return `array[text]` for a slice written as text, e.g. `:, ::4, 2:9` or `..., ::2`; an empty text takes all."""
    parts = [part.strip() for part in text.strip("[] ").split(",") if part.strip()]
    return array[tuple(Ellipsis if part == "..." else _slice(part) for part in parts)]


def _slice(text: str) -> slice:
    return slice(*(int(number) if number.strip() else None for number in text.split(":")))


def read_fixture(folder: Path) -> Fixture:
    """Read the fixture in a folder.

    Raises:
        FixtureError: A file is missing or damaged, or an expected output is not described.
    """
    try:
        spec = json.loads((folder / SPEC).read_text(encoding="utf-8"))
        with np.load(folder / EXPECTED, allow_pickle=False) as file:
            expected = dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise FixtureError(
            f"the fixture in {folder} cannot be read: {error}; restore its {SPEC} and {EXPECTED}"
        ) from error
    needed = ("target", "salt", "inputs", "outputs", "tolerance")
    missing = [name for name in needed if not isinstance(spec, dict) or name not in spec]
    if missing:
        raise FixtureError(f"{folder / SPEC} has no {', '.join(missing)}; a fixture needs {', '.join(needed)}")
    unknown = sorted(set(expected) ^ set(spec["outputs"]))
    if unknown:
        raise FixtureError(f"{folder}: {SPEC} and {EXPECTED} disagree about the outputs {', '.join(unknown)}")
    return Fixture(folder, spec, expected)


def find_fixtures(folders: Iterable[Path]) -> tuple[Path, ...]:
    """Return the fixture folders among and directly below `folders`, each once, in the order given and then by name.

    Raises:
        UsageError: A folder does not exist or holds no fixture.
    """
    found: dict[Path, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder} is not a folder; give fixture folders, or folders of fixture folders")
        inside = [folder] if (folder / SPEC).is_file() else sorted(spec.parent for spec in folder.glob(f"*/{SPEC}"))
        if not inside:
            raise UsageError(f"{folder} holds no fixture: there is no {SPEC} in it or in a folder directly below it")
        found.update((path.resolve(), path) for path in inside if path.resolve() not in found)
    return tuple(found.values())
