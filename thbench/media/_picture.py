"""From a decoded picture to an RGB array: colour matrix, range and orientation.

The tagged matrix and range are used. Without a matrix tag BT.601 is assumed, and without a range tag limited range, at
every size: so does FFmpeg's swscale (its default coefficients), and FFmpeg writes such files from RGB with just these
coefficients. Browsers and some players assume BT.709 for large untagged pictures, hence the warning in
`VideoInfo.warnings`. Red, green and blue are within 4 of 255 of the exact conversion (swscale's fast path rounds
downwards; its exact path takes twice as long).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, cast

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from thbench.errors import MediaError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

# Numbers and names of ITU-T H.273, the names as FFmpeg prints them.
RANGES: Mapping[int, str] = MappingProxyType({1: "tv", 2: "pc"})
SPACES: Mapping[int, str] = MappingProxyType(
    {
        0: "gbr",
        1: "bt709",
        4: "fcc",
        5: "bt470bg",
        6: "smpte170m",
        7: "smpte240m",
        8: "ycgco",
        9: "bt2020nc",
        10: "bt2020c",
        11: "smpte2085",
        12: "chroma-derived-nc",
        13: "chroma-derived-c",
        14: "ictcp",
    }
)
PRIMARIES: Mapping[int, str] = MappingProxyType(
    {
        1: "bt709",
        4: "bt470m",
        5: "bt470bg",
        6: "smpte170m",
        7: "smpte240m",
        8: "film",
        9: "bt2020",
        10: "smpte428",
        11: "smpte431",
        12: "smpte432",
        22: "ebu3213",
    }
)
TRANSFERS: Mapping[int, str] = MappingProxyType(
    {
        1: "bt709",
        4: "gamma22",
        5: "gamma28",
        6: "smpte170m",
        7: "smpte240m",
        8: "linear",
        9: "log100",
        10: "log316",
        11: "iec61966-2-4",
        12: "bt1361e",
        13: "iec61966-2-1",
        14: "bt2020-10",
        15: "bt2020-12",
        16: "smpte2084",
        17: "smpte428",
        18: "arib-std-b67",
    }
)
HDR_TRANSFERS = frozenset({"smpte2084", "arib-std-b67"})

_CONVERTIBLE = frozenset({1, 4, 5, 6, 7, 9})
_UNTAGGED = frozenset({0, 2, 3})
_FLAGS = Interpolation.BILINEAR | Interpolation.BITEXACT


def has_matrix(frame: VideoFrame) -> bool:
    """Tell whether the pixels are luma and chroma, so that a colour matrix is needed to read them."""
    return not frame.format.is_rgb and len(frame.format.components) >= 3


def is_untagged(frame: VideoFrame) -> bool:
    """Tell whether the pixels need a colour matrix and no tag says which."""
    return has_matrix(frame) and frame.colorspace in _UNTAGGED


class Orientation(NamedTuple):
    """How the stored picture has to be turned for display: first transposed, then mirrored."""

    transpose: bool = False
    """Swap rows and columns."""
    flip_rows: bool = False
    """Then turn upside down."""
    flip_columns: bool = False
    """Then mirror left and right."""

    @property
    def degrees(self) -> int:
        """Clockwise turn, 0, 90, 180 or 270, leaving aside a mirroring."""
        if self.transpose:
            return 90 if self.flip_columns else 270
        return 180 if self.flip_rows else 0

    def apply(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the picture (height, width, 3) as it is to be seen."""
        if self.transpose:
            rgb = np.asarray(cv2.transpose(rgb), dtype=np.uint8)
        if self.flip_rows or self.flip_columns:
            code = -1 if self.flip_rows and self.flip_columns else 0 if self.flip_rows else 1
            rgb = np.asarray(cv2.flip(rgb, code), dtype=np.uint8)
        return rgb


def orientation(path: Path, frame: VideoFrame) -> Orientation:
    """Read the display matrix of a frame.

    The matrix takes stored pixel (x, y) to (a x + c y, b x + d y) with y downwards (ISO/IEC 14496-12, track header;
    FFmpeg libavutil/display.h).

    Raises:
        MediaError: The picture is turned by something else than quarter turns.
    """
    # Keyed by the enumeration; PyAV's type hints say str.
    sides = cast("Mapping[SideDataType, bytes]", frame.side_data)
    data = sides.get(SideDataType.DISPLAYMATRIX)
    if data is None:
        return Orientation()
    matrix = np.frombuffer(bytes(data), dtype=np.int32).reshape(3, 3)[:2, :2].astype(np.float64)
    if not matrix.any():
        return Orientation()
    unit = np.rint(matrix / np.abs(matrix).max()).astype(int)
    (a, b), (c, d) = unit.tolist()
    if np.abs(unit).sum() != 2 or a * d == b * c or not np.allclose(matrix / np.abs(matrix).max(), unit, atol=1e-3):
        raise MediaError(
            f"{path}: the display matrix turns the picture by {frame.rotation} degrees; only quarter turns are read, "
            "so turn the pixels first, e.g. ffmpeg -i IN OUT.mp4"
        )
    if a == 0:
        return Orientation(transpose=True, flip_rows=b < 0, flip_columns=c < 0)
    return Orientation(flip_rows=d < 0, flip_columns=a < 0)


class ToRgb:
    """Converts the frames of one video; keeps the scaler between frames."""

    def __init__(self, path: Path, turn: Orientation) -> None:
        self._path = path
        self._turn = turn
        self._scaler = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """Return the picture as a new C-contiguous array (height, width, 3), upright.

        Raises:
            MediaError: The colour matrix is one that cannot be converted.
        """
        if has_matrix(frame) and frame.colorspace not in _CONVERTIBLE | _UNTAGGED:
            name = SPACES.get(frame.colorspace, str(frame.colorspace))
            raise MediaError(f"{self._path}: the colour matrix {name} is not supported; convert the video to bt709")
        untagged = is_untagged(frame)
        try:
            rgb = self._scaler.reformat(
                frame,
                format="rgb24",
                src_colorspace=Colorspace.ITU601 if untagged else None,
                interpolation=_FLAGS,
                threads=1,
            ).to_ndarray()
        except (av.FFmpegError, ValueError) as error:
            raise MediaError(
                f"{self._path}: pixels of format {frame.format.name} cannot be converted to RGB ({error}); "
                "convert the video to yuv420p"
            ) from error
        return np.ascontiguousarray(self._turn.apply(np.asarray(rgb, dtype=np.uint8)))
