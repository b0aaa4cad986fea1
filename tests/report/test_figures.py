"""Figures: every kind is drawn from data alone, says why where it cannot be, and stands any name."""

from __future__ import annotations

import importlib
import itertools
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from report_helpers import board, cell, column, row
from site_material import METHODS, NASTY, add_costs, add_videos, write_run

from thbench.accel.calibrate import Calibration
from thbench.report.figures import FOLDER, KINDS, draw_all
from thbench.report.figures.collect import figure_data, inputs_of
from thbench.report.figures.data import ContactSheet, FigureData, FigureInputs, LipCurve
from thbench.report.figures.style import COLOURS, looks_of, short, styled
from thbench.report.reading import read_leaderboard
from thbench.report.site import write_site
from thbench.report.site.build import read_data
from thbench.report.site.collect import clip_tables
from thbench.report.site.data import SiteData
from thbench.report.write import leaderboard_of, write_files
from thbench.run.features import write_features
from thbench.run.store import merge
from thbench.validate.document import read_validation

pytest.importorskip("matplotlib", reason="needs the extra report: pip install 'thbench[report]'")
ROOT = Path(__file__).parents[2]


def calibration(method: str = "alpha@mini", steps: int = 12) -> Calibration:
    moved = np.cumsum(1 / np.arange(1, steps + 1))
    distances = np.abs(moved[None] - moved[:, None]) / 3
    cosines = np.exp(-distances)
    return Calibration(
        method=method, clips=("c",), steps=steps, distances=tuple(map(tuple, distances.tolist())),
        cosines=tuple(map(tuple, cosines.tolist())), key_steps=(0, 1, 4), cost=1.0, uniform_cost=2.0,
    )  # fmt: skip


def lip_curve(variant: str, depth: float = 3.0) -> LipCurve:
    shifts = np.arange(-15, 16.0)
    mean = 9 - depth * np.exp(-(shifts**2) / 4)
    ends = {"low": tuple(mean - 0.3), "high": tuple(mean + 0.3)}
    return LipCurve(variant=variant, protocol="mini", shifts=tuple(shifts), mean=tuple(mean), clips=8, **ends)


def sheet(variants: tuple[str, ...]) -> ContactSheet:
    frames = tuple(np.full((16, 16, 3), 20 * i, np.uint8) for i in range(6))
    return ContactSheet("clip 0", tuple(map(float, range(6))), dict.fromkeys(variants, frames))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> FigureData:
    """Something for every kind, the names of two variants being traps."""
    folder = tmp_path_factory.mktemp("figures") / "run"
    write_run(folder, extra=(NASTY[0], NASTY[3])).close()
    add_costs(folder)
    contents = merge([folder])
    leaderboard = leaderboard_of(contents)
    data = SiteData(leaderboard=leaderboard, clips=clip_tables(contents.records, contents.info))
    validation = read_validation(ROOT / "reports" / "validate-metrics.json")
    mini = read_leaderboard(ROOT / "reports" / "mini" / "leaderboard.json")
    known = {v.protocol_id: v.metric for v in validation.verdicts if v.held + v.failed}
    # A metric of the file under its own protocol, so that there is a verdict to draw.
    columns = [c for c in mini.columns if c.protocol_id in known][:3] or [
        column(
            v.metric, version=int(v.protocol_id.split("@")[1].split()[0]), protocol=v.protocol_id.split("[", 1)[1][:-1]
        )
        for v in validation.verdicts[:3]
    ]
    data = data.model_copy(update={"leaderboard": leaderboard.model_copy(
        update={"columns": (*leaderboard.columns, *columns)})})  # fmt: skip
    return FigureData(
        site=data,
        inputs=FigureInputs(
            lip_curves=tuple(lip_curve(v) for v in METHODS), calibrations=(calibration(), calibration(NASTY[3]))
        ),
        sheets=(sheet((*METHODS, NASTY[3])),),
        validation=validation,
    )


@pytest.fixture(scope="module")
def with_faces(full: FigureData, tmp_path_factory: pytest.TempPathFactory) -> FigureData:
    pytest.importorskip("av")
    folder = tmp_path_factory.mktemp("faces") / "run"
    store = write_run(folder)
    add_videos(store, clips=1, seconds=1.0)
    contents = merge([folder])
    leaderboard = leaderboard_of(contents)
    write_files(leaderboard, folder)
    write_site(contents, leaderboard, folder, clips=1, figures=False)
    return figure_data(read_data(folder), inputs_of(contents, METHODS), folder)


