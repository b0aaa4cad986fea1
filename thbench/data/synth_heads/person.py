"""Who somebody is: everything about a synthetic person that does not change from clip to clip."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from thbench.data.synth_heads.body import GARMENTS
from thbench.data.synth_heads.hair import HAIR_STYLES
from thbench.data.synth_heads.shape import SHAPE_MODES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from thbench.data.synth_heads.body import Garment

    Rgb = tuple[float, float, float]

SKIN_TONES: tuple[Rgb, ...] = (
    (0.94, 0.79, 0.72),
    (0.91, 0.73, 0.64),
    (0.88, 0.68, 0.55),
    (0.79, 0.58, 0.44),
    (0.66, 0.46, 0.33),
    (0.50, 0.33, 0.23),
    (0.36, 0.23, 0.16),
)
"""Mean skin from light to dark, sRGB."""
HAIR_COLOURS: Mapping[str, Rgb] = {
    "black": (0.10, 0.09, 0.09),
    "dark brown": (0.20, 0.14, 0.10),
    "brown": (0.34, 0.23, 0.15),
    "light brown": (0.50, 0.36, 0.24),
    "blond": (0.76, 0.61, 0.39),
    "red": (0.55, 0.25, 0.12),
    "grey": (0.58, 0.57, 0.56),
    "white": (0.86, 0.85, 0.83),
}
IRIS_COLOURS: Mapping[str, Rgb] = {
    "brown": (0.33, 0.19, 0.10),
    "dark brown": (0.19, 0.11, 0.07),
    "hazel": (0.45, 0.34, 0.17),
    "green": (0.36, 0.47, 0.29),
    "blue": (0.33, 0.50, 0.68),
    "grey": (0.47, 0.54, 0.58),
}
_CLOTHES: tuple[Rgb, ...] = (
    *((0.13, 0.17, 0.28), (0.75, 0.74, 0.71), (0.16, 0.16, 0.17), (0.48, 0.13, 0.15), (0.20, 0.36, 0.29)),
    *((0.27, 0.42, 0.62), (0.80, 0.62, 0.30), (0.58, 0.35, 0.50), (0.83, 0.82, 0.86), (0.35, 0.27, 0.22)),
    *((0.20, 0.47, 0.50), (0.85, 0.55, 0.45)),
)


@dataclass(frozen=True, slots=True)
class Look:
    """How a person is painted."""

    skin: Rgb
    """Mean colour of the skin, sRGB."""
    blush: float
    """Redness of cheeks, nose and ears, 0 to 1."""
    freckles: float
    """Density, 0 to 1."""
    age: float
    """Lines and uneven colour, 0 to 1."""
    lips: Rgb
    """Colour towards which the lips are mixed, sRGB."""
    lipstick: float
    """How opaque that colour is, 0 to 1."""
    eyeshadow: float
    """Darkening of the upper lids, 0 to 1."""
    lashes: float
    """Length of the upper lashes, centimetres."""
    iris: Rgb
    """Mean colour of the iris, sRGB."""
    hair: Rgb
    """Mean colour of the hair, sRGB."""
    brow: Rgb
    """Colour of the brows, sRGB."""
    brow_thickness: float
    """Relative to the mean."""
    brow_arch: float
    """How far the brow rises to its bend, centimetres beyond the mean."""
    stubble: float
    """Shadow of a shaven or short beard, 0 to 1."""
    beard: float
    """Opaque beard, 0 to 1."""
    moustache: float
    """Opaque moustache, 0 to 1."""
    cloth: Rgb
    """Main colour of the garment, sRGB."""
    cloth_second: Rgb
    """Second colour: pattern, shirt under a suit, tie."""
    pattern: int
    """0 plain, 1 stripes, 2 checks, 3 knit, 4 dots."""


@dataclass(frozen=True, slots=True)
class Person:
    """One synthetic identity."""

    seed: int
    """Number of the person; all below follows from it."""
    feminine: float
    """Latent in [0, 1] that ties shape, hair, paint and voice together."""
    shape: Mapping[str, float]
    """Strength of each mode of `SHAPE_MODES`."""
    look: Look
    """Colours and paint."""
    hair: str
    """Name in `HAIR_STYLES`."""
    garment: Garment
    """What the person wears."""
    glasses: int
    """0 none, 1 round, 2 rectangular."""
    ear_size: float
    """Relative to the mean."""
    ear_flare: float
    """Degrees beyond the mean."""
    neck: float
    """Width relative to the mean."""
    muscle: float
    """Trapezius and larynx, 0 to 1."""
    breadth: float
    """Shoulders relative to the mean."""
    teeth: float
    """Height relative to the mean."""


def stream(*key: int) -> np.random.Generator:
    """Independent random stream of a key; equal keys give equal numbers on every machine."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


