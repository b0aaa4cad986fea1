"""SVP: style-enhanced vivid portrait talking head diffusion (Tan et al., 2024, arXiv 2409.03270)."""
