"""The autoencoder of latent diffusion: pictures to latents and back (Rombach et al., CVPR 2022)."""