_SHAPE_OF_SEX: Mapping[str, float] = {
    "jaw_width": 1.0, "brow_ridge": 1.1, "chin_width": 0.8, "nose_projection": 0.5, "nose_width": 0.4,
        "nose_length": 0.4,
    "eye_size": -0.7, "lip_height": -0.6, "upper_lip_volume": -0.4, "lower_lip_volume": -0.5, "chin_length": 0.5,
    "cheek_fullness": -0.3, "brow_height": -0.6, "head_height": 0.3, "jaw_height": 0.5, "cheekbones": -0.4,
}  # fmt: skip
"""Mean of some modes for feminine = 0; the opposite for feminine = 1."""
_RARE = ("chin_sideways", "nose_sideways", "mouth_sideways", "chin_cleft", "nasolabial", "eye_bags", "nose_bump")
_SHORT = ("buzz", "crop", "side part", "quiff", "receding", "curly", "afro", "fringe", "bald")
_LONG = ("bob", "bob with fringe", "long", "long wavy", "bun", "long", "long wavy", "bob", "curly")


def make_person(seed: int) -> Person:
    """Draw a person.

    Args:
        seed: Any non-negative number; equal seeds give equal people.
    """
    rng = stream(0x5EAD, seed)
    feminine = float(np.clip(0.5 + 0.5 * np.tanh(1.6 * rng.standard_normal() + 0.05), 0, 1))
    age = float(rng.beta(1.6, 2.4))
    shape = _draw_shape(rng, feminine, age)
    hair = str(rng.choice(_LONG if rng.random() < feminine else _SHORT))
    if hair in ("receding", "bald") and (age < 0.35 or feminine > 0.6):
        hair = "crop"
    tone = float(rng.uniform(0, len(SKIN_TONES) - 1))
    look = _draw_look(rng, feminine, age, tone, hair)
    return Person(
        seed=seed,
        feminine=feminine,
        shape=shape,
        look=look,
        hair=hair,
        garment=GARMENTS[int(rng.choice(len(GARMENTS), p=_garment_weights(feminine)))],
        glasses=int(rng.choice(3, p=(0.84, 0.08, 0.08))),
        ear_size=float(1 + 0.07 * rng.standard_normal() + 0.08 * (age - 0.3)),
        ear_flare=float(6 * rng.standard_normal()),
        neck=float(1.06 - 0.16 * feminine + 0.03 * rng.standard_normal()),
        muscle=float(np.clip(0.75 - 0.7 * feminine + 0.15 * rng.standard_normal(), 0, 1)),
        breadth=float(1.06 - 0.15 * feminine + 0.03 * rng.standard_normal()),
        teeth=float(1 + 0.08 * rng.standard_normal()),
    )


def reshaped(person: Person, rng: np.random.Generator) -> Person:
    """Somebody with another shape of the face under the same skin and hair.

    The mesh has the same vertices and triangles, and the textures are the same.
    """
    return replace(person, shape=_draw_shape(rng, person.feminine, person.look.age))


def _garment_weights(feminine: float) -> list[float]:
    weight = np.array((1.0, 0.6, 1.0, 1.2 - 0.8 * feminine, 0.7, 0.6, 1.4 * feminine))
    return list(weight / weight.sum())


