"""Adapters of DAWN's networks: fixture to outputs by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from thbench_methods.dawn import face_mask as face_masks

from thbench.parity.loading import network, tensors

if TYPE_CHECKING:
    from thbench.parity.fixture import Fixture

Outputs = dict[str, Any]


@torch.inference_mode()
def face_mask(fixture: Fixture) -> Outputs:
    """`dawn.face_mask`: the drawn box and its feature."""
    encoder = network(fixture, face_masks.FaceMaskEncoder)
    mask = face_masks.face_mask(torch.from_numpy(fixture.inputs["face_box"]), int(fixture.inputs["image_size"]))
    return {"face_mask": mask, "face_mask_feature": encoder(mask)}
