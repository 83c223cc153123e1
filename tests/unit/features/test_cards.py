"""Numbers of a card: its fields, and what its name and description say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.features.cards import (
    CARD_NAMES,
    StatedInWords,
    read_cards,
    read_own_numbers,
    read_words,
)
from graphrouter.pool import ModelCard

NAN = float("nan")
MONTHS = [
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
]


def words(model: str = "m", description: str | None = None) -> StatedInWords:
    return read_words(ModelCard(model=model, description=description))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Kestrel 7B Instruct", 7e9),
        ("a 3.8B model", 3.8e9),
        ("with 405 billion parameters", 405e9),
        ("1.8 trillion parameters, it is said", 1.8e12),
        ("mixture of experts (236B, 21B active)", 236e9),  # more parameters than it uses
        ("mixture of experts (21B active of 236B)", 236e9),
        ("Mistle 8x7B", 56e9),
        ("Mistle 8 x 22B, 39B active", 176e9),
        ("an 8B model trained on 15T tokens", 8e9),
    ],
)
def test_sizes_are_read(text: str, expected: float) -> None:
    assert words(description=text).num_params == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("wren2-1.5b-instruct", 1.5e9),
        ("maker/wren_70B", 70e9),
        ("wren-8x22b", 176e9),
        ("Maker_Wren-3-8B-Pro", 8e9),
    ],
)
def test_sizes_are_read_in_names(name: str, expected: float) -> None:
    assert words(name).num_params == pytest.approx(expected)


@pytest.mark.parametrize(
    "text",
    [
        "Claude 3.5 Sonnet",
        "release v2.1",
        "Llama 3",
        "GPT-4",
        "GPT-4 Turbo",
        "trained on 15T tokens",
        "15 trillion training tokens",
        "1.4 trillion-token corpus",
        "raised $5 billion",
        "v2.7b of the prompt",
    ],
)
def test_what_only_looks_like_a_size_is_none(text: str) -> None:
    assert words(description=text) == StatedInWords(None, None, None)


@pytest.mark.parametrize(
    "name",
    ["claude-3.5-sonnet", "wren-v2.1", "llama-3", "gpt-4", "gpt-4-turbo", "phi-3-mini-4k", "b1.5"],
)
def test_version_numbers_in_names_are_no_sizes(name: str) -> None:
    assert words(name) == StatedInWords(None, None, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("open-weight, 128K context, strong", 128e3),
        ("128k-context variant", 128e3),
        ("1M context", 1e6),
        ("an 8K-token context", 8e3),
        ("200K tokens of context", 200e3),
        ("1.5M context window", 1.5e6),
        ("9K-100K context", 100e3),
        ("long context", None),
        ("128K vocabulary", None),
        ("costs 3K in all", None),
    ],
)
def test_contexts_are_read(text: str, expected: float | None) -> None:
    assert words(description=text) == StatedInWords(expected, None, None)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("m", "Flagship, June 2024 release", 2024 + 5 / 12),
        ("m", "(14 June 2024)", 2024 + 5 / 12),
        ("m", "of Sept. 2023", 2023 + 8 / 12),
        ("wren-2024-08-06", None, 2024 + 7 / 12),
        ("wren-20240307", None, 2024 + 2 / 12),
        (
            "wren-20240307",
            "June 2023 model, served anew",
            2023 + 5 / 12,
        ),  # written out beats a stamp
        ("gpt-4-0613", None, None),
        ("wren-2407", "served with 2048 tokens at a time", None),
        ("m", "in 2024", None),
        ("m", "for the Mayor 2024, or Maybe 2024; Marketing 2023", None),
        ("m-120240307", None, None),
        ("m-20241307", None, None),  # there is no month 13
    ],
)
def test_release_dates_are_read(name: str, text: str | None, expected: float | None) -> None:
    received = words(name, text).released
    assert received == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize("month", range(12))
def test_every_month_is_known_by_its_name_and_its_short_name(month: int) -> None:
    for name in (MONTHS[month], MONTHS[month][:3], MONTHS[month].upper()):
        assert words(description=f"of {name} 2022").released == pytest.approx(2022 + month / 12)


@given(
    number=st.integers(1, 2000),
    unit=st.sampled_from(["B", "b", " billion"]),
    context=st.integers(1, 999),
)
def test_any_size_and_context_come_back(number: int, unit: str, context: int) -> None:
    assert words(description=f"A {number}{unit} model with {context}K context.") == (
        context * 1e3,
        number * 1e9,
        None,
    )


def test_a_card_that_says_nothing_has_no_numbers() -> None:
    assert words() == StatedInWords(None, None, None)
    assert np.isnan(read_cards([ModelCard(model="bare")])).all()
    assert read_cards([]).shape == (0, len(CARD_NAMES))


def test_card_features_are_logarithms_a_year_and_flags_with_nan_for_what_is_not_stated() -> None:
    card = ModelCard(
        model="full",
        description="Of March 2024.",
        input_usd_per_mtok=2.0,
        output_usd_per_mtok=0.0,
        context_tokens=1000,
        num_params=7e9,
        tools=True,
        vision=False,
    )
    assert CARD_NAMES == (
        "input_usd_per_mtok",
        "output_usd_per_mtok",
        "context_tokens",
        "num_params",
        "released",
        "tools",
        "vision",
        "json",
    )
    # a free model is as cheap as 0.001 USD per million tokens, which has a logarithm
    expected = [
        math.log(2),
        math.log(1e-3),
        math.log(1000),
        math.log(7e9),
        2024 + 2 / 12,
        1,
        0,
        NAN,
    ]
    assert read_cards([card])[0] == pytest.approx(expected, nan_ok=True)


def test_fields_win_over_words_and_words_fill_empty_fields() -> None:
    text = "A 70B model with 128K context."
    stated = ModelCard(model="a", description=text, num_params=8e9, context_tokens=4000)
    silent = ModelCard(model="b", description=text)
    received = read_cards([stated, silent])[
        :, [CARD_NAMES.index("context_tokens"), CARD_NAMES.index("num_params")]
    ]
    assert np.exp(received) == pytest.approx(np.array([[4000, 8e9], [128e3, 70e9]]))


@pytest.mark.parametrize(
    ("name", "description", "size"),
    [
        ("x", "8B model trained on 15T+ tokens", 8e9),
        ("x", "8B, trained on 15 trillion high-quality multilingual tokens", 8e9),
        ("x", "over 15T tokens", None),
        ("x", "a model of 2 trillion parameters", 2e12),
        ("kestrel-8b", "Distilled from a 405B model", 8e9),
    ],
)
def test_other_numbers_are_not_the_size_of_the_model(
    name: str, description: str, size: float | None
) -> None:
    assert read_words(ModelCard(model=name, description=description)).num_params == size


def test_own_numbers_are_scaled_by_known_models_and_marked_where_missing() -> None:
    stated = [{"mmlu": 60}, {"mmlu": 80, "fast": True}, {"region": "eu"}, {"mmlu": 1e6, "new": 3}]
    cards = [ModelCard.model_validate({"model": f"m{i}", **own}) for i, own in enumerate(stated)]
    known = np.array([True, True, True, False])
    received = read_own_numbers(cards, known)
    # fast and mmlu, then their marks; what the newcomer alone states says nothing, nor does text
    assert received[:, :2].tolist() == [[0, -1], [0, 1], [0, 0], [0, 5]]
    assert received[:, 2:].tolist() == [[1, 0], [0, 0], [1, 1], [1, 0]]
    assert np.array_equal(read_own_numbers(cards[:3], known[:3]), received[:3])
    bare = [ModelCard(model="a"), ModelCard.model_validate({"model": "b", "released": "2024-05"})]
    assert read_own_numbers(bare, np.array([True, True])).shape == (2, 0)
    assert read_own_numbers([], np.zeros(0, bool)).shape == (0, 0)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [("2024-05-31", 2024 + 4 / 12), (2023, 2023.0), ("May 2024", 2024 + 4 / 12), ("soon", NAN)],
)
def test_a_release_that_is_stated_goes_before_words(stated: object, expected: float) -> None:
    card = ModelCard.model_validate(
        {"model": "x", "description": "Released March 2020.", "released": stated}
    )
    received = read_cards([card])[0, CARD_NAMES.index("released")]
    assert received == pytest.approx(expected, nan_ok=True)
