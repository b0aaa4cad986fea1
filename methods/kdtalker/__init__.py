"""KDTalker: talking portraits by spatiotemporal diffusion of implicit key-points (Yang et al., arXiv 2503.12963)."""
