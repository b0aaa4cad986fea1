"""The main job in one line: run the `mini` suite and leave its report under reports/.

`python run_bench.py --data DIR` takes a folder of clips; without it a few seconds of drawn test clips are made.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from thbench.cli import main as thbench

ROOT = Path(__file__).resolve().parent


def main() -> int:
    """Run the suite and copy its report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of clips (default: drawn test clips)")
    parser.add_argument("--suite", default="mini", help="name or TOML file (default: mini)")
    parser.add_argument("--workers", type=int, help="clips at a time (default: one for each core)")
    parser.add_argument("--work", type=Path, metavar="DIR", help="write everything below DIR (default: runs/, reports/)")
    args = parser.parse_args()
    work, reports = (args.work, args.work) if args.work else (ROOT / "runs", ROOT / "reports")
    if thbench(["weights", "get", "face-landmarker"]) != 0:
        print("Without the face landmarker, face metrics are listed as missing.", file=sys.stderr)
    data = args.data or drawn_clips(work / "drawn-clips")
    run, report = work / "bench", reports / "latest"
    shutil.rmtree(run, ignore_errors=True)
    workers = ["--workers", str(args.workers)] if args.workers else []
    code = thbench(["run", args.suite, "--data", str(data), "--out", str(run), *workers])
    if run.is_dir():
        report.mkdir(parents=True, exist_ok=True)
        for file in run.glob("leaderboard.*"):
            shutil.copy2(file, report / file.name)
        print(f"Report: {report}")
    return code


def drawn_clips(folder: Path) -> Path:
    """Make the test clips, and say that they are no dataset."""
    from thbench.data.drawn_clips import write_drawn_clips

    print("No --data given: making three drawn test clips of 3 s. They show that all works; they are no dataset.")
    write_drawn_clips(folder)
    return folder


if __name__ == "__main__":
    sys.exit(main())
