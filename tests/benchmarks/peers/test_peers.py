"""Speed, memory and agreement beside the published tools, in one run on the same real clips; writes reports/peers.md.

Needs the extra `oracle-peers`; takes minutes. THBENCH_PEERS_FRAMES sets the length (60, or 200 with `--full`).
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
PACKAGES = ("pytorch_fid", "cleanfid", "torch_fidelity", "torchmetrics", "lpips", "skimage", "syncnet_python")
PACKAGES += ("insightface", "onnxruntime", "onnx", "cdfvd", "python_speech_features", "imageio_ffmpeg")
ABSENT = [name for name in PACKAGES if importlib.util.find_spec(name) is None]

pytestmark = pytest.mark.skipif(
    bool(ABSENT), reason=f"the extra `oracle-peers` is not installed: no {', '.join(ABSENT)}"
)


def test_ours_beside_the_peers(
    shared: Path, weights: str, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    if request.config.getoption("--benchmark-disable"):
        pytest.skip("the peers take minutes; run `pytest tests/benchmarks/peers`")
    import peer_measure as measure
    import peer_report as report
    from peer_theirs import COMPLETE

    usual = 200 if request.config.getoption("--full") else 60
    frames = int(os.environ.get("THBENCH_PEERS_FRAMES", usual))
    clip = shared / "real" / "reference" / "hdtf_katie_hill.mp4"
    measure.make_material(tmp_path, clip, frames)
    rates = measure.convolution_rate()
    found = measure.compare(tmp_path)
    step = {}
    for count in (500, 5000):
        folder = measure.make_features(tmp_path / f"features-{count}", count)
        step[count] = {
            side: measure.run(side, "Frechet distance", tmp_path, extra=folder) for side in measure.SIDES[:2]
        }
    whole = {t: {m: measure.run(m, "Complete set", tmp_path, t) for m in measure.SIDES[1:]} for t in (1, 2)}
    apart = {t: {part: measure.run("peer", part, tmp_path, t) for part in COMPLETE} for t in (1, 2)}
    sections = {
        "Complete set": report.complete_table(whole, apart, step[500]),
        "Each part": report.parts_table(found, frames, 512, rates),
        "Frechet distance, 2048 dimensions (pytorch-fid: scipy's sqrtm)": [
            measure.row("N", "peer s", "ours s", "x", "relative difference"),
            measure.row(*["---:"] * 5),
            *(_frechet_row(measure, count, runs) for count, runs in step.items()),
        ],
        "What `fast` changes": report.values_table(whole[1]),
    }
    text = report.page(sections, frames, clip.name, rates)
    target = HERE.parents[2] / "reports" / "peers.md"
    target.parent.mkdir(exist_ok=True)
    target.write_text(text, encoding="utf-8")
    with capsys.disabled():
        print(f"\n{text}")
    _check(measure, found, step)


def _frechet_row(measure, count, runs) -> str:  # type: ignore[no-untyped-def]
    peer, ours = (runs[side] for side in ("peer", "exact"))
    gap = measure.difference(ours.arrays, peer.arrays)
    cells = [measure.number(v, 3) for v in (peer.cost.cpu, ours.cost.cpu)]
    return measure.row(str(count), *cells, measure.number(peer.cost.cpu / ours.cost.cpu, 1), f"{gap:.1e}")


def _check(measure, found, step) -> None:  # type: ignore[no-untyped-def]
    """Agreement is required; of speed only what holds on any processor, as ratios within this run."""
    for tool in ("pytorch-fid", "clean-fid", "torch-fidelity", "torchmetrics"):
        runs = found[f"FID features, {tool}"]
        assert measure.difference(runs["exact"].arrays, runs["peer"].arrays) < 1e-3, tool
    scoring, agreement = found["LSE scoring"], found["LSE agreement"]
    peer = scoring["peer"].arrays
    assert measure.difference({"curve": agreement["exact"].arrays["curve"]}, {"curve": peer["curve"]}) < 1e-4
    for name in ("lse_c", "lse_d"):
        assert agreement["fast"].arrays[name][0] == pytest.approx(peer[name][0], rel=0.01)
    for part in ("LPIPS alex", "FVD logits", "SSIM"):
        assert measure.difference(found[part]["exact"].arrays, found[part]["peer"].arrays) < 1e-4, part
    for runs in step.values():
        assert measure.difference(runs["exact"].arrays, runs["peer"].arrays) < 1e-5
    speed = {part: runs["peer"].cost.cpu / runs["exact"].cost.cpu for part, runs in found.items() if "peer" in runs}
    assert speed["SSIM"] > 4 and speed["LSE scoring"] > 1.7
    assert speed["FID features, pytorch-fid"] > 1.8
    frechet = {count: runs["peer"].cost.cpu / runs["exact"].cost.cpu for count, runs in step.items()}
    assert frechet[500] > 20 and frechet[5000] > 4
