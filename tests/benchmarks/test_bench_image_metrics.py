"""Speed of the image metrics on 1080x1920 frames, on one thread.

The rivals run in the same process on the same planes, turn by turn, so a busy machine slows all of them. What is
compared are CPU seconds, the best of several rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from thbench.metrics.flicker import FlickerObserver
from thbench.metrics.image import ImageObserver
from thbench.metrics.landmarks import FORMULAS, VELOCITY, LandmarkObserver
from thbench.metrics.observer import Moment, View
from thbench.metrics.ssim import SsimKernel

pytestmark = pytest.mark.benchmark(timer=time.process_time)

HEIGHT, WIDTH = 1920, 1080
FRAMES = 6
LEAST_SPEED_UP = 5.0
"""Over scikit-image and torchmetrics, for the same number."""

Image = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(threads)


@pytest.fixture(scope="module")
def frames() -> list[Image]:
    """Smooth shapes with noise; the time does not depend on the content."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (12, 7, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    noise = rng.integers(-12, 13, (FRAMES, 1, WIDTH, 3), dtype=np.int16)
    return [np.clip(picture + n, 0, 255).astype(np.uint8) for n in noise]


def best_of_each(rounds: int, works: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Least CPU seconds of each, taken in turns."""
    best = dict.fromkeys(works, float("inf"))
    for _ in range(rounds):
        for name, work in works.items():
            started = time.process_time()
            work()
            best[name] = min(best[name], time.process_time() - started)
    return best


def test_ssim_against_scikit_image_and_torchmetrics(
    frames: list[Image], benchmark: Any, request: pytest.FixtureRequest
) -> None:
    from skimage.metrics import structural_similarity

    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("torchmetrics.functional.image").structural_similarity_index_measure
    torch.set_num_threads(1)
    x, y = (np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8) for frame in frames[:2])
    a, b = (torch.from_numpy(plane).float()[None, None] for plane in (x, y))
    wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    kernel = SsimKernel()
    rivals = {
        "thbench": lambda: kernel.terms(x, y).similarity,
        "scikit-image": lambda: structural_similarity(x, y, data_range=255, **wang),
        "torchmetrics": lambda: float(theirs(a, b, data_range=255.0)),
    }
    assert rivals["thbench"]() == pytest.approx(rivals["scikit-image"](), abs=1e-5)
    timed = not request.config.getoption("--benchmark-disable")
    seconds = best_of_each(5 if timed else 1, rivals)
    speed_up = {name: seconds[name] / seconds["thbench"] for name in rivals}
    benchmark.extra_info.update(milliseconds={n: 1e3 * s for n, s in seconds.items()}, speed_up=speed_up)
    benchmark.pedantic(rivals["thbench"], rounds=10, warmup_rounds=1)
    print("\nSSIM, one 1080x1920 plane:", *(f"{n} {1e3 * s:.1f} ms ({speed_up[n]:.1f}x)" for n, s in seconds.items()))
    if timed:
        assert min(speed_up["scikit-image"], speed_up["torchmetrics"]) > LEAST_SPEED_UP


@pytest.mark.parametrize(
    ("observer", "names"),
    [
        (ImageObserver, {"psnr"}),
        (ImageObserver, {"ssim"}),
        (ImageObserver, {"psnr", "psnr/pooled", "psnr/cap100", "ssim", "ms-ssim"}),
        (ImageObserver, {"ssim/rgb"}),
        (ImageObserver, {"ssim/skimage"}),
        (FlickerObserver, {"flicker"}),
    ],
    ids=lambda value: "+".join(sorted(value)) if isinstance(value, set) else "",
)
def test_frame(observer: Callable[[frozenset[str]], Any], names: set[str], frames: list[Image], benchmark: Any) -> None:
    """One frame pair in the observer, luma conversion included."""
    watching = observer(frozenset(names))
    state = {"index": 0}

    def observe() -> None:
        n = state["index"]
        state["index"] += 1
        watching.observe(Moment(n, View(frames[n % FRAMES]), View(frames[(n + 1) % FRAMES])))

    benchmark.pedantic(observe, rounds=20, warmup_rounds=2)


def test_whole_set(frames: list[Image], benchmark: Any) -> None:
    """PSNR, SSIM, MS-SSIM and flicker of one frame pair."""
    watching = [
        ImageObserver(frozenset({"psnr", "psnr/pooled", "psnr/cap100", "ssim", "ms-ssim"})),
        FlickerObserver(frozenset({"flicker"})),
    ]
    state = {"index": 0}

    def observe() -> None:
        n = state["index"]
        state["index"] += 1
        moment = Moment(n, View(frames[n % FRAMES]), View(frames[(n + 1) % FRAMES]))
        for one in watching:
            one.observe(moment)

    benchmark.pedantic(observe, rounds=30, warmup_rounds=2)


def test_ground_truth_row_costs_nothing(frames: list[Image], benchmark: Any, request: pytest.FixtureRequest) -> None:
    """The same view on both sides takes the short cut."""
    watching = ImageObserver(frozenset({"psnr", "ssim", "ms-ssim"}))
    view = View(frames[0])
    benchmark.pedantic(lambda: watching.observe(Moment(0, view, view)), rounds=50, warmup_rounds=1)
    if not request.config.getoption("--benchmark-disable"):
        assert benchmark.stats.stats.median < 1e-3


def test_landmark_distances(benchmark: Any) -> None:
    """All variants of one pair of faces."""
    from thbench.faces.face import Face

    rng = np.random.default_rng(0)
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    faces = [
        Face(rng.uniform(0, 1000, (478, 3)).astype(np.float32), np.zeros(52, np.float32), np.eye(3)) for _ in range(2)
    ]
    watching = LandmarkObserver(frozenset({*FORMULAS, VELOCITY}))
    moments = [Moment(n, *(View(frame, face) for face in faces)) for n in range(100)]
    benchmark.pedantic(lambda: [watching.observe(moment) for moment in moments], rounds=10, warmup_rounds=1)
