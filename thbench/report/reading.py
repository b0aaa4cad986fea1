"""Reads `leaderboard.json` of this and of every older version."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from thbench.errors import UsageError
from thbench.report.leaderboard import Leaderboard

if TYPE_CHECKING:
    from pathlib import Path


def read_leaderboard(path: Path) -> Leaderboard:
    """Read a leaderboard, whatever version of thbench wrote it.

    Raises:
        UsageError: The file is absent, no leaderboard, or of a newer layout.
    """
    try:
        return leaderboard_from(json.loads(path.read_bytes()))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; give the leaderboard.json of a report") from error
    except (ValueError, ValidationError) as error:
        raise UsageError(f"{path} is no leaderboard: {error}; write it again with thbench report RUN") from error


def leaderboard_from(content: Any) -> Leaderboard:
    """The leaderboard of parsed JSON.

    Raises:
        ValueError: It is none, or of a newer layout than this thbench reads.
    """
    if not isinstance(content, dict) or not isinstance(content.get("schema_version", 1), int):
        raise ValueError("it is no object with a schema_version")
    newest = Leaderboard.model_fields["schema_version"].default
    version = content.get("schema_version", 1)
    if version > newest:
        raise ValueError(f"its layout {version} is newer than {newest}, the newest that this thbench reads")
    # Newer layouts have only added fields so far, each with a default, so that older ones need no conversion.
    return Leaderboard.model_validate_json(json.dumps(content))
