"""FLAP: fully controllable audio-driven portraits by 3-D head conditions (Mu et al., IJCAI 2025, arXiv 2502.19455)."""
