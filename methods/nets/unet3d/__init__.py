"""The UNet over latent video that Hallo, EchoMimic and MEMO share.

Stable Diffusion 1.5's, with stages for reference, audio and motion behind each resnet.
"""
