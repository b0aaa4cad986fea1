"""The main job in one line: run the `mini` suite and leave its report under reports/.

Without options it runs on the talking heads that come with the package; `--data DIR` takes a folder of clips, and
`--drawn` makes a few seconds of drawn test clips, which only show that everything works.
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
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--data", type=Path, metavar="DIR", help="folder of clips (default: the embedded dataset)")
    source.add_argument("--drawn", action="store_true", help="a few seconds of drawn test clips instead")
    parser.add_argument("--suite", help="name or TOML file (default: mini)")
    parser.add_argument("--workers", type=int, help="clips at a time (default: one for each core)")
    parser.add_argument("--work", type=Path, metavar="DIR", help="write below DIR instead of runs/ and reports/")
    args = parser.parse_args()
    work, reports = (args.work, args.work) if args.work else (ROOT / "runs", ROOT / "reports")
    suite = args.suite or suite_for_this_machine()
    data = drawn_clips(work / "drawn-clips") if args.drawn else args.data
    run, report = work / "bench", reports / "latest"
    shutil.rmtree(run, ignore_errors=True)
    workers = ["--workers", str(args.workers)] if args.workers else []
    code = thbench(["run", suite, *(["--data", str(data)] if data else []), "--out", str(run), *workers])
    if run.is_dir():
        report.mkdir(parents=True, exist_ok=True)
        for file in (*run.glob("leaderboard.*"), *run.glob("index.html")):
            shutil.copy2(file, report / file.name)
        shutil.rmtree(report / "site", ignore_errors=True)
        if (run / "site").is_dir():
            shutil.copytree(run / "site", report / "site")
        print(f"Report: {report / 'index.html'}")
    return code


def suite_for_this_machine() -> str:
    """`mini`, or `mini-offline` where the face landmarker is absent and cannot be fetched."""
    if thbench(["weights", "get", "face-landmarker"]) == 0:
        return "mini"
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
