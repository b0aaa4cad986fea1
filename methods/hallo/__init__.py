"""Hallo: hierarchical audio-driven portrait animation (Xu et al., 2024, arXiv 2406.08801)."""
