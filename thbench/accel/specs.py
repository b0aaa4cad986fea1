"""The accelerations that `thbench list accelerations` shows; entry points of `thbench.accelerations`."""

from __future__ import annotations

from thbench.spec import AccelerationSpec

PAPER = "Long et al., LightningCP, AAAI 2026, arXiv 2509.00052"

ACCELERATIONS = tuple(
    AccelerationSpec(name=name, title=title, source=source, factory=f"thbench.accel.named:{factory}")
    for name, title, source, factory in (
        ("lightningcp", "whole network at key steps only, its last layer between", PAPER, "lightningcp"),
        (
            "lightningcp-parallel",
            "the same, with all steps between two key steps predicted at once from estimated latents",
            PAPER,
            "lightningcp_parallel",
        ),
        ("dfa", "the last layer attends in the portrait's foreground between key steps", PAPER, "dfa"),
        ("refdrop", "the last layer reads no reference between key steps", PAPER, "refdrop"),
        (
            "deepcache",
            "last two up layers and first down layer between key steps",
            "Ma et al., DeepCache, CVPR 2024; horseee/DeepCache, original code at (0, 0)",
            "deepcache",
        ),
        (
            "deepcache-plugin",
            "last up layer between key steps, every third step a key step",
            "Ma et al., DeepCache, CVPR 2024; horseee/DeepCache, helper with branch 0 and interval 3",
            "deepcache_plugin",
        ),
        (
            "faster-diffusion",
            "decoder alone between key steps, all of them at once",
            "Li et al., Faster Diffusion, NeurIPS 2024; hutaiHang/Faster-Diffusion",
            "faster_diffusion_parallel",
        ),
        ("fewer-steps", "fewer denoising steps at LightningCP's cost", "the honest baseline", "same"),
        (
            "uniform-cache",
            "last layer between key steps of equal distance",
            "the plain form of caching",
            "uniform_caching",
        ),
        (
            "cfg-cache",
            "every second full pass runs the conditional half alone",
            "Lv et al., FasterCache, ICLR 2025, CFG-Cache",
            "cfg_cache",
        ),
        (
            "adaptive",
            "key steps decided at run time, by a bound on the change of the cached feature",
            "thbench; after Liu et al., TeaCache, CVPR 2025",
            "adaptive",
        ),
    )
)
"""All of them; those that decide which steps run are named first, and only one of them."""
