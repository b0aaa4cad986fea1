"""How faces are found, in numbers and in one string for protocols. Imports nothing heavy."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from thbench.backbones.weights import WEIGHTS

LANDMARKER = "face-landmarker"
"""Weight file of the face pass."""

CROP = 2.0
"""Side of the searched square, in sides of the face. The landmarks of the whole frame are poor when the face is small:
on a 1080 x 1920 clip whose face spans a tenth of the height, frame-to-frame noise is 1.4 % of the eye distance and 6 %
of the frames have none, against 0.39 % and none in such a square. From 1.5 to 3 sides the noise is the same within its
error; 2 was lowest on two clips of four."""

SLACK = 0.2
"""How far the face may leave the middle of the square, in sides of the face, before the square follows (and by which
factor it may grow or shrink). Squares that follow each frame add noise of their own; with this one, equal frames give
equal faces."""

SCALES = (2, 4)
"""When nothing is found, windows of 1/2 and then 1/4 of the longer side are searched, overlapping by half."""

SMALLEST_WINDOW = 256
"""Pixels; a face that only a smaller window would show is too small to be measured."""

WINDOWS_EVERY = 25
"""Frames from one window search to the next while the face is lost. A search takes as long as about ten frames with a
face."""

CONFIRMED = 0.5
"""A face counts when the square around it shows a face again whose box overlaps by this intersection over union;
windows of foliage and cloth show faces that do not."""

MOST_FACES = 8
"""Faces per search, by the detector's confidence; the largest of them is taken, then followed."""


def _mediapipe_version() -> str:
    try:
        return version("mediapipe")
    except PackageNotFoundError:
        return "absent"


RECIPE = (
    f"mediapipe {_mediapipe_version()} face_landmarker {WEIGHTS[LANDMARKER].sha256[:8]} image-mode "
    f"roi{CROP:g}-slack{SLACK:g} windows1/{'+1/'.join(map(str, SCALES))}-every{WINDOWS_EVERY} largest-followed "
    "pose-weak-perspective"
)
"""What the faces of this version depend on; part of the protocol of every metric that reads faces."""
