"""PoseTalk: head pose from text and sound, lips refined from low to high resolution (Ling et al., arXiv 2409.02657).

Pose Latent Diffusion makes a track of head pose and gaze. CoarseNet moves the portrait along it, RefineNet moves the
lips of the result, the Portrait Enhancer repairs it. No code and no weights were published: blocks are the paper's, and
sizes that it does not give are those of the methods it builds on (Motion Latent Diffusion, PIRenderer), as `config`
says.
"""
