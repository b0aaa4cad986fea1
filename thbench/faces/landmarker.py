"""The one place that knows MediaPipe: faces of one image."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from thbench.backbones.weights import locate
from thbench.errors import MissingExtraError, UsageError
from thbench.faces.landmarks import BLENDSHAPES
from thbench.faces.recipe import LANDMARKER, MOST_FACES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from numpy.typing import NDArray


class Mesh(NamedTuple):
    """One face as the network gives it."""

    points: NDArray[np.float32]
    """Shape (478, 3), pixels of the searched image, as `Face.points`."""
    blendshapes: NDArray[np.float32]
    """Shape (52,), as `Face.blendshapes`."""


class Landmarker:
    """MediaPipe's Face Landmarker on single images: without memory, so without smoothing.

    Smoothing over time, as in its video mode, would falsify jitter and the timing of mouth and eyelids.
    """

    def __init__(self) -> None:
        """Load the network.

        Raises:
            MissingExtraError: MediaPipe is not installed.
            MissingWeightsError: The weight file is not there.
            WeightsMismatchError: The weight file is not the published one.
        """
        model = locate(LANDMARKER)
        try:
            import mediapipe
            from mediapipe.tasks.python import BaseOptions, vision
        except ModuleNotFoundError as error:
            raise MissingExtraError(error.name or "mediapipe", "eval", "finding faces") from error
        self._media = mediapipe
        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(model)),
            running_mode=vision.RunningMode.IMAGE,
            num_faces=MOST_FACES,
            output_face_blendshapes=True,
        )
        with _without_startup_notes():
            self._network: Any = vision.FaceLandmarker.create_from_options(options)
            # Its threads speak until the first image is through.
            self.detect(np.zeros((64, 64, 3), dtype=np.uint8))

    def detect(self, rgb: NDArray[np.uint8]) -> list[Mesh]:
        """Find the faces of one image.

        Args:
            rgb: Shape (height, width, 3).

        Returns:
            The faces, none to `MOST_FACES`, most certain first.

        Raises:
            UsageError: The landmarker is closed.
        """
        if self._network is None:
            raise UsageError("the face landmarker is closed; make a new one")
        height, width = rgb.shape[:2]
        # MediaPipe ignores strides: from a padded or sliced array it would read sheared pixels, without an error.
        pixels = np.ascontiguousarray(rgb)
        image = self._media.Image(image_format=self._media.ImageFormat.SRGB, data=pixels)
        found = self._network.detect(image)
        # x and z are in widths of the image, y in heights.
        scale = np.array([width, height, width], dtype=np.float32)
        return [
            Mesh(np.array([(p.x, p.y, p.z) for p in points], dtype=np.float32) * scale, _in_order(shapes))
            for points, shapes in zip(found.face_landmarks, found.face_blendshapes, strict=True)
        ]

    def close(self) -> None:
        """Free the network and end its threads; closing twice does nothing."""
        if self._network is not None:
            self._network.close()
            self._network = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _in_order(categories: list[Any]) -> NDArray[np.float32]:
    scores = np.zeros(len(BLENDSHAPES), dtype=np.float32)
    for category in categories:
        scores[category.index] = category.score
    return scores


_STARTUP_NOTE = re.compile(
    rb"WARNING: (All log messages|Logging) before .* STDERR"
    rb"|INFO: Created TensorFlow Lite XNNPACK delegate"
    rb"|[IW]\d{4} [\d:. ]+ \S+:\d+\] "
)
"""Lines of the native library at start: information and warnings about its own graph, of no use to anybody here."""


@contextmanager
def _without_startup_notes() -> Iterator[None]:
    """Keep the native library's notes off the terminal; errors, and lines of anybody else, are passed on.

    The library writes to file descriptor 2 and has no switch for that, so the descriptor is led to a file for the
    while.
    """
    try:
        sys.stderr.flush()
        terminal = os.dup(2)
    except (AttributeError, OSError, ValueError):  # no standard error: nothing to keep clean
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            held.seek(0)
            os.write(2, b"".join(line for line in held if not _STARTUP_NOTE.match(line)))
