"""Sentences from small grammars: any number of them, none taken from a text.

A grammar is a start pattern and word lists; `{name}` in a pattern or word is replaced by a draw from the list of that
name. Which split a sentence belongs to is decided by its own letters, so no sentence can be in two splits.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

Grammar = Mapping[str, tuple[str, ...]]

_ENGLISH: Grammar = {
    "start": (
        "{Who} {past} {thing} {where}.",
        "{Who} {past} {thing} {where} {when}.",
        "{When}, {who} {past} {thing}.",
        "Please {do} {thing} {where}.",
        "Could you {do} {thing} before {time}?",
        "Why did {who} never {do} {thing}?",
        "I believe that {thing} {state} {where}.",
        "We should {do} {thing} and {do} {thing}.",
        "{Thing} {state}, but nobody {past} it {when}.",
        "My {relative} wants to {do} {thing} {when}.",
        "There were {number} {plural} {where}.",
        "You can {do} {number} {plural} for {price}.",
    ),
    "Who": ("The {job}", "My {relative}", "An old {job}", "Our {relative}", "That {quality} {job}", "Every {job}"),
    "who": ("the {job}", "my {relative}", "a {quality} {job}", "your {relative}", "that {job}"),
    "job": (
        *("farmer", "pilot", "baker", "teacher", "painter", "doctor", "sailor", "tailor", "gardener", "player"),
        *("waiter", "fireman", "poet", "judge", "plumber", "mayor", "banker", "dancer", "shepherd", "violinist"),
    ),
    "relative": ("brother", "mother", "father", "sister", "uncle", "aunt", "cousin", "neighbour", "best friend",
        "boss"),
    "quality": ("happy", "brave", "quiet", "famous", "busy", "clever", "very tall", "patient", "funny", "polite"),
    "past": (
        *("bought", "painted", "moved", "found", "opened", "wrapped", "showed", "brought", "lost", "measured"),
        *("fixed", "carried", "borrowed", "described", "wanted", "watched", "washed", "promised", "began", "forgot"),
    ),
    "do": (
        *("buy", "paint", "move", "find", "open", "wrap", "show", "bring", "lose", "measure", "fix", "carry"),
        *("borrow", "describe", "watch", "wash", "promise", "keep", "follow", "choose"),
    ),
    "Thing": ("The {colour} {object}", "This {size} {object}", "Our {object}", "The {material} {object}"),
    "thing": (
        *("the {colour} {object}", "a {size} {object}", "the {material} {object}", "{number} {plural}",
        "your {object}"),
        *("this {object}", "her {size} {colour} {object}", "another {object}", "his {material} {object}"),
    ),
    "object": (
        *("boat", "lamp", "piano", "window", "basket", "map", "camera", "pump", "bicycle", "table", "mirror", "fence"),
        *("coffee pot", "umbrella", "violin", "blanket", "puzzle", "wheel", "ladder", "jacket", "photograph", "bridge"),
    ),
    "plural": (
        *("apples", "maps", "boxes", "bubbles", "ships", "feathers", "melons", "boots", "papers", "mushrooms"),
        *("shirts", "roses", "pebbles", "chairs", "bottles", "wolves", "puppies", "violets", "cups", "thimbles"),
    ),
    "colour": ("blue", "purple", "green", "brown", "white", "yellow", "pink", "silver", "black", "orange"),
    "size": ("big", "small", "heavy", "tiny", "wide", "broken", "beautiful", "cheap", "simple", "strange"),
    "material": ("wooden", "paper", "copper", "velvet", "iron", "bamboo", "woollen", "leather", "plastic", "marble"),
    "where": (
        *("near the harbour", "by the river", "in the market", "behind the museum", "above the shop", "at the farm"),
        *("in my office", "under the bridge", "from the village", "on the beach", "below the tower",
        "inside the theatre"),
    ),
    "When": ("On Monday", "Before breakfast", "This evening", "Last February", "After the meeting", "Five years ago"),
    "when": ("this morning", "on Friday", "every week", "in the summer", "before lunch", "last November",
        "quite often"),
    "time": ("noon", "five", "Monday", "the holidays", "dinner", "half past four", "Wednesday", "the show"),
    "state": ("was moved", "looks beautiful", "became famous", "is for sale", "smells awful", "stood empty",
        "was thrown away"),
    "number": ("two", "three", "four", "five", "seven", "twelve", "forty", "fifteen", "a hundred", "both", "many"),
    "price": ("five pounds", "a few dollars", "nothing", "half the price", "a very good price", "ten cents"),
}  # fmt: skip

_GERMAN: Grammar = {
    "start": ("{Wer} {tat} {was} {wo}.", "{Wann} {tat} {wer} {was}.", "Bitte such {was} {wo}.",
        "Wir haben {was} {wann} vergessen."),
    "Wer": ("Der Bäcker", "Meine Mutter", "Unser Nachbar", "Die Malerin", "Ein Freund", "Der Fischer"),
    "wer": ("der Bäcker", "meine Mutter", "unser Nachbar", "die Malerin", "ein Freund", "der Fischer"),
    "tat": ("kaufte", "brachte", "malte", "fand", "öffnete", "bezahlte", "vergaß", "suchte", "wusch", "zeigte"),
    "was": ("das blaue Boot", "eine alte Lampe", "vier Äpfel", "den schweren Koffer", "die weiße Vase", "ein Bild",
        "zwei Mützen"),
    "wo": ("am Fluss", "im Museum", "vor dem Haus", "auf dem Markt", "bei der Brücke", "im Büro"),
    "Wann": ("Am Montag", "Heute früh", "Nach dem Essen", "Im Sommer", "Vor fünf Jahren"),
    "wann": ("am Montag", "heute früh", "nach dem Essen", "im Sommer", "wieder"),
}  # fmt: skip

_FRENCH: Grammar = {
    "start": ("{Qui} {fit} {quoi} {ou}.", "{Quand}, {qui} {fit} {quoi}.", "Nous avons perdu {quoi} {ou}.",
        "Pourquoi est-ce que {qui} {fit} {quoi}?"),
    "Qui": ("Le boulanger", "Ma voisine", "Mon père", "La pianiste", "Un pompier", "Notre ami"),
    "qui": ("le boulanger", "ma voisine", "mon père", "la pianiste", "un pompier", "notre ami"),
    "fit": ("apporte", "vend", "ouvre", "cherche", "répare", "montre", "oublie", "promet", "dessine", "mange"),
    "quoi": ("le bateau bleu", "une belle pomme", "deux parapluies", "la vieille lampe", "un gros livre",
        "cinq fleurs jaunes"),
    "ou": ("au marché", "près du fleuve", "sous le pont", "dans la cuisine", "devant le musée", "à la plage"),
    "Quand": ("Lundi", "Ce matin", "Avant midi", "En automne", "Chaque semaine"),
}  # fmt: skip

_SPANISH: Grammar = {
    "start": ("{Quien} {hizo} {que} {donde}.", "{Cuando}, {quien} {hizo} {que}.", "Por favor, busca {que} {donde}.",
        "Queremos vender {que} {donde}."),
    "Quien": ("El panadero", "Mi madre", "Nuestro vecino", "La pintora", "Un amigo", "El bombero"),
    "quien": ("el panadero", "mi madre", "nuestro vecino", "la pintora", "un amigo", "el bombero"),
    "hizo": ("compró", "pintó", "abrió", "perdió", "movió", "buscó", "trajo", "olvidó", "lavó", "vendió"),
    "que": ("el barco azul", "una mesa pequeña", "cuatro manzanas", "la lámpara vieja", "un libro famoso",
        "dos sombreros"),
    "donde": ("en el puerto", "junto al río", "bajo el puente", "en mi oficina", "frente al museo", "en la playa"),
    "Cuando": ("El lunes", "Esta mañana", "Antes de comer", "En verano", "Hace cinco años"),
}  # fmt: skip

LANGUAGES: Mapping[str, Grammar] = {"en": _ENGLISH, "de": _GERMAN, "fr": _FRENCH, "es": _SPANISH}
"""Language code to grammar."""
_SLOT = re.compile(r"\{(\w+)\}")


def sentence(rng: np.random.Generator, language: str = "en") -> str:
    """Draw a sentence.

    Args:
        rng: Source of randomness.
        language: A key of `LANGUAGES`.
    """
    grammar = LANGUAGES[language]

    def draw(name: str) -> str:
        words = grammar[name]
        return _SLOT.sub(lambda slot: draw(slot[1]), words[int(rng.integers(len(words)))])

    return draw("start")


def split_of(text: str) -> Split:
    """The split that a sentence belongs to: about one in ten for test and validation each."""
    number = hashlib.sha256(text.casefold().encode()).digest()[0]
    return "test" if number < 26 else "validation" if number < 52 else "train"


def sentence_of_split(rng: np.random.Generator, split: Split, language: str, letters: tuple[int, int]) -> str:
    """Draw sentences until one belongs to the split and has a length in `letters` (both ends included)."""
    while True:
        text = sentence(rng, language)
        if split_of(text) == split and letters[0] <= len(text) <= letters[1]:
            return text
