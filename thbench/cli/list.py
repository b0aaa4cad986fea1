"""`thbench list`: names and one line each, without importing what they name."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from thbench.errors import ExitCode
from thbench.spec import WeightSpec

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping

    from thbench.cli.entry import Subparsers

Row = dict[str, Any]


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "list", help="names of methods, metrics, accelerations, datasets, suites and weights"
    )
    parser.add_argument("what", choices=sorted(LISTINGS), help="what to list")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the listing."""
    rows = LISTINGS[args.what]()
    if args.json:
        sys.stdout.write(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
        return ExitCode.OK
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        note = f"  [{row['missing']}]" if row.get("missing") else ""
        sys.stdout.write(f"{row['name']:<{width}}  {row['title']}{note}\n")
    if not rows:
        sys.stdout.write(f"no {args.what} are installed\n")
    return ExitCode.OK


def _methods() -> list[Row]:
    from thbench.registry import METHODS

    return [
        {"name": s.name, "title": s.title, "kind": s.kind, "presets": list(s.presets), "controls": dict(s.controls)}
        for s in METHODS.values()
    ]


def _metrics() -> list[Row]:
    from thbench.metrics.available import lack_of
    from thbench.registry import METRICS

    return [
        {
            "name": s.name,
            "title": s.title,
            "direction": s.direction,
            "unit": s.unit,
            "protocol": s.protocol,
            "source": s.source,
            "missing": lack_of(s),
        }
        for s in METRICS.values()
    ]


def _accelerations() -> list[Row]:
    from thbench.registry import ACCELERATIONS

    return [{"name": s.name, "title": s.title, "source": s.source} for s in ACCELERATIONS.values()]


def _datasets() -> list[Row]:
    from thbench.registry import DATASETS

    return [{"name": s.name, "title": s.title, "licence": s.licence, "source": s.source} for s in DATASETS.values()]


def _suites() -> list[Row]:
    from thbench.run.suite import builtin_suites

    return [{"name": s.name, "title": s.title, "variants": list(s.variants)} for s in builtin_suites()]


def _weights() -> list[Row]:
    from thbench.backbones.weights import about, command_for, find, known_names

    rows = []
    for name in known_names():
        found = about(name)
        size = f"{found.bytes / 1e6:.1f} MB, " if isinstance(found, WeightSpec) else ""
        rows.append(
            {
                "name": name,
                "title": f"{found.file}, {size}{found.licence}; {found.used_for}",
                "sha256": found.sha256 if isinstance(found, WeightSpec) else None,
                "missing": None if find(name) else f"absent: {command_for(name)}",
            }
        )
    return rows


LISTINGS: Mapping[str, Callable[[], list[Row]]] = {
    "methods": _methods,
    "metrics": _metrics,
    "accelerations": _accelerations,
    "datasets": _datasets,
    "suites": _suites,
    "weights": _weights,
}
"""What can be listed, and how."""