def _draw_shape(rng: np.random.Generator, feminine: float, age: float) -> dict[str, float]:
    shape = {}
    for name in SHAPE_MODES:
        spread = 0.6 if name in _RARE else 0.85
        value = spread * float(np.clip(rng.standard_normal(), -2.2, 2.2))
        shape[name] = value + 1.4 * (1 - 2 * feminine) * _SHAPE_OF_SEX.get(name, 0.0)
    shape["nasolabial"] += 1.6 * age
    shape["eye_bags"] += 1.4 * max(age - 0.4, 0.0)
    shape["lip_height"] -= 0.8 * max(age - 0.4, 0.0)
    return shape


def _draw_look(rng: np.random.Generator, feminine: float, age: float, tone: float, hair: str) -> Look:
    skin = np.stack([np.interp(tone, range(len(SKIN_TONES)), [c[i] for c in SKIN_TONES]) for i in range(3)])
    skin = skin * (1 + 0.025 * rng.standard_normal(3))
    dark = tone / (len(SKIN_TONES) - 1)
    names = list(HAIR_COLOURS)
    light = (
        np.array((1.0, 1.2, 1.4, 1.2, 1.1, 0.6, 0.0, 0.0)) if dark < 0.5 else np.array((2.5, 1.5, 0.3, 0, 0, 0, 0, 0))
    )
    light[6:] = (3.5 * max(age - 0.45, 0), 2.5 * max(age - 0.6, 0))
    colour = np.array(HAIR_COLOURS[names[int(rng.choice(8, p=light / light.sum()))]]) * (
        1 + 0.08 * rng.standard_normal()
    )
    irises = list(IRIS_COLOURS.values())
    weight = np.array((1.0, 0.8, 0.8, 0.7, 1.1, 0.6)) if dark < 0.45 else np.array((1.0, 2.0, 0.2, 0.05, 0.03, 0.03))
    iris = np.array(irises[int(rng.choice(6, p=weight / weight.sum()))]) * (1 + 0.1 * rng.standard_normal())
    masculine = feminine < 0.45
    bearded = masculine and rng.random() < 0.35
    made_up = float(feminine > 0.55) * float(rng.random() < 0.6)
    cloth, second = rng.choice(len(_CLOTHES), 2, replace=False)
    return Look(
        skin=_rgb(skin),
        blush=float(rng.uniform(0.25, 0.9)),
        freckles=float(max(rng.uniform(-0.8, 1), 0.0) * (dark < 0.4)),
        age=age,
        lips=_rgb(
            np.array(
                ((0.72, 0.30, 0.33), (0.66, 0.16, 0.20), (0.78, 0.42, 0.42), (0.55, 0.22, 0.30))[int(rng.integers(4))]
            )
        ),
        lipstick=float(made_up * rng.uniform(0.3, 0.8)),
        eyeshadow=float(0.15 + made_up * rng.uniform(0.2, 0.6)),
        lashes=float(0.16 + 0.16 * feminine + 0.08 * made_up),
        iris=_rgb(iris),
        hair=_rgb(colour),
        brow=_rgb(colour * (0.55 if colour.mean() > 0.3 else 0.85)),
        brow_thickness=float(np.clip(1.15 - 0.4 * feminine + 0.15 * rng.standard_normal(), 0.55, 1.5)),
        brow_arch=float(0.12 * rng.standard_normal() + 0.12 * feminine),
        stubble=float(masculine * rng.uniform(0.1, 0.75)),
        beard=float(bearded * rng.uniform(0.6, 1.0)),
        moustache=float((bearded and rng.random() < 0.8) or (masculine and rng.random() < 0.08)),
        cloth=_CLOTHES[int(cloth)],
        cloth_second=_CLOTHES[int(second)],
        pattern=int(rng.choice(5, p=(0.5, 0.15, 0.12, 0.15, 0.08))),
    )


def _rgb(colour: NDArray[np.float64]) -> Rgb:
    r, g, b = (float(c) for c in np.clip(colour, 0.02, 0.98))
    return r, g, b


__all__ = [
    "HAIR_COLOURS",
    "HAIR_STYLES",
    "IRIS_COLOURS",
    "SKIN_TONES",
    "Look",
    "Person",
    "make_person",
    "reshaped",
    "stream",
]
