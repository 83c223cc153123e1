"""The candidate models: a card for each, and the pool that holds them in a fixed order."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from pydantic import ConfigDict, Field, field_validator, model_validator

from graphrouter.documented_model import DocumentedModel
from graphrouter.exceptions import DataError, UnknownModelError
from graphrouter.own_fields import OwnValue, check_own_fields
from graphrouter.siblings import complete, read_parameters
from graphrouter.types import FloatArray
from graphrouter.wording import count_of, name_some, suggest

__all__ = [
    "KINDS",
    "OWN_KIND",
    "CandidateKind",
    "ModelCard",
    "ModelPool",
    "find_alike",
    "parse_card",
]


CandidateKind = Literal["model", "retriever", "pipeline", "mode"]
"""What a candidate may be: a language model, a retriever, a pipeline of several steps, or a way to
run one model, such as with reasoning. The router treats all alike."""
KINDS: tuple[str, ...] = get_args(CandidateKind)
OWN_KIND = "own_kind"
"""What a field of the user's own named `kind` is called in artifacts from before that had a
meaning."""

_logger = logging.getLogger(__name__)


class ModelCard(DocumentedModel):
    """What is known of a candidate model without running it.

    A candidate need not be a model: `kind` says what it is, and nothing is learned from that.

    A card takes fields of your own beside those below, each one number, text, or true or false:
    a region, a licence, watt hours a call, a score on a public benchmark. Numbers and truth values
    tell a graph router which models are alike; `Policy` can require any field
    (`requires={"region": "eu"}`) and count numbers against a model (`penalties`). A name that
    reads like a slip of one below is refused.

    Example:
        >>> prices = {"input_usd_per_mtok": 0.1, "output_usd_per_mtok": 0.4}
        >>> ModelCard(model="nano", description="Small fast model.", **prices).has_price
        True
        >>> ModelCard(model="nano", region="eu", energy_wh=0.3).own_fields
        {'region': 'eu', 'energy_wh': 0.3}
    """

    model_config = ConfigDict(extra="allow")
    refusal = DataError
    noun = "field"

    model: str = Field(min_length=1, description="Unique name of the model in the pool.")
    kind: CandidateKind | None = Field(
        None, description="What the candidate is; a model where nothing is stated."
    )
    description: str | None = Field(
        None, description="What the model is and what it is good at, in a sentence or two."
    )
    input_usd_per_mtok: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="US dollars per million prompt tokens."
    )
    output_usd_per_mtok: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="US dollars per million completion tokens."
    )
    context_tokens: int | None = Field(
        None, gt=0, description="Longest prompt plus completion, in tokens."
    )
    num_params: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Number of parameters."
    )
    family: str | None = Field(
        None, description="Family name; splits by model keep a family together."
    )
    base: str | None = Field(
        None,
        min_length=1,
        description="The provider's model that this is a setting of; siblings share it.",
    )
    parameters: dict[str, Any] | None = Field(
        None, description="What to send with a call, such as reasoning_effort."
    )
    tools: bool | None = Field(None, description="Can call tools.")
    vision: bool | None = Field(None, description="Can read images.")
    json_output: bool | None = Field(None, alias="json", description="Can be held to JSON output.")

    @model_validator(mode="before")
    @classmethod
    def _read_own_fields(cls, values: Any) -> Any:
        return check_own_fields(values, cls) if isinstance(values, dict) else values

    @field_validator("model")
    @classmethod
    def _is_no_blank(cls, name: str) -> str:
        if not name.strip():
            raise ValueError("expected a name that is not blank")
        return name

    @field_validator("kind", mode="before")
    @classmethod
    def _read_kind(cls, value: Any) -> Any:
        kind = value.strip().lower() if isinstance(value, str) else value  # as in tables
        if kind is None or kind in KINDS:
            return kind
        raise ValueError(
            f"expected {', '.join(KINDS[:-1])} or {KINDS[-1]}; leave it empty for a model, and "
            f"call a field of your own otherwise, such as {OWN_KIND}"
        )

    @field_validator("parameters", mode="before")
    @classmethod
    def _read_parameters(cls, value: Any) -> dict[str, Any] | None:
        return read_parameters(value)

    @property
    def request(self) -> dict[str, Any]:
        """What to send for an answer of this candidate: the provider's model and the parameters.

        Example:
            >>> ModelCard(model="x-high", base="x", parameters={"effort": "high"}).request
            {'model': 'x', 'effort': 'high'}
            >>> ModelCard(model="nano").request
            {'model': 'nano'}
        """
        return {"model": self.base or self.model, **(self.parameters or {})}

    @property
    def has_price(self) -> bool:
        """True when both the prompt and the completion price are known."""
        return self.input_usd_per_mtok is not None and self.output_usd_per_mtok is not None

    @property
    def own_fields(self) -> dict[str, OwnValue]:
        """The fields of the user's own, by name, in the order stated."""
        return dict(self.model_extra or {})

    def state_of(self, name: str) -> OwnValue | None:
        """What the card states in a field, its own or the user's; None where nothing is stated.

        Example:
            >>> card = ModelCard(model="nano", json=True, region="eu")
            >>> card.state_of("json"), card.state_of("region"), card.state_of("energy_wh")
            (True, 'eu', None)
            >>> card.state_of("kind")
            'model'
        """
        if name == "kind":
            return self.kind or KINDS[0]
        of_name = "json_output" if name == "json" else name
        if of_name not in type(self).model_fields:
            return (self.model_extra or {}).get(name)
        value = getattr(self, of_name)
        return None if isinstance(value, Mapping) else value

    def has_capability(self, name: str) -> bool | None:
        """Whether the model has the capability `tools`, `vision` or `json`.

        None when the card does not say.
        """
        value: bool | None = getattr(self, "json_output" if name == "json" else name)
        return value


