"""Suites: variants x dataset x metrics x seeds, written in TOML."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, ValidationError

from thbench.errors import UsageError, did_you_mean
from thbench.evaluate.settings import MissingFace
from thbench.registry import ACCELERATIONS, METHODS
from thbench.types import Document

if TYPE_CHECKING:
    from thbench.spec import MethodSpec


class Variant(Document):
    """Method + preset + accelerations."""

    method: str
    """Name in the registry."""
    preset: str
    """One of the method's presets."""
    accelerations: tuple[str, ...] = ()
    """Names in the registry."""

    @property
    def name(self) -> str:
        """`method@preset+acceleration`, the preset left out where the method has only one."""
        presets = METHODS[self.method].presets
        preset = f"@{self.preset}" if len(presets) > 1 else ""
        return self.method + preset + "".join(f"+{a}" for a in self.accelerations)


class Suite(Document):
    """What `thbench run` does."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    """Name of the suite."""
    title: str
    """A few words for people."""
    variants: tuple[str, ...] = Field(min_length=1)
    """`method[@preset][+acceleration...]`."""
    dataset: str = "folder"
    """Name of a dataset."""
    data: str | None = None
    """Folder of the dataset's clips; an embedded dataset needs none."""
    metrics: tuple[str, ...] = ("all",)
    """Metric names, families or globs."""
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    """One generation per variant, clip and seed, from which each clip has one of its own (`seeds.clip_seed`)."""
    fps: float = Field(default=25.0, gt=0, le=240)
    """Instants per second, for generation and evaluation."""
    missing_face: MissingFace = "skip"
    """Policy for frames without a face."""
    max_clips: int | None = Field(default=None, ge=1)
    """Take only the first so many clips, by name."""
    controls: Mapping[str, Mapping[str, float | int | str | bool]] = {}
    """Method name to controls."""


def parse_variant(text: str) -> Variant:
    """Read `method[@preset][+acceleration...]`.

    Raises:
        UsageError: A part names nothing that exists.

    Example:
        >>> parse_variant("static-portrait").preset
        'default'
    """
    match = re.fullmatch(r"(?P<method>[^@+]+)(@(?P<preset>[^@+]+))?(?P<rest>(\+[^@+]+)*)", text)
    if match is None:
        raise UsageError(f"variant {text!r} is not of the form method[@preset][+acceleration...]")
    spec: MethodSpec = METHODS[match["method"]]
    preset = match["preset"] or spec.presets[0]
    if preset not in spec.presets:
        raise UsageError(f"{spec.name} has no preset {preset!r}{did_you_mean(preset, spec.presets)}")
    accelerations = tuple(part for part in match["rest"].split("+") if part)
    for name in accelerations:
        if name not in ACCELERATIONS:
            raise UsageError(f"no acceleration is called {name!r}{did_you_mean(name, ACCELERATIONS)}")
    return Variant(method=spec.name, preset=preset, accelerations=accelerations)


def read_suite(name_or_path: str) -> Suite:
    """Read a suite that comes with thbench, by name, or any suite file, by path.

    Raises:
        UsageError: There is no such suite, or the file is not a valid one; the message names the field.
    """
    path = Path(name_or_path)
    if path.suffix == ".toml":
        if not path.is_file():
            raise UsageError(f"no suite file {path}; give the path of a TOML file or one of: {', '.join(_builtin())}")
        return _parse(path.read_text(encoding="utf-8"), str(path))
    known = _builtin()
    if name_or_path not in known:
        raise UsageError(f"no suite is called {name_or_path!r}{did_you_mean(name_or_path, known)}")
    return _parse(known[name_or_path], name_or_path)


def builtin_suites() -> list[Suite]:
    """All suites that come with thbench."""
    return [_parse(text, name) for name, text in _builtin().items()]


def select_variants(suite: Suite, only: str | None) -> tuple[Variant, ...]:
    """The suite's variants, or those that match the glob `only`.

    Raises:
        UsageError: Nothing matches, or a variant names nothing that exists.
    """
    chosen = [text for text in suite.variants if only is None or fnmatch.fnmatchcase(text, only)]
    if not chosen:
        raise UsageError(
            f"--only {only!r} matches no variant of suite {suite.name!r}; it has: {', '.join(suite.variants)}"
        )
    return tuple(parse_variant(text) for text in chosen)


def _builtin() -> dict[str, str]:
    folder = files("thbench") / "suites"
    found = {f.name.removesuffix(".toml"): f for f in folder.iterdir() if f.name.endswith(".toml")}
    return {name: found[name].read_text(encoding="utf-8") for name in sorted(found)}


def _parse(text: str, where: str) -> Suite:
    try:
        return Suite.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"suite {where} is not valid TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "suite"
        raise UsageError(
            f"suite {where}, field {field!r}: {first['msg']} (got {first['input']!r}); "
            f"fields are: {', '.join(Suite.model_fields)}"
        ) from error
