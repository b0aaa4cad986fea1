"""Runs for tests of the site: small ones with every oddity, and one of full size made of synthetic records."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from report_helpers import metric, planned, recipe, record, run_info

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
