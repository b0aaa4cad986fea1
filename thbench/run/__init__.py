"""Runs: suites, jobs, workers, executors and the run folder."""
