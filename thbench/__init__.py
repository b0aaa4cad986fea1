"""thbench measures talking-head generation: quality, speed and memory, with one stated protocol per number.

Importing this package, listing names and reading results need neither torch nor a GPU.
"""

from thbench._version import __version__

__all__ = ["__version__"]
