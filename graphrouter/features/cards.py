"""Numbers that a model card states, in its fields or in its words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from graphrouter.features.prompts import Float32Array, measure_columns
from graphrouter.own_fields import OwnValue
from graphrouter.pool import ModelCard, ModelPool
from graphrouter.siblings import read_effort
from graphrouter.types import BoolArray, FloatArray

CARD_NAMES = (
    "input_usd_per_mtok", "output_usd_per_mtok", "context_tokens", "num_params", "released",
    "tools", "vision", "json",
)  # fmt: skip

_MOST = 5.0
"""Standard deviations beyond which a number counts no further."""
_FIRST_YEAR, _LAST_YEAR = 2000.0, 2100.0
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
    70B model with 128K context" more often than they fill in fields. A field of the user's own
    named `released`, a year or a date, stands before what words say of it.
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
        stated = card.own_fields.get("released")
        released = words.released if stated is None else _read_release(stated)
        flags = [
            np.nan if f is None else float(f) for f in (card.tools, card.vision, card.json_output)
        ]
        rows.append([*logs, np.nan if released is None else released, *flags])
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(CARD_NAMES))


def read_own_numbers(cards: Sequence[ModelCard], known: BoolArray) -> Float32Array:
    """Numbers in the fields of the users' own: (num_models, 2 * num_own), then missing marks.

    Fields in the order of their names, true = 1, and last how hard the parameters make a model
    think (`siblings.read_effort`). Each is centred and scaled by the models that
    outcomes are known of, so that a newcomer changes nothing for others, and clipped to [-5, 5]; 0
    where it is not stated. A field that none of those states says nothing, and is left out. A
    release date counts as the one that words may state; see `read_cards`.

    Args:
        cards: Of the pool.
        known: (num_models,) models that outcomes are known of.
    """
    names = sorted({name for card in cards for name in card.own_fields} - {"released"})
    pool = ModelPool.of(cards)
    efforts = [read_effort(card.parameters) for card in cards]
    columns = [
        *(pool.amounts_of(name) for name in names),
        np.array([np.nan if effort is None else effort for effort in efforts], np.float64),
    ]
    stated = [column for column in columns if np.isfinite(column[known]).any()]
    raw = np.column_stack([np.zeros((len(cards), 0)), *stated])
    mean, scale = measure_columns(raw[known])
    missing = np.isnan(raw)
    scaled = np.clip((np.where(missing, mean, raw) - mean) / scale, -_MOST, _MOST)
    return np.concatenate([scaled, missing], axis=1).astype(np.float32)


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


def _read_release(stated: OwnValue) -> float | None:
    """The year with a fraction that a field states; None where it is none."""
    found = _find_release(stated) if isinstance(stated, str) else None
    try:
        year = float(stated) if found is None else found
    except ValueError:
        return None
    return year if _FIRST_YEAR <= year < _LAST_YEAR else None


def _find_release(text: str) -> float | None:
    month = _MONTH.search(text)
    if month is not None:
        return int(month[2]) + _SHORT.index(month[1][:3].lower()) / 12
    stamp = _STAMP.search(text)
    return None if stamp is None else int(stamp[1]) + (int(stamp[2]) - 1) / 12
