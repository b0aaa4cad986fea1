"""The main job in one line: run the `mini` suite, time its methods, and leave the report under reports/.

Without options it runs on the talking heads that come with the package; `--data DIR` takes a folder of clips for the
baselines, and `--drawn` makes a few seconds of drawn test clips, which only show that everything works.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from thbench.cli import main as thbench
from thbench.report.names import base_of
from thbench.report.reading import read_leaderboard

if TYPE_CHECKING:
    from thbench.report.leaderboard import Leaderboard

ROOT = Path(__file__).resolve().parent
SHORT = ("--frames", "50", "--processes", "3", "--cold-starts", "0", "--rounds", "2", "--max-rounds", "2",
         "--min-seconds", "0", "--no-memory", "--quiet")  # fmt: skip
"""Options of a short measurement."""


def main() -> int:
    """Run the suite and copy its report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--data", type=Path, metavar="DIR", help="folder of clips (default: the embedded dataset)")
    source.add_argument("--drawn", action="store_true", help="a few seconds of drawn test clips instead")
    parser.add_argument("--suite", help="name or TOML file (default: mini; with --data or --drawn: baselines)")
    parser.add_argument("--workers", type=int, help="clips at a time (default: one for each core)")
    parser.add_argument("--work", type=Path, metavar="DIR", help="write below DIR instead of runs/ and reports/")
    args = parser.parse_args()
    work, reports = (args.work, args.work) if args.work else (ROOT / "runs", ROOT / "reports")
    suite = args.suite or suite_for_this_machine(own=args.drawn or args.data is not None)
    data = drawn_clips(work / "drawn-clips") if args.drawn else args.data
    run, report = work / "bench", reports / "latest"
    shutil.rmtree(run, ignore_errors=True)
    workers = ["--workers", str(args.workers)] if args.workers else []
    code = thbench(["run", suite, *(["--data", str(data)] if data else []), "--out", str(run), *workers])
    if data is None and (run / "leaderboard.json").is_file() and time_methods(run):
        thbench(["report", str(run), *validation()])
    if run.is_dir():
        report.mkdir(parents=True, exist_ok=True)
        for file in (*run.glob("leaderboard.*"), *run.glob("index.html")):
            shutil.copy2(file, report / file.name)
        for folder in ("site", "figures"):
            shutil.rmtree(report / folder, ignore_errors=True)
            if (run / folder).is_dir():
                shutil.copytree(run / folder, report / folder)
        print(f"Report: {report / 'index.html'}")
    return code


def time_methods(run: Path) -> bool:
    """Time every method of a run that scored a clip, beside its accelerations; return whether any was timed.

    Measurements are short: three processes say how fast a method is, not whether it became a little slower.
    """
    timed = False
    for number, (base, plan) in enumerate(sorted(plans_of(read_leaderboard(run / "leaderboard.json")))):
        method, _, preset = base.partition("@")
        options = ["--preset", preset] if preset else []
        options += ["--accelerate", plan.removeprefix("+")] if plan else []
        print(f"Timing {base}{plan}")
        file = run / "costs" / f"bench-{number}.json"
        timed |= thbench(["time", method, *options, *SHORT, "--json", str(file)]) == 0
    return timed


def plans_of(board: Leaderboard) -> set[tuple[str, str]]:
    """Methods with each of their accelerations; with an empty one where they have none."""
    scored = [r.variant for r in board.rows if r.kind == "method" and any(c.scored for c in r.cells.values())]
    found = {(base, variant.removeprefix(base)) for variant in scored if (base := base_of(variant)) in scored and base}
    return found | {(v, "") for v in scored if base_of(v) is None and v not in {base for base, _ in found}}


def validation() -> list[str]:
    """What draws the validation of the metrics in full, where it is here."""
    file = ROOT / "reports" / "validate-metrics.json"
    return ["--validation", str(file)] if file.is_file() else []


def suite_for_this_machine(*, own: bool) -> str:
    """`mini`, for clips of one's own `baselines`, or `mini-offline` where the face landmarker cannot be fetched."""
    if thbench(["weights", "get", "face-landmarker"]) == 0:
        return "baselines" if own else "mini"
    print(
        "The face landmarker could not be fetched: face metrics are listed as missing, and mouth-warp, which needs it, "
        "is left out (suite mini-offline)."
    )
    return "mini-offline"


def drawn_clips(folder: Path) -> Path:
    """Make the test clips, and say that they are no dataset."""
    from thbench.data.drawn_clips import write_drawn_clips

    print("Making three drawn test clips of 3 s. They show that everything works; they are no dataset.")
    write_drawn_clips(folder)
    return folder


if __name__ == "__main__":
    sys.exit(main())
