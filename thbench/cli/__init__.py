"""The command line: one thin file per command.

The functions live in `entry`: importing the commands `list`, `eval` and `run` puts modules of these names here.
"""

from thbench.cli.entry import main

__all__ = ["main"]
