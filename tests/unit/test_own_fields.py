"""Fields of the user's own on cards: names, values, and what agrees with what."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.cli.inputs import read_card
from graphrouter.data.columns import REQUIRED, list_columns
from graphrouter.exceptions import DataError
from graphrouter.own_fields import OF_OUTCOMES, OwnValue, agrees, check_value, is_own_name
from graphrouter.pool import ModelCard, ModelPool, parse_card

OWN: dict[str, OwnValue] = {
    "license": "apache-2.0",
    "region": "eu",
    "mmlu": 71.5,
    "energy_wh": 0.3,
    "year": 2024,
    "is_hosted": True,
}


def test_a_card_takes_them_and_gives_them_back() -> None:
    card = ModelCard(model="nano", tools=True, **OWN)  # type: ignore[arg-type]
    assert card.own_fields == OWN
    assert card.state_of("region") == "eu"
    assert (card.state_of("tools"), card.state_of("json"), card.state_of("nothing")) == (
        True,
        None,
        None,
    )
    assert ModelCard.model_validate_json(card.model_dump_json(by_alias=True)) == card
    assert card.model_copy(update={"region": "us"}).own_fields == {**OWN, "region": "us"}
    assert parse_card({"model": "nano", "region": None}).own_fields == {}
    assert ModelCard(model="nano").own_fields == {}


def test_a_card_file_has_them_beside_the_others(tmp_path: Path) -> None:
    file = tmp_path / "nano.yaml"
    file.write_text(yaml.safe_dump({"model": "nano", "input_usd_per_mtok": 0.1, **OWN}))
    assert read_card(file).own_fields == OWN
    file.write_text("model: nano\nreleased: 2024-05-31\n")
    assert read_card(file).own_fields == {"released": "2024-05-31"}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("descripton", "x", "unknown field 'descripton'. Did you mean 'description'?"),
        ("price", 1, "unknown field 'price'. Fields: model, kind, description,"),
        ("context_window", 8, "unknown field 'context_window'. Did you mean 'context_tokens'?"),
        ("Tools", True, "Did you mean 'tools'?"),
        (" ", 1, "a field is named ' '; expected a name that is not blank"),
        ("=\x1e", 1, "of characters that can be printed"),
        ("a\nb", 1, "of characters that can be printed"),
        ("a=b", 1, "no field of your own can be named 'a=b'"),
        ("model_copy", 1, "no field of your own can be named 'model_copy'"),
        ("effect", 1, "no field of your own can be named 'effect', which is a column of outcomes"),
        ("Latency_s", 1, "expected another name, such as usual_Latency_s"),
        ("cost_usd", 1, "it is known of a call and not of a model"),
        ("task", "law", "no field of your own can be named 'task'"),
        ("energy_wh", float("nan"), "energy_wh = nan is not accepted: a field of your own holds"),
        ("energy_wh", float("inf"), "one finite number, one text, or true or false"),
        ("energy_wh", 10**400, "one finite number"),
        ("regions", ["eu", "us"], "regions = ['eu', 'us'] is not accepted"),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_card({"model": "nano", name: value}, source="nano.yaml")
    assert str(caught.value).startswith("nano.yaml: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["region", "license", "mmlu", "num_layers", "input_usd_per_mtok_cached", "vision_score"]
)
def test_names_of_ones_own_are_taken(name: str) -> None:
    assert is_own_name(name, ModelCard)


@pytest.mark.parametrize(
    "name", ["Tools", "price", " ", "a\nb", "a=b", "model_copy", "description", *OF_OUTCOMES]
)
def test_what_a_card_refuses_is_no_name_of_ones_own(name: str) -> None:
    assert not is_own_name(name, ModelCard)


def test_columns_of_outcomes_and_queries_are_all_listed() -> None:
    named = {*list_columns("outcomes"), *REQUIRED["queries"]} - {"model"}
    assert named == set(OF_OUTCOMES)
    for name in OF_OUTCOMES:
        assert is_own_name(f"usual_{name}", ModelCard)


def test_values() -> None:
    assert check_value(np.float64(0.5)) == 0.5
    assert check_value(np.bool_(True)) is True
    assert check_value(datetime.date(2024, 5, 1)) == "2024-05-01"


@pytest.mark.parametrize(
    ("stated", "wanted", "expected"),
    [
        ("eu", "EU ", True),
        ("eu", "us", False),
        (3, "3", True),
        (3, "three", False),
        ("3", 3.0, True),
        (True, "yes", True),
        (True, 1, True),
        (False, True, False),
        (False, "no", True),
        ("eu", True, False),
        (False, "eu", False),
        (None, "eu", False),
        (None, False, False),
    ],
)
def test_what_agrees(stated: OwnValue | None, wanted: OwnValue, expected: bool) -> None:
    assert agrees(stated, wanted) is expected


@given(value=st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text())
def test_whatever_is_stated_agrees_with_itself(value: OwnValue) -> None:
    assert agrees(value, value)


def test_amounts_of_a_pool_are_nan_where_nothing_is_stated() -> None:
    cards = [{"energy_wh": 0.3}, {"energy_wh": True}, {"energy_wh": "much"}, {"num_params": 7e9}]
    pool = ModelPool.of(parse_card({"model": f"m{i}", **c}) for i, c in enumerate(cards))
    received = pool.amounts_of("energy_wh")
    assert np.array_equal(received, [0.3, 1.0, np.nan, np.nan], equal_nan=True)
    assert pool.amounts_of("num_params")[3] == 7e9
    assert pool.fields_stated == ("model", "num_params", "energy_wh")
