"""The comparison as a page of Markdown."""

from __future__ import annotations

from peer_measure import Run, difference, gflop, machine, number, row
from peer_theirs import COMPLETE

PEERS = {
    "FID features, pytorch-fid": "pytorch-fid",
    "FID features, clean-fid": "clean-fid",
    "FID features, torch-fidelity": "torch-fidelity",
    "FID features, torchmetrics": "torchmetrics",
    "FVD logits": "cd-fvd (I3D)",
    "LSE detection": "syncnet-python (S3FD)",
    "LSE scoring": "syncnet-python",
    "CSIM embeddings": "insightface",
    "LPIPS alex": "lpips",
    "SSIM": "scikit-image",
    "Landmarks": "MediaPipe",
}


def parts_table(found: dict[str, dict[str, Run]], frames: int, side: int, rates: dict[str, float]) -> list[str]:
    """CPU seconds on one thread, peak memory, difference and the floor of the machine for each part."""
    head = ("part", "peer", "peer s", "exact s", "fast s", "exact x", "fast x", "memory exact/peer")
    head += ("difference exact", "difference fast", "floor exact s", "floor fast s")
    lines = [row(*head), row("---", "---", *["---:"] * 10)]
    for part, runs in found.items():
        if part not in PEERS:
            continue
        peer, exact, fast = (runs[name] for name in ("peer", "exact", "fast"))
        # What the peer scores went through its lossy conversions: agreement is that on its own frames.
        same = found["LSE agreement"] if part == "LSE scoring" else runs
        work = gflop(part, frames, side)
        lines.append(
            row(
                part,
                PEERS[part],
                *(number(r.cost.cpu) for r in (peer, exact, fast)),
                *(number(peer.cost.cpu / r.cost.cpu) for r in (exact, fast)),
                number(exact.cost.peak_mib / peer.cost.peak_mib),
                *(_gap(part, same[name], peer) for name in ("exact", "fast")),
                *(number(work / rates[name] if work else None) for name in ("exact", "fast")),
            )
        )
    return lines


def _gap(part: str, ours: Run, peer: Run) -> str:
    comparable = part not in ("LSE detection", "Landmarks")
    gap = difference(ours.arrays, peer.arrays) if comparable else None
    return "-" if gap is None else f"{gap:.1e}"


def complete_table(
    whole: dict[int, dict[str, Run]], apart: dict[int, dict[str, Run]], step: dict[str, Run]
) -> list[str]:
    """Everything at once against the peers one after another, without and with the Frechet step of FID."""
    lines = [row("threads", "unit", "peers", "exact", "fast", "exact x", "fast x"), row(*["---:"] * 7)]
    for threads in whole:
        ours = {name: whole[threads][name].cost for name in ("exact", "fast")}
        theirs = [apart[threads][part].cost for part in COMPLETE]
        for unit in ("cpu", "wall"):
            total = sum(getattr(cost, unit) for cost in theirs)
            each = {name: getattr(cost, unit) for name, cost in ours.items()}
            ratios = [total / each[name] for name in ("exact", "fast")]
            cells = [number(value, 1) for value in (total, each["exact"], each["fast"])]
            lines.append(row(str(threads), f"{unit} s, per clip pair", *cells, *map(number, ratios)))
            total += getattr(step["peer"].cost, unit)
            ratios = [total / each[name] for name in ("exact", "fast")]
            cells[0] = number(total, 1)
            lines.append(row(str(threads), f"{unit} s, with Frechet (N = 500)", *cells, *map(number, ratios)))
        largest = max(cost.peak_mib for cost in theirs)
        peaks = [ours[name].peak_mib for name in ("exact", "fast")]
        cells = [number(value, 0) for value in (largest, *peaks)]
        lines.append(row(str(threads), "peak MiB (largest peer)", *cells, *(number(largest / p) for p in peaks)))
    return lines


def values_table(whole: dict[str, Run]) -> list[str]:
    """What `fast` changes in the values themselves."""
    lines = [row("metric", "exact", "fast", "relative difference"), row("---", "---:", "---:", "---:")]
    for name in ("fid", "fvd", "lpips", "csim", "lse_c", "lse_d"):
        exact, fast = (float(whole[mode].arrays[name][0]) for mode in ("exact", "fast"))
        lines.append(row(name, f"{exact:.5g}", f"{fast:.5g}", f"{abs(fast - exact) / abs(exact):.1e}"))
    return lines


def page(sections: dict[str, list[str]], frames: int, clip: str, rates: dict[str, float]) -> str:
    """All tables with what must be known to read them."""
    text = [
        "# Ours beside the peers",
        "",
        f"Written by `pytest tests/benchmarks/peers`. {frames} frames of the real clip {clip} and a worse copy of it; "
        "the same random weights on both sides; each side in a process of its own, turn by turn. Seconds are CPU "
        "seconds of one thread unless they say wall. Loading of weights is left out on both sides, reading the videos "
        "is not (but for SSIM alone). The peers begin with the files that they take: PNG, JPEG and WAV made by ffmpeg. "
        "insightface gets the key points for nothing, and the crop of the SyncNet pipeline, its shot detection and its "
        "re-encoding are not counted, because its detector finds no faces with random weights. `exact` and `fast` are "
        "the modes of `thbench eval --mode`; metrics of the latter have names that end in `.fast`.",
        "",
        f"Machine: {machine()}. Convolution rate (the floors): {rates['exact']:.0f} GFLOP/s float32, "
        f"{rates['fast']:.0f} bfloat16, one thread.",
    ]
    for title, lines in sections.items():
        text += ["", f"## {title}", "", *lines]
    return "\n".join(text) + "\n"
