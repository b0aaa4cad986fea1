"""Training of the small networks that are shipped: one loop, its checkpoint, and the card that says what came of it."""

from thbench.training.card import Card, Score, write_card
from thbench.training.loop import Point, Recipe, Task, Trained, fit

__all__ = ["Card", "Point", "Recipe", "Score", "Task", "Trained", "fit", "write_card"]
