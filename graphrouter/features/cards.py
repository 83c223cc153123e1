"""Numbers that a model card states, in its fields or in its words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from graphrouter.pool import ModelCard
from graphrouter.types import FloatArray

CARD_NAMES = (
    "input_usd_per_mtok", "output_usd_per_mtok", "context_tokens", "num_params", "released",
    "tools", "vision", "json",
)  # fmt: skip

_LOWEST_PRICE = 1e-3  # USD per million tokens; stands for "free" on the log scale
_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_SHORT = tuple(name[:3] for name in _MONTHS)
_CONTEXT = re.compile(r"(\d+(?:\.\d+)?) ?(k|m)(?:[- ]tokens?)?[- ](?:of )?context\b", re.IGNORECASE)
_EXPERTS = re.compile(r"\b(\d+) ?x ?(\d+(?:\.\d+)?) ?b\b", re.IGNORECASE)
# A count of training tokens or a sum of money is no size.
_SIZE = re.compile(
    r"(?<![\w.$])(\d+(?:\.\d+)?)(?: ?(?P<b>b|billion)\b(?!\+?[- ](?:[a-z-]+ ){0,4}tokens?\b)"
    r"| ?(?P<t>t|trillion)\b[- ](?:param|model))",
    re.IGNORECASE,
)
_MONTH = re.compile(rf"\b({'|'.join((*_MONTHS, *_SHORT, 'sept'))})\.? (20\d\d)\b", re.IGNORECASE)
_STAMP = re.compile(r"(?<!\d)(20[12]\d)-?(0[1-9]|1[0-2])(?:-?[0-3]\d)?(?!\d)")
_SEPARATORS = re.compile(r"[-_/]")


class StatedInWords(NamedTuple):
    """What name and description say; None = nothing."""

    context_tokens: float | None
    num_params: float | None
    released: float | None
    """As a year with a fraction."""


def read_cards(cards: Iterable[ModelCard]) -> FloatArray:
    """Numbers of each card before scaling: (num_models, len(CARD_NAMES)).

    Logarithms, a year, 0/1 flags; NaN = not stated.

    Context and size are read from name and description where their fields are empty: users write "a
    70B model with 128K context" more often than they fill in fields.
    """
    rows = []
    for card in cards:
        words = read_words(card)
        context, size = (
            card.context_tokens or words.context_tokens,
            card.num_params or words.num_params,
        )
        numbers = [card.input_usd_per_mtok, card.output_usd_per_mtok, context, size]
        logs = [np.nan if n is None else float(np.log(max(n, _LOWEST_PRICE))) for n in numbers]
        flags = [
            np.nan if f is None else float(f) for f in (card.tools, card.vision, card.json_output)
        ]
        rows.append([*logs, np.nan if words.released is None else words.released, *flags])
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(CARD_NAMES))


def read_words(card: ModelCard) -> StatedInWords:
    """What name and description of a card state.

    Example:
        >>> words = "Open model, 32K context, March 2024."
        >>> read_words(ModelCard(model="kestrel-8x7b", description=words))
        StatedInWords(context_tokens=32000.0, num_params=56000000000.0, released=2024.1666666666667)
    """
    as_written = f"{card.model} {card.description or ''}"
    name, description = _SEPARATORS.sub(" ", card.model), card.description or ""
    return StatedInWords(
        _find_context(f"{name} {description}"),
        _find_size(name) or _find_size(description),
        _find_release(as_written),
    )


def _find_context(text: str) -> float | None:
    found = _CONTEXT.search(text)
    return None if found is None else float(found[1]) * {"k": 1e3, "m": 1e6}[found[2].lower()]


def _find_size(text: str) -> float | None:
    """Number of parameters; the largest of several sizes, and of experts all together.

    A mixture has more parameters than it uses. A size in the name is the model's own; a description
    may speak of others.
    """
    experts = _EXPERTS.search(text)
    if experts is not None:
        return float(experts[1]) * float(experts[2]) * 1e9
    return max(
        (float(found[1]) * (1e9 if found["b"] else 1e12) for found in _SIZE.finditer(text)),
        default=None,
    )


def _find_release(text: str) -> float | None:
    month = _MONTH.search(text)
    if month is not None:
        return int(month[2]) + _SHORT.index(month[1][:3].lower()) / 12
    stamp = _STAMP.search(text)
    return None if stamp is None else int(stamp[1]) + (int(stamp[2]) - 1) / 12
