"""LightningCP's published tables (Long et al., AAAI 2026, arXiv 2509.00052); its sampling is in `thbench.accel`."""
