"""Checks our networks and functions against parity fixtures.

A fixture says how a published network behaves without holding its weights: it names the tensors of the published
checkpoint, a recipe that fills them, the inputs, and the outputs that the published code gave. An implementation that
accepts the same keys and gives the same outputs computes the same function.
"""

from thbench.parity.fixture import Fixture, find_fixtures, read_fixture
from thbench.parity.runner import Adapter, Agreement, Outcome, Report, check, find_targets

__all__ = [
    "Adapter",
    "Agreement",
    "Fixture",
    "Outcome",
    "Report",
    "check",
    "find_fixtures",
    "find_targets",
    "read_fixture",
]
