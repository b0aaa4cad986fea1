"""The candidate's videos beside the baseline's: equal, changed, gone."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from gate_helpers import run_of, with_truth, write_run

from thbench.cli import main
from thbench.gate.document import GateReport
from thbench.gate.gate import read_side, run_gate
from thbench.gate.outputs import rmse
from thbench.gate.rules import parse_rules
from thbench.media import write_video

CLIPS = 8
RULES = "[[rule]]\nmetric = 'output/rmse'\nsmallest = 0.5\n"


def picture(seed: int, frames: int = 3, size: tuple[int, int] = (32, 24)) -> np.ndarray:
    return np.random.default_rng(seed).integers(40, 200, (frames, *size, 3), dtype=np.uint8)


def stored(path: Path, frames: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, iter(frames), 25.0, quality="lossless")
    return path


def run(folder: Path, added: float = 0.0, *, failed: tuple[str, ...] = (), frames: int = 3) -> Path:
    """A run whose videos are some levels brighter."""
    contents = run_of(with_truth([30.0 + i for i in range(CLIPS)]), failed=failed)
    records = []
    for number, record in enumerate(contents.records):
        name = f"videos/{record.key}.mkv"
        if record.key not in failed:
            stored(folder / name, (picture(number, frames) + added).astype(np.uint8))
        records.append(record.model_copy(update={"video": name}))
    return write_run(folder, type(contents)(contents.info, tuple(records)))


def judge(baseline: Path, candidate: Path, rules: str = RULES) -> GateReport:
    return run_gate(read_side(baseline), read_side(candidate), parse_rules(rules, "rules"))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return run(tmp_path / "base")


class TestDistance:
    def test_equal_pictures_have_none_however_they_are_stored(self, tmp_path: Path) -> None:
        a = stored(tmp_path / "a.mkv", picture(0))
        b = tmp_path / "b.mkv"
        write_video(b, iter(picture(0)), 25.0, quality="lossless")
        assert rmse(a, a) == rmse(a, b) == 0.0

    def test_it_is_the_root_of_the_mean_squared_difference(self, tmp_path: Path) -> None:
        first, second = picture(0), picture(1)
        expected = np.sqrt(np.mean((first.astype(float) - second) ** 2))
        assert rmse(stored(tmp_path / "a.mkv", first), stored(tmp_path / "b.mkv", second)) == pytest.approx(expected)

    def test_other_lengths_sizes_and_broken_files_have_none(self, tmp_path: Path) -> None:
        a = stored(tmp_path / "a.mkv", picture(0))
        longer, wider = (
            stored(tmp_path / f"{name}.mkv", frames)
            for name, frames in (("longer", picture(0, 4)), ("wider", picture(0, size=(32, 32))))
        )
        assert rmse(a, longer) == rmse(longer, a) == "its video has another number of frames"
        assert rmse(a, wider) == "its video has another size"
        broken = tmp_path / "broken.mkv"
        broken.write_bytes(a.read_bytes()[:300])
        assert str(rmse(a, broken)).startswith("a video cannot be read")


class TestRule:
    def test_unchanged_videos_pass_and_changed_ones_are_red(self, base: Path, tmp_path: Path) -> None:
        same = judge(base, run(tmp_path / "same"))
        assert (same.exit_code, same.findings[0].measured.loss) == (0, 0.0)
        other = judge(base, run(tmp_path / "other", 2.0))
        assert other.exit_code == 1
        assert other.findings[0].measured.loss == pytest.approx(2.0)
        assert other.findings[0].unit == "levels"
        # Quality has nothing random in it, and neither have these.
        assert judge(base, run(tmp_path / "little", 1.0), RULES.replace("0.5", "1.5")).exit_code == 0

    def test_what_could_not_be_compared_is_never_green(self, base: Path, tmp_path: Path) -> None:
        same = run(tmp_path / "same")
        for name in ("m-c0", "m-c1"):
            (same / f"videos/{name}.mkv").unlink()
        two = judge(base, same)
        assert two.exit_code == 2 and "its video was not kept (2)" in two.findings[0].why
        shutil.rmtree(same / "videos")
        none = judge(base, same)
        assert none.exit_code == 2 and "not measured in the candidate run" in none.findings[0].why
        assert judge(same, base).exit_code == 2
        assert judge(base, run(tmp_path / "failed", failed=("m-c3",))).exit_code == 1
        longer = judge(base, run(tmp_path / "longer", frames=4))
        assert longer.exit_code != 0 and "another number of frames" in str(longer.findings[0])

    def test_only_a_rule_that_names_it_asks_for_it(self, base: Path, tmp_path: Path) -> None:
        changed = run(tmp_path / "changed", 9.0)
        every = judge(base, changed, "[[rule]]\nmetric = '*'\nsmallest = 0.5\n")
        assert {f.metric for f in every.findings} == {"psnr"} and every.exit_code == 0
        named = judge(base, changed, "[[rule]]\nmetric = 'output/*'\nsmallest = 0.5\n")
        assert [f.metric for f in named.findings] == ["output/rmse"] and named.exit_code == 1

    def test_shares_of_nothing_cannot_be_told(self, base: Path, tmp_path: Path) -> None:
        found = judge(base, run(tmp_path / "other", 2.0), RULES + "relative = true\n")
        assert found.exit_code == 2 and "write absolute ones" in found.findings[0].why

    def test_from_the_command_line(self, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "rules.toml").write_text(RULES)
        words = ["--baseline", str(base), "--rules", str(tmp_path / "rules.toml")]
        assert main(["gate", *words, "--candidate", str(run(tmp_path / "same"))]) == 0
        assert main(["gate", *words, "--candidate", str(run(tmp_path / "other", 2.0))]) == 1
        assert "+2 levels" in capsys.readouterr().out
