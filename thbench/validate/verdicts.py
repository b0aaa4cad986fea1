"""The verdicts on the metrics that come with thbench: what `thbench validate-metrics` found when it was released."""

from __future__ import annotations

from importlib.resources import files
from typing import Literal

from thbench.types import Document
from thbench.validate.document import MetricVerdict, Validation

FILE = "verdicts.json"
"""Beside this module."""


class Verdicts(Document):
    """The verdicts of a validation, without what was measured."""

    schema_version: Literal[1] = 1
    thbench: str
    """Version."""
    created: str
    """When the validation was made, ISO 8601, UTC."""
    verdicts: tuple[MetricVerdict, ...]


def verdicts_of(validation: Validation) -> Verdicts:
    """The verdicts of a validation; the file of the package is made of that under `reports/`."""
    return Verdicts(thbench=validation.thbench, created=validation.created, verdicts=validation.verdicts)


def shipped_verdicts() -> tuple[MetricVerdict, ...]:
    """The verdicts that come with thbench; none where an installation lacks their file."""
    try:
        text = (files("thbench") / "validate" / FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    return Verdicts.model_validate_json(text).verdicts
