"""Runs for tests of the site: small ones with every oddity, and one of full size made of synthetic records."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from report_helpers import metric, planned, recipe, record, run_info

from thbench.accel.receipts import Difference, Receipt
from thbench.cost.counted import PartCount, WorkCount
from thbench.cost.record import Bytes, Conditions, CostRecord, MemoryTrial, Protocol, Trial, Workload
from thbench.cost.summary import compare, summarise
from thbench.report.claims import Claim, Claims, write_claims
from thbench.report.receipts import VariantReceipt, write_receipts
from thbench.run.environment import Environment
from thbench.run.features import write_features
from thbench.run.store import RunStore
from thbench.types import GROUND_TRUTH, Audio, Record

NASTY = (
    '<img src=x onerror="document.title=1">',
    "</script><script>document.title=2</script>",
    "\"quoted\" & 'single' `ticks` {{ 7 * 7 }} ${x}",
    r"\alpha_{1} % $x^2$ # ~ \end{document}",
    "emoji 🧑‍🎤 and combining é",
    "שלום עולם",
    "\u202etxt.exe",
    "n" * 200,
    "a/../../b\\c:*?|",
    "javascript:alert(1)",
    "NaN",
    "",
)
"""Names that a careless page would run, swallow or tear apart."""

METRICS = {
    "lse-c/x": metric("lse-c/x", direction="higher", unit="1", protocol='"p" <b>&'),
    "psnr": metric("psnr"),
    "m-lmd/eat": metric("m-lmd/eat", direction="lower", unit="px"),
    "pose-div/deg": metric("pose-div/deg", direction="closer-to-real", unit="deg"),
    "blink-rate": metric("blink-rate", direction="none", unit="1/s"),
    "fid/none": metric("fid/none", direction="lower", unit="1"),
}
RECIPE = recipe(metrics=METRICS)
METHODS = ("alpha@mini", "alpha@mini+fast", "beta@mini")


def write_run(folder: Path, *, extra: Sequence[str] = (), clips: int = 8, shift: float = 0.0) -> RunStore:
    """A run with every way to have no value, and with rows of the names in `extra`."""
    rows = [GROUND_TRUTH, "static-portrait", *METHODS, *extra]
    plan = [
        planned(f"{r}-{c}", variant=name, clip=f"clip {c}", identity=f"who{c // 2}", recipe=RECIPE.key)
        for r, name in enumerate(rows)
        for c in range(clips)
    ]
    info = run_info(RECIPE, planned=plan, kinds={"static-portrait": "baseline"}, status="success")
    rng = random.Random(7)
    store = RunStore.create(folder, info)
    with store:
        for entry in plan:
            if not (entry.variant == "beta@mini" and entry.clip == "clip 7"):
                store.append(_record(entry.key, entry.variant, entry.clip, entry.identity, rng, shift))
    return store


def _record(key: str, variant: str, clip: str, identity: str, rng: random.Random, shift: float) -> Record:
    real = variant == GROUND_TRUTH
    where = {"variant": variant, "clip": clip, "identity": identity, "recipe": RECIPE.key}
    if variant == "beta@mini" and clip == "clip 6":
        return record(key, None, **where, status="failed", error='it said "<no frames>"')
    values = {
        "lse-c/x": rng.gauss(7.0, 0.4) + shift * (not real),
        "psnr": math.inf if real else rng.gauss(30, 2),
        "m-lmd/eat": 0.0 if real else abs(rng.gauss(2, 0.3)),
        "pose-div/deg": rng.gauss(8, 1),
        "blink-rate": math.nan if clip == "clip 1" else rng.random(),
    }
    return record(key, None, **where, values=values, missing={"fid/none": "needs weights <none>"})


def add_videos(store: RunStore, *, clips: int = 2, seconds: float = 4.0, size: int = 64) -> None:
    """Give the first clips of every row a small video with sound, and curves."""
    from thbench.media import write_video

    folder = store.folder
    chosen = {f"clip {c}" for c in range(clips)}
    frames = round(seconds * 25)
    time = np.arange(frames) / 25
    tone = 0.2 * np.sin(np.arange(int(seconds * 16000)) * 0.2) * (np.arange(int(seconds * 16000)) % 8000 < 4000)
    records = [r for r in store.read().records if r.clip in chosen and r.status == "ok"]
    for place, one in enumerate(records):
        name = f"videos/v{place}.mp4"
        (folder / "videos").mkdir(exist_ok=True)
        write_video(
            folder / name, _frames(place, frames, size), 25, quality="view", audio=Audio(tone.astype("f4"), 16000)
        )
        rows = np.stack([0.05 + 0.04 * np.sin(time * 9 + place), *(np.sin(time + i + place) * 9 for i in range(3))], 1)
        rows[3] = np.nan
        features = write_features(folder, one.key, {"curves": rows.astype(np.float32)})
        store.append(one.model_copy(update={"video": name, "features": features, "attempt": 1}))


def _frames(place: int, count: int, size: int) -> list[np.ndarray]:
    frames = []
    for i in range(count):
        frame = np.full((size, size, 3), 40 + 20 * (place % 6), np.uint8)
        frame[:, : 1 + i * size // count] = 200
        frames.append(frame)
    return frames


def write_large_run(folder: Path, *, variants: int, metrics: int, clips: int) -> None:
    """A run folder of synthetic records, written without waiting for the disk."""
    names = [f"family{m % 7}/metric{m}" for m in range(metrics)]
    directions = ("higher", "lower", "closer-to-real")
    described = {n: metric(n, direction=directions[i % 3], unit="1") for i, n in enumerate(names)}
    large = recipe(metrics=described)
    rows = [GROUND_TRUTH, *(f"method-{v}@paper" for v in range(variants - 1))]
    folder.mkdir(parents=True)
    info = run_info(large, status="success")
    (folder / "run.json").write_text(info.model_dump_json(), encoding="utf-8")
    rng = np.random.default_rng(1)
    with (folder / "clips-made-1-0.jsonl").open("w", encoding="utf-8") as file:
        for v, variant in enumerate(rows):
            values = rng.normal(v * 0.01, 1.0, (clips, metrics)).round(5).tolist()
            for c, line in enumerate(values):
                made = {
                    "schema_version": 1, "key": f"{v:03}-{c:04}", "variant": variant, "clip": f"clip{c:04}",
                    "identity": f"who{c % 100}", "status": "ok", "recipe": large.key,
                    "values": dict(zip(names, line, strict=True)),
                }  # fmt: skip
                file.write(json.dumps(made) + "\n")


def cost_record(variants: Sequence[str], ratios: Sequence[float], *, clip: str = "clip 0", seed: int = 3) -> CostRecord:
    """A measurement of variants that take `ratios` of a second, in six processes, with memory and operations."""
    rng = random.Random(seed)
    trials = [
        Trial(
            variant=variant,
            kind="measured",
            process=process,
            round=number,
            position=place,
            seconds={
                "end-to-end": (seconds := ratio * math.exp(rng.gauss(0, 0.02))),
                "frame": seconds / 100,
                "real-time-factor": seconds / 4,
                "stage/denoise": seconds * 0.7,
                "stage/render": seconds * 0.3,
            },
        )
        for process in range(6)
        for number in range(3)
        for place, (variant, ratio) in enumerate(zip(variants, ratios, strict=True))
    ]
    memory = tuple(
        MemoryTrial(variant=v, process=0, before=Bytes(), stages={}, peak=Bytes(allocated=2**28, host=2**29))
        for v in variants
    )
    part = PartCount(name="unet", calls=10, flops=10**11, parameters=5, least_bytes=1, moved_bytes=2, dtype="float32")
    work = {v: WorkCount(variant=v, workload="w", frames=100, parts=(part,)) for v in variants}
    machine = Environment(thbench="1", python="3.11", platform="Linux", cpu="a CPU", cores=2, memory=2**30)
    return CostRecord(
        created="2026-01-01T00:00:00Z",
        environment=machine,
        conditions=Conditions(device="cpu", device_name="a CPU", threads=1),
        protocol=Protocol(processes=6, cold_starts=0, warm_ups=1, min_rounds=3, min_seconds=0, max_rounds=3),
        workload=Workload(clip=clip, frames=100, fps=25, height=128, width=128, sha256="ab" * 32),
        variants=tuple(variants),
        trials=tuple(trials),
        memory=memory,
        work=work,
        summaries={v: summarise(trials, v) for v in variants},
        comparisons=tuple(c for v in variants[1:] for c in compare(trials, variants[0], v)),
    )


def receipt_of(variant: str, clip: str, base: str = "alpha@mini") -> VariantReceipt:
    return VariantReceipt(
        variant=variant,
        baseline=base,
        clip=clip,
        receipt=Receipt(
            plan="LightningCP: 3 key steps (0, 2, 5), step by step",
            noise="n" * 64,
            condition="c" * 64,
            times="t" * 64,
            weights="w" * 64,
            steps=(10, 10),
            hits={"full": 3, "cached": 7},
            evaluations=10,
            flops=(2 * 10**12, 10**12),
            latent_change=0.04,
            output=Difference(psnr=38.5, ssim=0.981, lpips=None),
        ),
    )


def add_costs(folder: Path) -> None:
    """Costs of three methods, receipts and claims of one of them."""
    (folder / "costs").mkdir(exist_ok=True)
    for name, measured in (
        ("alpha", cost_record(METHODS[:2], (2.0, 0.9))),
        ("beta", cost_record(METHODS[2:], (5.0,))),
    ):
        (folder / "costs" / f"{name}.json").write_text(measured.model_dump_json(), encoding="utf-8")
    write_receipts(folder, "alpha", [receipt_of("alpha@mini+fast", f"clip {c}") for c in range(3)])
    claim = Claim(
        method="alpha",
        statement="Twice as fast with caching",
        source="Table 1",
        expected="2.0x",
        measured="2.22x (95 % interval 2.15 to 2.29, 18 pairs)",
        verdict="pass",
        variant="alpha@mini+fast",
        command="thbench time alpha --accelerate fast",
    )
    other = Claim(
        method="beta", statement="Looks better than alpha", source="Section 4", expected="FID 12.3",
        verdict="not tested", reason="needs the published weights",
    )  # fmt: skip
    write_claims(folder, "alpha", [claim])
    (folder / "claims.json").write_text(Claims(claims=(other,)).model_dump_json(), encoding="utf-8")
