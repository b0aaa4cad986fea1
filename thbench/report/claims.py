"""Statements that were put to the test: the files of a run folder that hold them, and how they are read.

A run folder may hold `claims.json` and any number of `claims/*.json`, one for each method, say. Each is an object:

```json
{
  "schema_version": 1,
  "claims": [
    {
      "method": "lightningcp",
      "statement": "Caching two thirds of the steps makes sampling three times as fast",
      "source": "AAAI-26 paper, Table 1, row Hallo / LightningCP",
      "expected": "3.15x",
      "measured": "2.82x (95 % interval 2.7 to 2.9, 40 pairs, hallo@mini, 2 cores)",
      "verdict": "fail",
      "reason": "the mini network is smaller, so that what cannot be cached weighs more",
      "variant": "hallo@mini+lightningcp",
      "command": "thbench time hallo --preset mini --accelerate lightningcp"
    }
  ]
}
```

| field | what it says |
|---|---|
| `method` | name in the registry; the claim stands on the pages of all its variants |
| `statement` | what is claimed, one sentence |
| `source` | paper, table or section |
| `expected` | what the paper says, or the bar, in its own number and unit |
| `measured` | what was found, with interval, n and unit; needed for `pass` and `fail`, absent for `not tested` |
| `verdict` | `pass`, `fail`, `cannot tell` or `not tested` |
| `reason` | what differs, or why it could not be told; needed for `cannot tell` and `not tested` |
| `variant` | on what it was measured; optional |
| `command` | what measures it again; optional |

Unknown fields, empty texts and a claim that stands in two files with different findings are refused, so that a report
never shows half of what was found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import StringConstraints, ValidationError, model_validator

from thbench.errors import UsageError
from thbench.run.files import write_atomically
from thbench.types import Document

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CLAIMS_FILE = "claims.json"
"""File of a run folder that holds claims."""
CLAIMS_FOLDER = "claims"
"""Folder of a run folder that holds more such files."""

Verdict = Literal["pass", "fail", "cannot tell", "not tested"]
"""What a test of a claim said."""
Sentence = Annotated[str, StringConstraints(min_length=1)]


class Claim(Document):
    """A statement of a paper that a run can confirm or not; see this module."""

    method: Sentence
    """Method name."""
    statement: Sentence
    """What is claimed, one sentence."""
    source: Sentence
    """Paper, table or section."""
    expected: Sentence
    """What the paper says, in its own number."""
    measured: Sentence | None = None
    """What was found here, with interval and unit; None where nothing was."""
    verdict: Verdict
    """Whether it holds."""
    reason: Sentence | None = None
    """Why it could not be tested, or what differs."""
    variant: Sentence | None = None
    """On what it was measured."""
    command: Sentence | None = None
    """What measures it again."""

    @model_validator(mode="after")
    def _says_what_its_verdict_needs(self) -> Claim:
        if self.verdict in {"pass", "fail"} and self.measured is None:
            raise ValueError(f"the verdict {self.verdict!r} needs what was measured")
        if self.verdict == "not tested" and self.measured is not None:
            raise ValueError("'not tested' with something measured; say 'cannot tell', 'pass' or 'fail'")
        if self.verdict in {"cannot tell", "not tested"} and self.reason is None:
            raise ValueError(f"the verdict {self.verdict!r} needs a reason")
        return self


class Claims(Document):
    """All claims of a run."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    claims: tuple[Claim, ...]
    """In the order in which they are shown."""


def read_claims(folder: Path) -> Claims | None:
    """What was claimed and tested, from `claims.json` and `claims/*.json` in order of their names.

    A claim that several files hold alike counts once.

    Returns:
        None if there is no such file.

    Raises:
        UsageError: A file is not of this layout, or two of them differ in what they found of one claim.
    """
    files = [path for path in (folder / CLAIMS_FILE, *sorted((folder / CLAIMS_FOLDER).glob("*.json"))) if path.exists()]
    found: dict[tuple[str, str, str | None], tuple[Claim, Path]] = {}
    for path in files:
        for claim in _read(path).claims:
            key = (claim.method, claim.statement, claim.variant)
            known, where = found.setdefault(key, (claim, path))
            if known != claim:
                raise UsageError(
                    f"{where} and {path} differ in the claim {claim.statement!r} of {claim.method}; remove one of them"
                )
    return Claims(claims=tuple(claim for claim, _ in found.values())) if files else None


def write_claims(folder: Path, name: str, claims: Iterable[Claim]) -> Path:
    """Write claims to `claims/NAME.json` of a run folder, in the place of those that it held.

    Raises:
        WriteError: The file cannot be written.
    """
    path = folder / CLAIMS_FOLDER / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, Claims(claims=tuple(claims)).model_dump_json(indent=1, exclude_none=True) + "\n")
    return path


def _read(path: Path) -> Claims:
    try:
        return Claims.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; write it again or remove it") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"{path} is no file of claims: {first['msg']}{f' in {field}' if field else ''}; correct it or remove it"
        ) from error
