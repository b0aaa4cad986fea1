"""`python -m thbench` is the command `thbench`."""

import sys

from thbench.cli import main

sys.exit(main())