def drawn(kind: str, data: FigureData) -> object:
    with styled():
        return importlib.import_module(f"thbench.report.figures.{kind}").draw(data)


@pytest.mark.parametrize("kind", [k.module for k in KINDS if k.module != "pose"])
def test_every_kind_is_drawn_and_any_name_is_text(kind: str, full: FigureData) -> None:
    found = drawn(kind, full)
    assert isinstance(found, dict) and found, found
    for figure in found.values():
        figure.canvas.draw()
        words = " ".join(text.get_text() for text in figure.findobj(lambda o: hasattr(o, "get_text")))
        assert "\u202e" not in words
        picture = np.asarray(figure.canvas.buffer_rgba())
        assert picture.std() > 5, "not blank"


def test_heads_and_frames_are_drawn_from_what_the_site_shows(with_faces: FigureData) -> None:
    poses, frames = drawn("pose", with_faces), drawn("contact_sheet", with_faces)
    assert list(poses) == ["pose-1"] and list(frames) == ["frames-1"]  # type: ignore[call-overload]
    (shown,) = with_faces.sheets
    first, *_, last = shown.rows["alpha@mini"]
    assert first.shape == (64, 64, 3) and len(shown.rows["alpha@mini"]) == 6
    assert last[:, :40].mean() > 150 > first[:, 40:].mean(), "the bar has moved: frames of different instants"


def test_without_data_each_kind_says_why(tmp_path: Path) -> None:
    empty = FigureData(site=SiteData(leaderboard=board([column("x")], row("a", x=None))))
    index = draw_all(empty, tmp_path)
    titles = {kind.title for kind in KINDS}
    assert {d.title for d in index.drawn} | set(index.lacking) == titles
    assert set(index.lacking) >= titles - {"What has no value", "Whether metrics measure what they say"}
    assert all(reason and "\n" not in reason for reason in index.lacking.values())


def test_numbers_that_are_none_are_not_drawn(tmp_path: Path) -> None:
    odd = (math.inf, -math.inf, 0.0, 5e-324, 1e300)
    columns = [column("ssim"), column("lse-c/x")]
    rows = [row(f"v{i}", **{c.id: cell(v, low=-math.inf, high=math.inf) for c in columns}) for i, v in enumerate(odd)]
    index = draw_all(FigureData(site=SiteData(leaderboard=board(columns, *rows))), tmp_path)
    assert index.lacking


def test_files_are_vectors_and_pictures_and_the_same_whatever_the_users_settings(
    full: FigureData, tmp_path: Path
) -> None:
    import matplotlib as mpl

    some = replace(full, validation=None, sheets=())
    first = draw_all(some, tmp_path / "a")
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        second = draw_all(some, tmp_path / "b")
    assert first == second and len(first.drawn) >= 5
    for one in first.drawn:
        for name in (one.pdf, one.png):
            content = (tmp_path / "a" / name).read_bytes()
            assert content == (tmp_path / "b" / name).read_bytes(), name
        pdf, png = (tmp_path / "a" / one.pdf).read_bytes(), (tmp_path / "a" / one.png).read_bytes()
        assert pdf.startswith(b"%PDF") and b"/FontFile2" in pdf and b"/Type3" not in pdf, "letters stay letters"
        assert png.startswith(b"\x89PNG") and one.width > 600 and one.height > 200


def test_old_figures_are_removed(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "old.png").touch()
    draw_all(FigureData(site=SiteData(leaderboard=board([]))), tmp_path)
    assert not (tmp_path / FOLDER / "old.png").exists()


@pytest.mark.parametrize("blind", ["protan", "deutan", "none"])
def test_colours_are_told_apart_by_everybody(blind: str) -> None:
    """Distance in CIELAB after the simulation of Viénot, Brettel & Mollon (1999)."""
    seen = [lab(blinded(colour, blind)) for colour in COLOURS[:6]]
    nearest = min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2))
    assert nearest > 12


