"""The comparison as a page of Markdown."""

from __future__ import annotations

from dataclasses import dataclass

from peer_measure import SET_TURNS, Run, difference, gflop, machine, number, row
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


Parts = dict[str, dict[str, Run]]
ByThreads = dict[int, dict[str, Run]]


@dataclass(frozen=True)
class Bar:
    """One demand and what was measured."""

    text: str
    measured: float
    least: float
    fast: bool = False
    """Whether it is one of the speed of the mode `fast`, which needs a processor that multiplies 8-bit numbers."""

    @property
    def met(self) -> bool:
        return self.measured >= self.least


def bars(found: Parts, whole: ByThreads, apart: ByThreads, step: dict[int, dict[str, Run]]) -> list[Bar]:
    """Ratios of the peers' cost to ours, and of what is accepted to what differs: each must reach its least."""

    def ratio(part: str, side: str) -> float:
        return found[part]["peer"].cost.cpu / found[part][side].cost.cpu

    listed = []
    for mode, least in (("exact", 1.8), ("fast", 3.5)):
        for threads, unit in ((1, "cpu"), (2, "wall")):
            total = sum(getattr(run.cost, unit) for run in apart[threads].values())
            measured = total / getattr(whole[threads][mode].cost, unit)
            words = "CPU seconds, one thread" if unit == "cpu" else "wall time, two threads"
            listed.append(Bar(f"complete set, {mode}: {words}", measured, least, mode == "fast"))
        for threads, runs in apart.items():
            largest = max(run.cost.peak_mib for run in runs.values())
            peak = whole[threads][mode].cost.peak_mib
            listed.append(
                Bar(f"complete set, {mode}: largest peer's peak memory, {threads} threads", largest / peak, 1)
            )
    listed.append(Bar("SSIM, exact: CPU seconds", ratio("SSIM", "exact"), 4))
    listed.append(Bar("LSE on a cropped clip, exact: CPU seconds", ratio("LSE scoring", "exact"), 1.7))
    listed.append(Bar("LSE on a cropped clip, fast: CPU seconds", ratio("LSE scoring", "fast"), 2.4, fast=True))
    peer, ours = found["LSE scoring"]["peer"].arrays, found["LSE agreement"]
    curve = difference({"curve": ours["exact"].arrays["curve"]}, {"curve": peer["curve"]})
    listed.append(Bar("LSE, exact: 1e-4 over the difference of the curves", 1e-4 / max(curve or 0, 1e-12), 1))
    for name in ("lse_c", "lse_d"):
        gap = abs(float(ours["fast"].arrays[name][0] / peer[name][0]) - 1)
        listed.append(Bar(f"LSE, fast: 1 % over the difference of {name}", 0.01 / max(gap, 1e-12), 1))
    for count, least in ((500, 20), (5000, 4)):
        runs = step[count]
        listed.append(
            Bar(f"Frechet step, N = {count}: CPU seconds", runs["peer"].cost.cpu / runs["exact"].cost.cpu, least)
        )
    return listed


def bars_table(listed: list[Bar]) -> list[str]:
    """Every demand, and whether it is met."""
    lines = [
        row("peer / ours (for agreement: accepted / measured)", "at least", "measured", ""),
        row("---", "---:", "---:", "---"),
    ]
    lines += [row(b.text, f"{b.least:g}", f"{b.measured:.2f}", "met" if b.met else "**not met**") for b in listed]
    return lines


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
                *(number(work / _rate(rates, name) if work else None) for name in ("exact", "fast")),
            )
        )
    return lines


def _rate(rates: dict[str, float], mode: str) -> float:
    """The fastest way to a mode's numbers: those of 8 bits may be multiplied in float32 as well."""
    return rates["exact"] if mode == "exact" else max(rates.values())


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


def frechet_table(step: dict[int, dict[str, Run]]) -> list[str]:
    """The Frechet step by the number of samples."""
    lines = [row("N", "peer s", "ours s", "x", "relative difference"), row(*["---:"] * 5)]
    for count, runs in step.items():
        peer, ours = (runs[side] for side in ("peer", "exact"))
        cells = [number(v, 3) for v in (peer.cost.cpu, ours.cost.cpu)]
        gap = difference(ours.arrays, peer.arrays)
        lines.append(row(str(count), *cells, number(peer.cost.cpu / ours.cost.cpu, 1), f"{gap:.1e}"))
    return lines


def values_table(whole: dict[str, Run]) -> list[str]:
    """What `fast` changes in the values themselves."""
    lines = [row("metric", "exact", "fast", "relative difference"), row("---", "---:", "---:", "---:")]
    for name in ("fid", "fvd", "lpips", "csim", "lse_c", "lse_d"):
        exact, fast = (float(whole[mode].arrays[name][0]) for mode in ("exact", "fast"))
        lines.append(row(name, f"{exact:.5g}", f"{fast:.5g}", f"{abs(fast - exact) / abs(exact):.1e}"))
    return lines


def page(sections: dict[str, list[str]], frames: int, clip: str, rates: dict[str, float], loads: list[float]) -> str:
    """All tables with what must be known to read them."""
    slow = (
        ""
        if rates["fast"] > rates["exact"]
        else (
            " This processor has no 8-bit products, so `fast` multiplies in float32 and saves the detector alone: its "
            "floor is that of `exact`."
        )
    )
    text = [
        "# Ours beside the peers",
        "",
        f"Written by `pytest tests/benchmarks/peers`. {frames} frames of the real clip {clip} and a worse copy of it; "
        "the same random weights on both sides; each side in a process of its own, turn by turn; the complete set "
        f"{SET_TURNS} times (medians). Seconds are CPU seconds of one thread unless they say wall. Importing packages "
        "and loading weights are left out on both sides, reading the videos is not (but for SSIM alone). The peers "
        "begin with the files that they take: PNG, JPEG and WAV made by ffmpeg. insightface gets the key points for "
        "nothing, and the crop of the SyncNet pipeline, its shot detection and its re-encoding are "
        "not counted, because its detector finds no faces with random weights. `exact` and `fast` are "
        "the modes of `thbench eval --mode`; metrics of the latter have names that end in `.fast`.",
        "",
        f"Machine: {machine()}; load {min(loads):.1f} to {max(loads):.1f}. Convolution rate (the floors): "
        f"{rates['exact']:.0f} GFLOP/s float32, {rates['fast']:.0f} 8 bits, one thread.{slow}",
    ]
    for title, lines in sections.items():
        text += ["", f"## {title}", "", *lines]
    return "\n".join(text) + "\n"
