"""What the numbers of a run depend on: protocols, decoder, resampler, landmarker, weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thbench.backbones.weights import find, spec_of, user_spec
from thbench.faces import RECIPE as FACE_RECIPE
from thbench.media import RESAMPLER, decoder_version
from thbench.metrics.available import FACE_WEIGHTS
from thbench.run.info import MetricInfo, Recipe, describe_metric

if TYPE_CHECKING:
    from thbench.evaluate.settings import Settings
    from thbench.metrics.available import Selection
    from thbench.spec import MetricSpec


def recipe_of(selection: Selection, settings: Settings) -> Recipe:
    """The recipe under which the metrics of a selection are computed.

    Metrics that cannot be computed here stay in it: they are reported as missing, with the reason.
    """
    return Recipe(
        metrics={name: _described(spec) for name, spec in selection.specs.items()},
        fps=settings.fps,
        missing_face=settings.missing_face,
        faces=FACE_RECIPE,
        decoder=decoder_version(),
        resampler=RESAMPLER,
    )


def _described(spec: MetricSpec) -> MetricInfo:
    """What a table must say of a metric here: the user's own weights make a protocol of their own."""
    described = describe_metric(spec)
    names = (FACE_WEIGHTS, *spec.weights) if "face" in spec.needs else spec.weights
    own = [f"user-supplied-{name}-{used.sha256[:12]}" for name in names if (used := user_spec(name)) is not None]
    return described.model_copy(update={"protocol": "/".join([described.protocol, *own])}) if own else described


def weights_of(selection: Selection) -> dict[str, str]:
    """SHA-256 of every weight file that the computable metrics of a selection use; the user's own are marked."""
    names = {name for spec in selection.computable for name in spec.weights}
    if selection.needs_faces:
        names.add(FACE_WEIGHTS)
    return {
        name: spec_of(name).sha256 + (" (user-supplied)" if user_spec(name) else "")
        for name in sorted(names)
        if find(name)
    }
