"""What a template hands over, and the small tools with which templates are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Draft:
    """A prompt and how long a plain answer to it is."""

    prompt: str
    answer_tokens: float
    """Completion tokens of a model of average verbosity."""


Compose = Callable[[np.random.Generator, float], Draft]
"""Writes a prompt; the float is the difficulty that its text must show, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Facet:
    """A kind of content within a task, on which models differ as well."""

    name: str
    label: str
    """The content in words, for model descriptions."""
    compose: Compose


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A task of the simulated world."""

    task: str
    description: str
    facets: tuple[Facet, ...]
    hardness: float = 0.0
    """Added to the difficulty of all its queries, in logits."""
    spread: float = 1.0
    """How much of the difficulty lies in what the text shows; multiplies its range."""


def pick(rng: np.random.Generator, pool: Sequence[T]) -> T:
    """One member of `pool`, all alike likely."""
    return pool[int(rng.integers(len(pool)))]


def pick_some(rng: np.random.Generator, pool: Sequence[T], count: int) -> list[T]:
    """`count` different members of `pool` in random order; all of them when it has fewer."""
    return [pool[int(i)] for i in rng.permutation(len(pool))[:count]]


def pick_by_level(rng: np.random.Generator, pool: Sequence[T], level: float) -> T:
    """A member near the share `level` of `pool`, which goes from easy to hard."""
    place = (level + rng.normal(0.0, 0.12)) * len(pool)
    return pool[int(np.clip(place, 0, len(pool) - 1))]


def draw_between(rng: np.random.Generator, low: int, high: int) -> int:
    """A whole number from `low` to `high`, both included."""
    return int(rng.integers(low, high + 1))


def scale(level: float, low: int, high: int) -> int:
    """The whole number at the share `level` of the way from `low` to `high`."""
    return round(low + level * (high - low))


def join_words(items: Sequence[str]) -> str:
    """The items as English lists them: a, b and c."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def join_bullets(items: Sequence[str]) -> str:
    """The items as lines that start with a dash."""
    return "\n".join(f"- {item}" for item in items)


def capitalise(text: str) -> str:
    """`text` with its first letter in upper case."""
    return text[:1].upper() + text[1:]


NAMES = (
    "Amira", "Bogdan", "Carmen", "Dmitri", "Esi", "Farid", "Greta", "Hiro", "Ines", "Jonas", "Kofi", "Leila", "Marek", "Noor",
    "Oskar", "Priya", "Quentin", "Rosa", "Sven", "Tamar", "Ulla", "Victor", "Wanjiru", "Xenia", "Yusuf", "Zoltan",
)  # fmt: skip
CITIES = (
    "Porto", "Gdansk", "Bergen", "Tartu", "Lyon", "Graz", "Ghent", "Bari", "Cork", "Split", "Aarhus", "Leeds", "Malaga", "Brno",
    "Turku", "Varna", "Basel", "Izmir", "Osaka", "Quito", "Accra", "Perth", "Halifax", "Busan",
)  # fmt: skip
FIRMS = (
    "Alder & Finch", "Bluestone Freight", "Copperleaf Labs", "Driftwood Foods", "Ember Robotics", "Fjordline Energy",
    "Gullwing Travel", "Harrow Textiles", "Inkwell Press", "Juno Ceramics", "Kiteworks Toys", "Larkspur Health",
    "Millpond Dairy", "Northgate Cycles", "Oxbow Insurance", "Pinecrest Schools",
)  # fmt: skip
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