@dataclass(frozen=True, repr=False)
class ModelPool:
    """The candidate models in a fixed order, with unique names."""

    cards: tuple[ModelCard, ...]

    def __post_init__(self) -> None:
        names = [card.model for card in self.cards]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DataError(
                f"The pool names {twice[0]!r} more than once; every model needs a name of its own."
            )

    @classmethod
    def of(cls, cards: Iterable[ModelCard]) -> ModelPool:
        """A pool of the cards, in the order given."""
        return cls(tuple(cards))

    @classmethod
    def of_stored(cls, stored: Iterable[Mapping[str, Any]]) -> ModelPool:
        """The pool of an artifact.

        Where `kind` was a field of the user's own when a card was written, it is called `own_kind`
        in all cards, which is logged: it says what it said, and predictions stay.

        Args:
            stored: The fields of the cards by name, in the order of the pool.

        Example:
            >>> pool = ModelPool.of_stored([{"model": "a", "kind": "chat"}, {"model": "b"}])
            >>> pool["a"].own_fields
            {'own_kind': 'chat'}
        """
        cards = [dict(card) for card in stored]
        if all(card.get("kind") in (None, *KINDS) for card in cards):
            return cls.of(map(ModelCard.model_validate, cards))
        name = OWN_KIND
        while any(name in card for card in cards):
            name += "_"
        _logger.warning(
            "The cards of this artifact have a field of your own named 'kind', which says what a "
            "candidate is since: it is called %r here. Save the router again to keep that, and "
            "require it by that name in policies.",
            name,
        )
        renamed = [
            {name if key == "kind" else key: value for key, value in card.items()} for card in cards
        ]
        return cls.of(map(ModelCard.model_validate, renamed))

    def joined_by(self, cards: Iterable[ModelCard]) -> ModelPool:
        """The pool with more cards behind its own, which stay as they are.

        A new card that is a setting of a model (`base`) takes over what it leaves empty and its
        siblings state: description, family, prices, context and size.

        Example:
            >>> pool = ModelPool.of([ModelCard(model="x", context_tokens=8192)])
            >>> pool.joined_by([ModelCard(model="x-high", base="x")])["x-high"].context_tokens
            8192
        """
        everyone = (*self.cards, *cards)
        taken = complete([card.model_dump(exclude_none=True) for card in everyone])
        new = zip(everyone[len(self) :], taken[len(self) :], strict=True)
        return ModelPool((*self.cards, *(card.model_copy(update=more) for card, more in new)))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Model names in pool order."""
        return tuple(card.model for card in self.cards)

    @cached_property
    def index(self) -> dict[str, int]:
        """Position of each model in the pool, by name."""
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def prices(self) -> FloatArray:
        """Input and output US dollars per million tokens: (2, num_models), NaN = not known."""
        rows = [
            [card.input_usd_per_mtok for card in self.cards],
            [card.output_usd_per_mtok for card in self.cards],
        ]
        return np.array(rows, dtype=np.float64)

    @cached_property
    def context_limits(self) -> FloatArray:
        """Most tokens of prompt and answer together: (num_models,), infinity = not stated."""
        stated = [card.context_tokens for card in self.cards]
        return np.array([np.inf if most is None else most for most in stated], dtype=np.float64)

    def amounts_of(self, field: str) -> FloatArray:
        """A numeric field of all cards: (num_models,), true = 1, NaN = not stated, or no number.

        Example:
            >>> cards = [ModelCard(model="a", energy_wh=0.3), ModelCard(model="b")]
            >>> ModelPool.of(cards).amounts_of("energy_wh").tolist()
            [0.3, nan]
        """
        stated = [card.state_of(field) for card in self.cards]
        return np.array(
            [np.nan if v is None or isinstance(v, str) else float(v) for v in stated], np.float64
        )

    @cached_property
    def fields_stated(self) -> tuple[str, ...]:
        """Names of the fields that at least one card states, those of the users last."""
        named: dict[str, None] = {}
        for kind in (False, True):
            for card in self.cards:
                own = card.own_fields
                stated = own if kind else card.model_dump(by_alias=True, exclude_none=True)
                named |= dict.fromkeys(name for name in stated if kind or name not in own)
        return tuple(named)

    def position(self, model: str) -> int:
        """Position of `model` in the pool.

        Raises:
            UnknownModelError: The pool has no such model.
        """
        if not isinstance(model, str):
            raise UnknownModelError(
                f"A {type(model).__name__} stands for a model; expected its name. The pool has: "
                f"{name_some(self.names, most=8)}."
            )
        if model not in self.index:
            hint = suggest(model, self.names, "The pool has: ")
            raise UnknownModelError(f"Unknown model {model!r}. {hint}")
        return self.index[model]

    def __getitem__(self, model: str) -> ModelCard:
        return self.cards[self.position(model)]

    def __iter__(self) -> Iterator[ModelCard]:
        return iter(self.cards)

    def __len__(self) -> int:
        return len(self.cards)

    def __repr__(self) -> str:
        more = ", ..." if len(self) > 5 else ""
        return f"ModelPool({count_of(len(self), 'model')}: {', '.join(self.names[:5])}{more})"


def find_alike(names: Iterable[str]) -> dict[int, int]:
    """Positions of names that differ from an earlier one by capitals and spaces alone, and of that.

    Two models of such names would share what is known of one.

    Example:
        >>> find_alike(["gpt-4o", "nano", "GPT-4o ", "nano"])
        {2: 0}
    """
    first: dict[str, tuple[int, str]] = {}
    alike = {}
    for i, name in enumerate(names):
        place, earlier = first.setdefault("".join(name.split()).casefold(), (i, name))
        if earlier != name:
            alike[i] = place
    return alike


def parse_card(values: dict[str, Any], *, source: str = "card") -> ModelCard:
    """A card from plain values (YAML, JSON, command line).

    Raises:
        DataError: A field is unknown, missing or not accepted.
    """
    return ModelCard.parse(values, source=source)
