"""What a processor gains by numbers of lower precision."""

from __future__ import annotations

from functools import cache

import torch


@cache
def processor_multiplies_int8() -> bool:
    """Whether this CPU multiplies and adds numbers of 8 bits in one go (VNNI or AMX) and sums them exactly.

    Measured with AVX-512 VNNI: 340 to 710 GFLOP/s in a convolution, against 60 to 110 in float32. Older processors
    would add pairs of products in 16 bits, which can overflow.
    """
    known = torch.cpu.get_capabilities()
    return any(known.get(name, False) for name in ("avx512_vnni", "avx_vnni", "amx_int8"))


@cache
def processor_gains_by_bfloat16() -> bool:
    """Whether convolutions of bfloat16 take less time than those of float32 on this CPU.

    They do with matrix units (AMX) and on AMD's AVX-512. Intel's vector units multiply bfloat16 at half the rate of
    float32 (measured: 89 against 157 GFLOP/s in a convolution), and older processors only emulate it.
    """
    known = torch.cpu.get_capabilities()
    vectors = known.get("avx512_bf16", False) and "Intel" not in str(known.get("cpu_name"))
    return bool(known.get("amx_bf16") or known.get("arm_bf16") or vectors)
