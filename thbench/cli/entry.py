"""The way from what was typed to the command.

Only the file of the command that was typed is imported, so that `thbench --help` and `thbench list` answer at once. A
command file has `add_parser(subparsers)`, which sets `run` as the parser's default, and `run(args) -> int`.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import TYPE_CHECKING, NoReturn

from thbench._version import __version__
from thbench.errors import EXTRA_OF_PACKAGE, ExitCode, MissingExtraError, ThbenchError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

COMMANDS: Mapping[str, str] = {
    "list": "names of methods, metrics, accelerations, datasets, suites and weights",
    "run": "generate, evaluate, aggregate and report a suite",
    "eval": "evaluate existing videos against reference videos",
    "report": "write the leaderboard of a run again",
    "paper": "the published tables of a method beside a run",
    "time": "latency and memory of a method, against itself unaccelerated",
    "flops": "operations, parameters and bytes of a method's networks",
    "compare": "paired differences of two runs, with intervals",
    "gate": "whether a candidate run is worse than its baseline, by rules",
    "parity": "check our networks against parity fixtures",
    "weights": "list, get, verify and locate weight files",
    "data": "build, list and check datasets",
    "train": "train a method's preset",
    "validate-metrics": "each metric against graded degradations with known order",
    "doctor": "what is here, what is missing, and how to get it",
}
"""Command name to its line in the help."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose usage errors exit with 3, as all of thbench's do."""

    def error(self, message: str) -> NoReturn:
        """Print the error and how to get help, then exit."""
        self.exit(int(ExitCode.USAGE), f"{self.prog}: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments after the program's name; None takes those of the process.

    Returns:
        An `ExitCode`, or 130 after Ctrl-C.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        args = parse(arguments)
        return int(args.run(args))
    except ThbenchError as error:
        sys.stderr.write(f"thbench: {error}\n")
        return int(error.exit_code)
    except ModuleNotFoundError as error:
        return _missing_package(error, next((a for a in arguments if not a.startswith("-")), ""))
    except KeyboardInterrupt:
        sys.stderr.write("thbench: interrupted; finished clips are kept, add --resume to go on\n")
        return 130
    except BrokenPipeError:
        # The reader (`| head`) has seen enough; nothing is wrong.
        sys.stderr.close()
        return int(ExitCode.OK)


def _missing_package(error: ModuleNotFoundError, command: str) -> int:
    """Name the extra that brings a package; one that no extra brings is a defect and keeps its traceback."""
    package = (error.name or "").partition(".")[0]
    if package not in EXTRA_OF_PACKAGE:
        raise error
    missing = MissingExtraError(package, EXTRA_OF_PACKAGE[package], f"thbench {command}")
    sys.stderr.write(f"thbench: {missing}\n")
    return int(missing.exit_code)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse arguments, importing only the file of the command that they name."""
    parser = Parser(prog="thbench", description="Measures talking-head generation.")
    parser.add_argument("--version", action="version", version=f"thbench {__version__}")
    typed = next((a for a in arguments if not a.startswith("-")), None)
    if typed is not None and typed not in COMMANDS:
        parser.error(f"no command is called {typed!r}{did_you_mean(typed, COMMANDS)}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, line in COMMANDS.items():
        if name == typed:
            importlib.import_module(f"thbench.cli.{name.replace('-', '_')}").add_parser(subparsers)
        else:
            subparsers.add_parser(name, help=line)
    return parser.parse_args(arguments)
