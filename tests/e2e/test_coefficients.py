"""AED, APD and E-FID: alignment against Pillow, placement and statistics of known value, files that are refused."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from random_weights import add_random, standard_face, state_of

from thbench.backbones import deep3d, loaded
from thbench.backbones.deep3d import Deep3D, Placement, align, five_of_68, load_deep3d, load_standard_face, place
from thbench.errors import MissingWeightsError, WeightsMismatchError
from thbench.faces import Face
from thbench.faces.landmarks import MESH_OF_68
from thbench.metrics.available import select
from thbench.metrics.coefficients import coefficient_distance
from thbench.metrics.observe_coefficients import CoefficientObserver, ExpressionObserver
from thbench.metrics.observer import ClipFacts, Missing, Moment, VideoFacts, View

NAMES = frozenset({"aed/deep3d", "apd/deep3d-rad", "apd/deep3d-deg"})


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_without_the_files_it_says_what_to_bring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: str) -> None:
    shutil.copyfile(Path(weights) / "face_landmarker.task", tmp_path / "face_landmarker.task")
    monkeypatch.setenv("THBENCH_WEIGHTS", str(tmp_path))
    lack = select(["e-fid/deep3d"]).lacking["e-fid/deep3d"]
    assert lack == (
        "needs weights deep3d, deep3d-standard-face: thbench weights add deep3d FILE && "
        "thbench weights add deep3d-standard-face FILE"
    )


@pytest.mark.parametrize(
    ("size", "placement"),
    [
        ((300, 400), Placement(340, 255, 40, 10)),
        ((97, 131), Placement(500, 370, 150, 70)),
        ((300, 200), Placement(180, 270, -30, 60)),
        ((60, 60), Placement(240, 240, -100, 100)),
        ((50, 50), Placement(90, 90, 300, 0)),
    ],
)
def test_the_crop_is_pillows(size: tuple[int, int], placement: Placement) -> None:
    image = pytest.importorskip("PIL.Image")
    rgb = picture(*size)
    whole = image.fromarray(rgb).resize((placement.width, placement.height), image.Resampling.BICUBIC)
    box = placement.left, placement.top, placement.left + 224, placement.top + 224
    expected = np.asarray(whole.crop(box)).astype(int)
    found = align(rgb, placement)
    assert found.shape == (224, 224, 3)
    # Pillow weighs in fixed point: where the exact value is halfway, it may round the other way.
    assert np.abs(found - expected).max() <= 1
    assert (found != expected).mean() < 0.01


def test_the_standard_face_fills_its_share_of_the_crop() -> None:
    """A frontal face whose unit is 51 pixels is enlarged twice, and its origin comes to the middle."""
    standard = five_of_68(standard_face())
    seen = np.stack([300 + 51 * standard[:, 0], 200 - 51 * standard[:, 1]], axis=1)
    found = place(seen, standard, 640, 480)
    assert found is not None
    assert (found.width, found.height) == pytest.approx((1280, 960), abs=1)
    assert (600 - found.left, 400 - found.top) == pytest.approx((112, 112), abs=3)
    assert place(np.full((5, 2), 40.0), standard, 640, 480) is None


def test_distances_of_known_value() -> None:
    rows = np.random.default_rng(0).normal(size=(6, 257))
    assert coefficient_distance(rows, rows) == (0, 0, 6)
    turned = rows.copy()
    turned[:, 225] += 0.1
    turned[:, 80:144] -= 0.25
    turned[:, :80] += 9
    turned[2] = np.nan
    found = coefficient_distance(turned, rows)
    assert (found.expression, found.pose, found.frames) == pytest.approx((0.25, 0.1 / 3, 5))
    assert np.isnan(coefficient_distance(turned[2:3], rows[2:3]).expression)


@pytest.fixture(scope="module")
def own_weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THBENCH_WEIGHTS", str(folder))
        add_random(tmp_path_factory.mktemp("files"), ("deep3d", "deep3d-standard-face"))
        yield folder
    shutil.rmtree(folder)


def face(shift: float = 0.0) -> Face:
    """A frontal face of the standard one's proportions, 60 pixels a unit."""
    points = np.zeros((478, 3), np.float32)
    known = standard_face()
    points[list(MESH_OF_68), 0] = 100 + shift + 60 * known[:, 0]
    points[list(MESH_OF_68), 1] = 90 - 60 * known[:, 1]
    return Face(points, np.zeros(52, np.float32), np.eye(3))


