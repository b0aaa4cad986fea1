"""Records the timings that the gate is tried on: `python tests/gate/record_timings.py OUT`, with nothing else running.

Four minutes on two cores. One method in many fresh processes one after the other; which of them stand for a baseline
and which for a candidate is drawn later, in each simulated comparison.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from thbench.cli import main
from thbench.cost.record import CostRecord, read_cost

METHOD = "mouth-warp"
COMMAND = (
    f"time {METHOD} --frames 25 --processes 150 --cold-starts 0 --rounds 6 --max-rounds 6 --min-seconds 0 --no-memory"
)
MEASURES = {"wall": "end-to-end", "processor": "processor"}


def condensed(record: CostRecord, command: str = COMMAND) -> dict[str, Any]:
    """What of a cost record the tests need: each measure's samples, process by process, in the order measured."""
    work, where = record.workload, record.conditions
    return {
        "method": METHOD,
        "command": f"thbench {command}",
        "workload": f"{work.frames} frames of {work.width} x {work.height}, fresh processes one after the other",
        "machine": f"{record.environment.cpu}, {record.environment.cores} cores, {record.environment.platform}",
        "created": record.created,
        "other_work": where.other_work,
        "seconds": {name: processes_of(record, measure) for name, measure in MEASURES.items()},
    }


def processes_of(record: CostRecord, measure: str) -> list[list[float]]:
    """Samples of each process, to a tenth of a microsecond."""
    found: dict[int, list[float]] = {}
    for trial in record.trials:
        if trial.kind == "measured":
            found.setdefault(trial.process, []).append(round(trial.seconds[measure], 7))
    return list(found.values())


def record(out: Path) -> None:
    """Measure and write."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cost.json"
        if code := main([*COMMAND.split(), "--quiet", "--json", str(file)]):
            sys.exit(code)
        out.write_text(json.dumps(condensed(read_cost(file))) + "\n")


if __name__ == "__main__":
    record(Path(sys.argv[1]))
