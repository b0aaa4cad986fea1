"""DAWN: talking heads by non-autoregressive diffusion (Cheng et al., arXiv 2410.13726).

Three networks. The latent flow generator (LFG) turns a portrait and a flow field into a frame. A2V-FDM denoises the
flow fields of a whole clip at once, conditioned on sound, pose and blinks. PBNet makes pose and blinks from sound. Key
names are those of the published checkpoints.
"""
