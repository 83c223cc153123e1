"""Settings of one model: parameters, effort, what siblings share."""

from __future__ import annotations

import math
from typing import Any

import pytest

import graphrouter as gr
from graphrouter.exceptions import DataError
from graphrouter.pool import ModelPool
from graphrouter.siblings import complete, group_by_base, read_effort, read_parameters

LARGE = gr.ModelCard(
    model="large",
    description="Thinks.",
    input_usd_per_mtok=2.0,
    output_usd_per_mtok=8.0,
    tools=True,
    region="eu",
)


def test_parameters_are_read_from_mappings_and_json() -> None:
    high = {"reasoning_effort": "high"}
    assert read_parameters(high) == read_parameters('{"reasoning_effort": "high"}') == high
    assert read_parameters(None) is read_parameters(" ") is read_parameters({}) is None
    card = gr.ModelCard(model="large-high", base="large", parameters=high)
    assert card.request == {"model": "large", "reasoning_effort": "high"}
    assert card.state_of("parameters") is None
    assert card.state_of("base") == "large"
    assert gr.ModelCard.model_validate_json(card.model_dump_json()) == card


@pytest.mark.parametrize(
    "wrong", ["high", "[1]", 7e9, ["high"], {1: 2}, {"a": math.nan}, {"a": {1, 2}}, "{", "{'a': 1}"]
)
def test_other_parameters_are_refused(wrong: Any) -> None:
    with pytest.raises(
        DataError, match="^ModelCard: parameters = .* is not accepted: expected a map"
    ):
        gr.ModelCard(model="large", parameters=wrong)


def test_a_size_in_the_place_of_parameters_is_told_its_field() -> None:
    with pytest.raises(DataError, match=r"the size of a model is num_params\.$"):
        gr.ModelCard(model="large", parameters=7e9)


@pytest.mark.parametrize(
    ("parameters", "effort"),
    [
        ({"reasoning_effort": "minimal"}, 1.0),
        ({"reasoning": {"effort": "HIGH"}}, 4.0),
        ({"thinking": {"type": "enabled", "budget_tokens": 16_384}}, 4.0),
        ({"thinking_budget": 0}, 0.0),
        ({"thinking_budget": -1}, None),
        ({"effort": "much"}, None),
        ({"temperature": 0.2}, None),
        (None, None),
    ],
)
def test_effort(parameters: dict[str, Any] | None, effort: float | None) -> None:
    assert read_effort(parameters) == (None if effort is None else pytest.approx(effort))


def test_groups_begin_with_the_model_named_like_the_base() -> None:
    assert group_by_base(["x", None, "x", None], ["x-high", "y", "x-low", "x"]) == [[3, 0, 2]]
    assert group_by_base(["x", "z"], ["x-high", "z-high"]) == []


def test_siblings_share_words_and_prices_and_no_promises() -> None:
    pool = ModelPool.of([LARGE]).joined_by([gr.ModelCard(model="large-high", base="large")])
    card = pool["large-high"]
    assert (card.description, card.input_usd_per_mtok, card.output_usd_per_mtok) == (
        "Thinks.",
        2.0,
        8.0,
    )
    assert (card.tools, card.own_fields) == (None, {})
    assert pool["large"] is LARGE


def test_what_is_stated_stays_and_prices_come_in_pairs() -> None:
    own = gr.ModelCard(model="a", base="large", description="Other.", input_usd_per_mtok=1.0)
    card = ModelPool.of([LARGE]).joined_by([own])["a"]
    assert (card.description, card.input_usd_per_mtok, card.output_usd_per_mtok) == (
        "Other.",
        1.0,
        None,
    )


def test_a_newcomer_completes_nobody_else() -> None:
    low = gr.ModelCard(model="large-low", base="large")
    pool = ModelPool.of([low]).joined_by([LARGE])
    assert pool.cards == (low, LARGE)
    assert complete([{"model": "large-low", "base": "large"}]) == [{}]
