"""What a method costs: latency, memory, operations, and how far it runs from the machine's limit.

`record` holds the file format; everything else is imported by the commands `time` and `flops` when they need it.
"""

from thbench.cost.record import CostRecord, read_cost

__all__ = ["CostRecord", "read_cost"]
