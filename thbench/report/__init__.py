"""Reports: from records to a leaderboard, and from a leaderboard to files and a table in the terminal."""

from thbench.report.aggregate import aggregate
from thbench.report.leaderboard import Leaderboard
from thbench.report.terminal import render_table
from thbench.report.write import write_files, write_report

__all__ = ["Leaderboard", "aggregate", "render_table", "write_files", "write_report"]
