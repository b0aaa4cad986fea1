"""The three tables of the paper as data.

Source: J. Long, W. Sun, R.-C. Tu, D. Tao, "Lightning Fast Caching-based Parallel Denoising Prediction for Accelerating
Talking Head Generation", AAAI 2026, pp. 7503-7511, arXiv 2509.00052; the AAAI version. Quality is on 100 clips each of
HDTF and MEAD; operations and seconds are of the denoising network alone, for one clip of fixed length on A800: base and
DeepCache on one GPU, the others on several, whose number is not given. There are no seeds, repeats or deviations.
"""

from __future__ import annotations

from thbench.types import Document

Quality = tuple[float, float, float, float]
"""FVD, FID, E-FID, Sync (confidence; higher is better)."""


class PublishedRow(Document):
    """One row of a table."""

    table: int
    """Of the paper."""
    model: str
    """As the paper names it."""
    variant: str
    """As the paper names it; `base` for no acceleration."""
    hdtf: Quality
    """On HDTF; in Table 3 on a subset of it, which is not comparable."""
    mead: Quality | None = None
    """On MEAD."""
    tflop: float | None = None
    """Operations per clip, 10^12."""
    seconds: float | None = None
    """Latency per clip."""
    speedup: float | None = None
    """Base latency over this one."""


def _row(table: int, model: str, variant: str, *numbers: float) -> PublishedRow:
    hdtf, mead, costs = numbers[:4], numbers[4:8], numbers[8:]
    names = ("tflop", "seconds", "speedup")
    return PublishedRow(
        table=table,
        model=model,
        variant=variant,
        hdtf=hdtf,  # type: ignore[arg-type]  # four numbers
        mead=mead or None,  # type: ignore[arg-type]  # four numbers or none
        **dict(zip(names, costs, strict=False)),
    )


TABLE_1 = (
    _row(1, "Hallo", "base", 135.32, 4.69, 0.157, 7.38, 153.42, 6.17, 0.297, 6.03, 2158.08, 23.692),
    _row(1, "Hallo", "DeepCache", 129.31, 4.62, 0.157, 7.52, 137.56, 6.26, 0.276, 6.15, 1041.28, 12.884, 1.84),
    _row(1, "Hallo", "FasterDiffusion", 140.56, 5.63, 0.200, 7.47, 168.72, 7.33, 0.285, 6.14, 1561.64, 9.032, 2.62),
    _row(1, "Hallo", "LightningCP", 121.80, 4.89, 0.178, 7.66, 158.62, 6.64, 0.277, 6.43, 671.40, 7.528, 3.15),
    _row(1, "MEMO", "base", 82.07, 3.40, 0.159, 8.10, 82.90, 5.63, 0.161, 6.06, 919.86, 14.934),
    _row(1, "MEMO", "DeepCache", 82.52, 3.42, 0.162, 8.17, 85.28, 5.66, 0.170, 6.09, 491.14, 9.212, 1.62),
    _row(1, "MEMO", "FasterDiffusion", 98.12, 4.17, 0.232, 8.23, 93.49, 5.89, 0.221, 6.24, 712.54, 6.740, 2.22),
    _row(1, "MEMO", "LightningCP", 80.23, 3.46, 0.163, 8.17, 79.18, 5.54, 0.171, 6.12, 406.08, 6.416, 2.33),
    _row(1, "EchoMimic", "base", 115.78, 4.43, 0.116, 5.75, 166.82, 5.43, 0.335, 4.89, 965.19, 10.491),
    _row(1, "EchoMimic", "DeepCache", 165.42, 4.57, 0.093, 5.86, 234.59, 6.65, 0.384, 4.83, 437.97, 5.460, 1.92),
    _row(1, "EchoMimic", "FasterDiffusion", 126.27, 4.69, 0.109, 5.90, 175.23, 5.67, 0.467, 4.79, 820.05, 4.788, 2.19),
    _row(1, "EchoMimic", "LightningCP", 116.94, 4.55, 0.103, 6.08, 195.57, 5.45, 0.391, 4.93, 286.77, 3.387, 3.10),
    _row(1, "EchoMimic Acc", "base", 145.35, 5.06, 0.196, 6.27, 213.72, 6.27, 0.361, 5.33, 90.27, 1.0458),
    _row(1, "EchoMimic Acc", "DeepCache", 146.56, 5.10, 0.203, 6.40, 214.52, 6.15, 0.367, 5.49, 67.49, 0.8268, 1.26),
    _row(
        1, "EchoMimic Acc", "FasterDiffusion", 143.41, 5.92, 0.226, 6.52, 157.62, 6.65, 0.331, 5.54, 68.93, 0.7680, 1.36
    ),
    _row(1, "EchoMimic Acc", "LightningCP", 136.14, 5.18, 0.201, 6.58, 192.90, 5.82, 0.359, 5.61, 60.52, 0.7236, 1.45),
)
"""Main results; Faster Diffusion has three more key steps on EchoMimic, as the paper says."""

