"""What the vertices of the face mean: landmark sets and feature lines by vertex number.

The first 468 vertices of a head are the points of the MediaPipe face mesh in its order. "Right" and "left" are the
subject's own; the right side appears on the left of the image.
"""

from __future__ import annotations

FACE_POINTS = 468
"""Vertices of the face mesh."""

OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
"""Border of the face from the forehead's middle over the subject's left side to the chin and back."""

LIP_UPPER_INNER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
"""Margin of the upper lip from the right to the left corner of the mouth, corners included."""
LIP_LOWER_INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
"""Margin of the lower lip, facing `LIP_UPPER_INNER` point by point."""
LIP_UPPER_OUTER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
"""Border of the upper lip's red, corners included."""
LIP_LOWER_OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
"""Border of the lower lip's red, corners included."""
MOUTH_RING = (*LIP_LOWER_INNER, *LIP_UPPER_INNER[-2:0:-1])
"""Margin of the mouth opening, anti-clockwise for a viewer in front."""

RIGHT_EYE_UPPER = (33, 246, 161, 160, 159, 158, 157, 173, 133)
"""Margin of the right upper lid from the outer to the inner corner, corners included."""
RIGHT_EYE_LOWER = (33, 7, 163, 144, 145, 153, 154, 155, 133)
"""Margin of the right lower lid, facing `RIGHT_EYE_UPPER` point by point."""
LEFT_EYE_UPPER = (263, 466, 388, 387, 386, 385, 384, 398, 362)
LEFT_EYE_LOWER = (263, 249, 390, 373, 374, 380, 381, 382, 362)
