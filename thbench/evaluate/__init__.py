"""The one-pass engine: each video is decoded once and its faces are found once, whatever the number of metrics."""
