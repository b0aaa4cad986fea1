"""Errors of reading and writing media."""

from __future__ import annotations

from thbench.errors import MediaError


class NoAudioError(MediaError):
    """The file is fine but has no sound."""
