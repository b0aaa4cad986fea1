"""Tries every metric anew: refreshes `validate-metrics.*` here and the verdicts that come with the package.

Takes the arguments of `thbench validate-metrics`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from thbench.cli import main as thbench
from thbench.errors import ExitCode
from thbench.validate import verdicts
from thbench.validate.document import NAME, read_validation

REPORTS = Path(__file__).resolve().parent


def ship() -> None:
    """Make the verdicts of the package those of the report."""
    found = verdicts.verdicts_of(read_validation((REPORTS / NAME).with_suffix(".json")))
    path = Path(verdicts.__file__).with_name(verdicts.FILE)
    path.write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")


def refresh(arguments: list[str]) -> int:
    """Try the metrics; 1 if one fails what is expected of it, which its verdict says."""
    code = thbench(["validate-metrics", "--out", str(REPORTS), *arguments])
    if code in (ExitCode.OK, ExitCode.FAILED):
        ship()
    return code


if __name__ == "__main__":
    sys.exit(refresh(sys.argv[1:]))
