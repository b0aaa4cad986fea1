"""Datasets: from files to Clips."""
