"""EchoMimic: audio-driven portrait animation (Chen et al., AAAI 2025, arXiv 2407.08136)."""
