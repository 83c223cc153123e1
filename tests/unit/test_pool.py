"""Model cards and the pool that holds them in order."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from graphrouter.exceptions import DataError, GraphRouterError, UnknownModelError
from graphrouter.pool import ModelCard, ModelPool, find_alike, parse_card


@pytest.fixture
def pool() -> ModelPool:
    return ModelPool.of(
        [
            ModelCard(model="nano", input_usd_per_mtok=0.1, output_usd_per_mtok=0.0),
            ModelCard(model="half", output_usd_per_mtok=3.0),
            ModelCard(model="bare"),
        ]
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", ""),
        ("input_usd_per_mtok", -0.1),
        ("input_usd_per_mtok", float("nan")),
        ("output_usd_per_mtok", float("inf")),
        ("context_tokens", 0),
        ("context_tokens", 1.5),
        ("num_params", 0),
        ("num_params", float("inf")),
        ("price", 1.0),
    ],
)
def test_a_card_refuses_what_makes_no_sense(name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=name):
        ModelCard.model_validate({"model": "x", name: value})


def test_a_price_is_known_when_both_parts_are(pool: ModelPool) -> None:
    assert [card.has_price for card in pool] == [True, False, False]


def test_capabilities_are_stated_denied_or_unknown() -> None:
    card = ModelCard(model="x", tools=True, json=False)
    assert [card.has_capability(name) for name in ("tools", "json", "vision")] == [
        True,
        False,
        None,
    ]


def test_json_is_the_public_name_of_the_capability() -> None:
    card = ModelCard.model_validate_json('{"model": "x", "json": true}')
    assert card.json_output is True
    assert '"json":true' in card.model_dump_json(by_alias=True)


def test_a_card_cannot_be_changed() -> None:
    with pytest.raises(DataError, match="frozen"):
        ModelCard(model="x").model = "y"  # type: ignore[misc]


def test_every_field_is_described() -> None:
    assert all(field.description for field in ModelCard.model_fields.values())


def test_the_pool_keeps_the_order(pool: ModelPool) -> None:
    assert pool.names == ("nano", "half", "bare")
    assert pool.index == {"nano": 0, "half": 1, "bare": 2}
    assert [card.model for card in pool] == ["nano", "half", "bare"]
    assert len(pool) == 3
    assert pool["half"].output_usd_per_mtok == 3.0
    assert pool.position("bare") == 2


def test_prices_are_nan_where_unknown_and_zero_where_free(pool: ModelPool) -> None:
    expected = np.array([[0.1, np.nan, np.nan], [0.0, 3.0, np.nan]])
    assert np.array_equal(pool.prices, expected, equal_nan=True)
    assert ModelPool(()).prices.shape == (2, 0)


def test_an_unknown_model_is_named_with_the_nearest_or_those_there_are(pool: ModelPool) -> None:
    with pytest.raises(UnknownModelError) as caught:
        pool["nnao"]
    assert str(caught.value) == "Unknown model 'nnao'. Did you mean 'nano'?"
    assert isinstance(caught.value, GraphRouterError)
    with pytest.raises(UnknownModelError, match="'grnd'. The pool has: nano, half, bare."):
        pool["grnd"]


def test_a_name_may_occur_once() -> None:
    with pytest.raises(DataError, match="names 'b' more than once"):
        ModelPool.of([ModelCard(model="a"), ModelCard(model="b"), ModelCard(model="b")])


def test_names_that_differ_by_capitals_or_spaces_alone_are_found() -> None:
    names = ["gpt-4o", "Nano 2", "GPT-4o", "nano2", "gpt-4o", "gpt-4o-mini", " gpt-4o", "gpt_4o"]
    assert find_alike(names) == {2: 0, 3: 1, 6: 0}


@pytest.mark.parametrize("name", ["", "  ", "\t"])
def test_a_blank_name_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="card: model = .* is not accepted"):
        parse_card({"model": name})


def test_a_missing_name_is_named() -> None:
    with pytest.raises(
        DataError,
        match=r"^mine.yaml: the field 'model' is missing; it has no default\.$",
    ):
        parse_card({"description": "A model."}, source="mine.yaml")
