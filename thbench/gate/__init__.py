"""The regression gate: whether speed or quality really moved between two runs, and not only the machine's noise."""
