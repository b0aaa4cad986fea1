"""DreamTalk: emotional talking heads by diffusion of 3DMM expression (Ma et al., arXiv 2312.09767)."""
