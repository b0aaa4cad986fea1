"""MoDA: talking heads by a multi-modal diffusion transformer over key-point motion (Li et al., arXiv 2507.03256)."""
