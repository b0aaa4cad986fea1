"""What the numbers of a run depend on: protocols, decoder, resampler, landmarker, weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thbench.backbones.weights import WEIGHTS, find
from thbench.faces import RECIPE as FACE_RECIPE
from thbench.media import RESAMPLER, decoder_version
from thbench.metrics.available import FACE_WEIGHTS
from thbench.run.info import Recipe, describe_metric

if TYPE_CHECKING:
    from thbench.evaluate.settings import Settings
    from thbench.metrics.available import Selection


def recipe_of(selection: Selection, settings: Settings) -> Recipe:
    """The recipe under which the metrics of a selection are computed.

    Metrics that cannot be computed here stay in it: they are reported as missing, with the reason.
    """
    return Recipe(
        metrics={name: describe_metric(spec) for name, spec in selection.specs.items()},
        fps=settings.fps,
        missing_face=settings.missing_face,
        faces=FACE_RECIPE,
        decoder=decoder_version(),
        resampler=RESAMPLER,
    )


def weights_of(selection: Selection) -> dict[str, str]:
    """SHA-256 of every weight file that the computable metrics of a selection use."""
    names = {name for spec in selection.computable for name in spec.weights}
    if selection.needs_faces:
        names.add(FACE_WEIGHTS)
    return {name: WEIGHTS[name].sha256 for name in sorted(names) if find(name)}