TABLE_2 = (
    _row(2, "Hallo", "LCP", 124.62, 4.99, 0.189, 7.53, 151.8, 6.54, 0.268, 6.17, 745.72, 8.052, 2.94),
    _row(2, "Hallo", "LCP+DFA", 128.31, 5.10, 0.198, 7.57, 154.48, 6.79, 0.274, 6.19, 679.56, 7.688, 3.08),
    _row(2, "Hallo", "LCP+DFA+rm", 121.80, 4.89, 0.178, 7.66, 158.62, 6.64, 0.277, 6.43, 671.44, 7.528, 3.15),
    _row(2, "MEMO", "LCP", 83.32, 3.45, 0.169, 8.21, 80.26, 5.55, 0.168, 6.17, 411.02, 6.640, 2.25),
    _row(2, "MEMO", "LCP+DFA", 80.49, 3.43, 0.162, 8.16, 79.57, 5.50, 0.168, 6.11, 406.82, 6.500, 2.30),
    _row(2, "MEMO", "LCP+DFA+rm", 80.23, 3.46, 0.163, 8.17, 79.18, 5.54, 0.171, 6.12, 406.08, 6.416, 2.33),
    _row(2, "EchoMimic", "LCP", 136.87, 4.50, 0.098, 5.96, 218.06, 5.86, 0.384, 4.84, 319.26, 3.447, 3.04),
    _row(2, "EchoMimic", "LCP+DFA", 116.33, 4.64, 0.099, 5.98, 180.79, 5.56, 0.388, 4.94, 291.21, 3.405, 3.08),
    _row(2, "EchoMimic", "LCP+DFA+rm", 116.94, 4.55, 0.103, 6.08, 195.57, 5.45, 0.391, 4.93, 286.77, 3.387, 3.10),
    _row(2, "EchoMimic Acc", "LCP", 144.09, 5.15, 0.207, 6.50, 201.47, 5.99, 0.363, 5.50, 62.69, 0.7368, 1.42),
    _row(2, "EchoMimic Acc", "LCP+DFA", 138.24, 5.20, 0.206, 6.47, 179.33, 5.94, 0.359, 5.53, 61.33, 0.7326, 1.43),
    _row(2, "EchoMimic Acc", "LCP+DFA+rm", 136.14, 5.18, 0.201, 6.58, 192.90, 5.82, 0.359, 5.61, 60.52, 0.7236, 1.45),
)
"""Components; rm is reference feature removal."""

TABLE_3 = (
    _row(3, "Hallo", "without estimate", 208.46, 7.14, 0.355, 7.64),
    _row(3, "Hallo", "with estimate", 200.33, 7.04, 0.352, 7.63),
    _row(3, "EchoMimic", "without estimate", 460.21, 6.66, 0.226, 5.98),
    _row(3, "EchoMimic", "with estimate", 225.16, 6.22, 0.233, 6.05),
)
"""Input latent estimation, on a subset of HDTF."""
