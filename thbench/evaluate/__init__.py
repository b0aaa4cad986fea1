"""The one-pass engine: each video is decoded once and its faces are found once, whatever the number of metrics."""

from thbench.evaluate.engine import Scores, Settings, evaluate_clip

__all__ = ["Scores", "Settings", "evaluate_clip"]
