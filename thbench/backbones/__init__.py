"""Frozen networks that metrics need, in the key names of their published weight files."""
