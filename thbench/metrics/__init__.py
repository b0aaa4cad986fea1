"""Metrics: one family per file; pure functions, and observers that feed them from the one-pass engine."""