def blinded(colour: str, kind: str) -> np.ndarray:
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_lms = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
    lms = to_lms @ linear
    if kind == "protan":
        lms[0] = 2.02344 * lms[1] - 2.52581 * lms[2]
    elif kind == "deutan":
        lms[1] = 0.494207 * lms[0] + 1.24827 * lms[2]
    return np.clip(np.linalg.solve(to_lms, lms), 0, 1)


def lab(linear: np.ndarray) -> np.ndarray:
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = (to_xyz @ linear) / np.array([0.9505, 1.0, 1.089])
    f = [t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z)]
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_looks_are_never_the_same() -> None:
    names = [f"m{i}@mini{plan}" for i in range(8) for plan in ("", "+a", "+b", "+a+b")]
    looks = looks_of(board([], row("ground-truth", "ground-truth"), row("still", "baseline"), *map(row, names)))
    assert len(set(looks.values())) == len(names) + 2
    assert looks["m0@mini"].colour == looks["m0@mini+a"].colour != looks["m1@mini"].colour


def test_names_mean_nothing_to_matplotlib() -> None:
    assert short("a$x$b") == r"a\$x\$b"
    assert len(short("x" * 200)) == 30
    assert "\n" not in short("a\nb")


def test_lip_curves_are_means_over_clips(tmp_path: Path) -> None:
    store = write_run(tmp_path / "run")
    for place, one in enumerate(r for r in store.read().records if r.variant == "alpha@mini" and r.status == "ok"):
        curve = np.full((1, 31), 5.0 + place // 2 % 2, np.float32)  # two clips of each identity
        kept = write_features(store.folder, one.key, {"lse-curve-mini": curve})
        store.append(one.model_copy(update={"features": kept, "attempt": 1}))
    contents = merge([store.folder])
    data = SiteData(leaderboard=leaderboard_of(contents))
    (found,) = inputs_of(contents, [row.variant for row in data.leaderboard.rows]).lip_curves
    assert (found.variant, found.protocol, found.clips) == ("alpha@mini", "mini", 8)
    np.testing.assert_allclose(found.mean, 5.5)
    assert all(low < mean < high for low, mean, high in zip(found.low, found.mean, found.high, strict=True))
    assert found.shifts[0] == -15 and found.shifts[15] == 0


def test_the_site_shows_them_and_says_what_is_not_drawn(tmp_path: Path) -> None:
    store = write_run(tmp_path / "run")
    add_costs(store.folder)
    contents = merge([store.folder])
    leaderboard = leaderboard_of(contents)
    write_files(leaderboard, store.folder)
    write_site(contents, leaderboard, store.folder, clips=0)
    page = (store.folder / "site" / "figures.html").read_text(encoding="utf-8")
    shown = re.findall(r'<img src="\.\./(figures/[^"]+)"', page)
    assert "figures/pareto-speed.png" in shown and all((store.folder / name).is_file() for name in shown)
    assert 'alt="Trade-offs: Each variant' in page
    assert "no lip-sync metric kept its distances" in page


def test_accelerations_are_compared_with_their_own_methods(full: FigureData) -> None:
    from thbench.report.figures.accelerations import columns, plan_of, points
    from thbench.report.leaderboard import SpeedUp

    board = full.site.leaderboard
    speeds = {s.variant: s for table in board.costs for s in table.speed_ups if s.measure == "time/end-to-end"}
    assert list(speeds) == ["alpha@mini+fast"] and plan_of("alpha@mini+fast") == "fast"
    assert columns(board)
    for measured in columns(board):
        for found in points(full, measured, speeds):
            values = [next(r for r in board.rows if r.variant == v).cells[measured.id].value for v in METHODS[:2]]
            assert found.best and found.speed.ratio > 1
            if found.ends is None:
                assert values[0] is not None and values[1] is not None
                assert found.change == pytest.approx(values[1] - values[0])
            else:
                assert found.ends[0] <= found.change <= found.ends[1]
    slow = SpeedUp(variant="beta@mini", baseline="alpha@mini", measure="time/end-to-end", ratio=0.5, pairs=3)
    both = [points(full, measured, {**speeds, "beta@mini": slow}) for measured in columns(board)]
    assert all(any(p.best for p in found) for found in both if found)
