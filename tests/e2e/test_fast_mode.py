"""`--mode fast` and `--mode both` through whole commands: names, protocols, printed differences, by random weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_weights import add_random

from thbench.backbones.mode_names import split_mode
from thbench.backbones.precision import processor_gains_by_bfloat16
from thbench.data.drawn_clips import write_drawn_clips
from thbench.errors import UsageError
from thbench.media import read_audio, read_frames, write_video
from thbench.metrics.available import in_modes, select
from thbench.registry import METRICS

ASKED = "psnr,lpips/alex,csim/iresnet/whole-frame/same-frame,lse-c/wav2lip-lrs,lse-d/wav2lip-lrs,fvd/16"
NEEDED = ("i3d-torchscript", "syncnet", "alexnet", "arcface-iresnet")


@pytest.fixture(scope="module")
def own_weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THBENCH_WEIGHTS", str(folder))
        add_random(tmp_path_factory.mktemp("files"), NEEDED)
        yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    real, made = tmp_path_factory.mktemp("real"), tmp_path_factory.mktemp("made")
    write_drawn_clips(real, seconds=0.68, size=96)
    (real / "drawn_3.mp4").unlink()
    for path in real.glob("*.mp4"):
        frames = [np.clip(frame.rgb.astype(int) + 9, 0, 255).astype(np.uint8) for frame in read_frames(path)]
        write_video(made / path.name, frames, 25, quality="view", audio=read_audio(path))
    return real, made


def test_both_modes_stand_side_by_side_with_their_difference(
    own_weights: Path, folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from thbench.cli import main

    real, made = folders
    words = ["eval", "--generated", str(made), "--reference", str(real), "--name", "made", "--mode", "both"]
    assert main([*words, "--metrics", ASKED, "--out", str(tmp_path), "--executor", "local", "--workers", "1"]) == 0
    board = json.loads((tmp_path / "leaderboard.json").read_text())
    (row,) = [r for r in board["rows"] if r["variant"] == "made"]
    protocols = {column["id"]: column["protocol"] for column in board["columns"]}
    assert set(row["cells"]) == {"psnr", *(name + s for name in ASKED.split(",")[1:] for s in ("", ".fast"))}
    for name in ASKED.split(",")[1:]:
        exact, fast = row["cells"][name], row["cells"][f"{name}.fast"]
        # A program, as FVD's network is one, runs as it is where bfloat16 gains nothing.
        assert fast["value"] != exact["value"] or (name == "fvd/16" and not processor_gains_by_bfloat16())
        assert fast["value"] == pytest.approx(exact["value"], rel=0.3, abs=0.05), name
        products = "bfloat16-autocast" if name == "fvd/16" else "8-bit-convolutions"
        assert protocols[f"{name}.fast"] == protocols[name].replace("/user", f"/fast-{products}/user", 1)
        assert any(f"differs from {name} by " in remark for remark in fast["remarks"])
        assert not any("differs from" in remark for remark in exact["remarks"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "differs from lpips/alex by" in printed and "differs from fvd/16 by" in printed


def test_modes_choose_among_twins() -> None:
    fast = in_modes(select(["lpips", "psnr", "fid/clean-fid"]), ("fast",))
    assert set(fast.specs) == {"fid/clean-fid.fast", "lpips/alex.fast", "lpips/vgg.fast", "psnr"}
    both = in_modes(select(["fid/pytorch-fid"]), ("exact", "fast"))
    assert set(both.specs) == {"fid/pytorch-fid", "fid/pytorch-fid.fast"}
    named = in_modes(select(["lpips/alex.fast"]), ("exact",))
    assert set(named.specs) == {"lpips/alex.fast"}


def test_a_family_or_all_never_doubles() -> None:
    for pattern in ("all", "fid", "lse-*"):
        assert not any(split_mode(name)[1] == "fast" for name in select([pattern]).specs)
    assert set(select(["lpips/*.fast"]).specs) == {"lpips/alex.fast", "lpips/vgg.fast"}
    with pytest.raises(UsageError, match="no metric is called 'psnr\\.fast'"):
        select(["psnr.fast"])


def test_every_metric_of_a_published_network_has_a_fast_twin_of_its_own_protocol() -> None:
    exact = [spec for name, spec in METRICS.items() if spec.weights and split_mode(name)[1] == "exact"]
    assert len(exact) > 30
    for spec in exact:
        twin = METRICS[f"{spec.name}.fast"]
        assert twin.approximates == spec.name and twin.on_request
        # TorchScript is a program: it has no layers to round.
        products = "bfloat16-autocast" if "i3d-torchscript" in spec.weights else "8-bit-convolutions"
        assert twin.protocol.startswith(f"{spec.protocol}/fast-{products}") and twin.observer == spec.observer
        if spec.statistic is not None and twin.statistic is not None:
            assert twin.statistic.extractor == f"{spec.statistic.extractor}.fast"
    assert "every-5th-frame" in METRICS["lse-c/joonson.fast"].protocol


def test_an_unknown_mode_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    from thbench.cli import main

    with pytest.raises(SystemExit) as stopped:
        main(["eval", "--generated", "anything", "--mode", "quick"])
    assert stopped.value.code == 3
    assert "invalid choice: 'quick'" in capsys.readouterr().err


def test_an_unknown_device_is_refused(thbench: Callable[..., Any], folders: tuple[Path, Path], tmp_path: Path) -> None:
    words = ("--out", tmp_path / "run", "--metrics", "psnr", "--device", "tpu")
    outcome = thbench("eval", "--generated", folders[1], *words)
    assert outcome.code == 3 and "devices are cpu, cuda and cuda:N" in outcome.err
    assert not (tmp_path / "run").exists()