def facts() -> ClipFacts:
    video = VideoFacts(200, 180, 3, 0.12, None)
    return ClipFacts(25, video, video)


def shown(observer: Any, generated: list[View], reference: list[View | None]) -> Any:
    for index, (ours, theirs) in enumerate(zip(generated, reference, strict=True)):
        observer.observe(Moment(index, ours, theirs))
    return observer


def test_a_video_against_itself_has_no_distance(own_weights: Path) -> None:
    views: list[Any] = [View(picture(180, 200, seed), face(2.0 * seed)) for seed in range(3)]
    same = shown(CoefficientObserver(NAMES), views, views).values(facts())
    assert set(same.values()) == {0.0}
    others: list[Any] = [View(picture(180, 200, 9 + seed), face()) for seed in range(3)]
    apart = shown(CoefficientObserver(NAMES), views, others).values(facts())
    assert apart["aed/deep3d"] > 0
    assert apart["apd/deep3d-deg"] == pytest.approx(np.degrees(apart["apd/deep3d-rad"]))
    fast = shown(CoefficientObserver(frozenset({"aed/deep3d.fast"})), views, others).values(facts())
    assert fast["aed/deep3d.fast"] == pytest.approx(apart["aed/deep3d"], rel=0.2)
    assert fast["aed/deep3d.fast"] != apart["aed/deep3d"]


def test_coefficients_are_those_of_the_crop(own_weights: Path) -> None:
    view = View(picture(180, 200), face())
    rows = shown(ExpressionObserver(frozenset({"e-fid/deep3d"})), [view], [None]).features(facts())["deep3d.expression"]
    where = place(five_of_68(face().points[list(MESH_OF_68), :2]) - 0.5, loaded.deep3d_standard_face(), 200, 180)
    assert where is not None
    crop = torch.from_numpy(align(view.rgb, where)).permute(2, 0, 1)[None].float() / 255
    network = Deep3D().eval()
    network.load_state_dict(state_of(Deep3D))
    with torch.inference_mode():
        expected = network(crop)[:, deep3d.EXPRESSION].numpy()
    np.testing.assert_allclose(rows, expected, atol=1e-4 * np.abs(expected).max())


def test_no_face_and_no_reference_are_said(own_weights: Path) -> None:
    bare: list[Any] = [View(picture(60, 60))]
    assert shown(CoefficientObserver(NAMES), bare, [None]).values(facts())["aed/deep3d"] == Missing(
        "no instant in common with the reference"
    )
    faces: list[Any] = [View(picture(180, 200), face())]
    assert shown(CoefficientObserver(NAMES), bare, faces).values(facts())["apd/deep3d-rad"] == Missing(
        "no frame in which both videos show a face"
    )
    found = shown(ExpressionObserver(frozenset({"e-fid/deep3d"})), bare, [None]).features(facts())
    assert found == {"deep3d.expression": Missing("no face in any frame")}


def test_files_of_something_else_are_refused(tmp_path: Path) -> None:
    from scipy.io import savemat

    path = tmp_path / "file"
    with pytest.raises(MissingWeightsError):
        load_standard_face(path)
    torch.save({"net_other": {}}, path)
    with pytest.raises(WeightsMismatchError, match="no entry 'net_recon'"):
        load_deep3d(path)
    torch.save({"net_recon": {"fc.weight": torch.zeros(2)}}, path)
    with pytest.raises(WeightsMismatchError, match="does not fit Deep3D"):
        load_deep3d(path)
    with pytest.raises(WeightsMismatchError, match="no MATLAB file"):
        load_standard_face(path)
    savemat(tmp_path / "lm.mat", {"lm": np.zeros((5, 3))})
    with pytest.raises(WeightsMismatchError, match=r"shape \(5, 3\) instead of \(68, 3\)"):
        load_standard_face(tmp_path / "lm.mat")
