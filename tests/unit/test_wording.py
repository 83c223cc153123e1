"""Counts, names and amounts in messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.wording import (
    agree,
    count_of,
    hide_login,
    name_some,
    round_up,
    show_value,
    suggest,
    tell_apart,
)


@pytest.mark.parametrize(
    ("number", "noun", "expected"),
    [
        (0, "prompt", "0 prompts"),
        (1, "new outcome", "1 new outcome"),
        (1234, "graded query", "1,234 graded queries"),
        (2, "family", "2 families"),
        (2, "day", "2 days"),
    ],
)
def test_a_noun_agrees_with_its_number(number: int, noun: str, expected: str) -> None:
    assert count_of(number, noun) == expected
    assert expected.endswith(agree(number, noun))


def test_names_are_cut_after_a_few() -> None:
    assert name_some(["a"]) == "a"
    assert name_some(list("abcdef")) == "a, b, c, d, e and 1 more"


def test_the_nearest_name_is_told_or_else_the_first_few() -> None:
    known = [f"model-{letter}" for letter in "abcdefghij"]
    assert suggest("modl-c", known, "It has ") == "Did you mean 'model-c'?"
    listed = suggest("x", known, "It has ")
    assert listed == f"It has {', '.join(known[:8])} and 2 more."
    assert suggest(3, (), "It has ") == "It has none."
    assert suggest("x", known) == ""


@given(st.floats(1e-12, 1e12))
def test_an_amount_is_never_rounded_below_itself(amount: float) -> None:
    assert amount <= float(round_up(amount)) <= amount * 1.00001


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0.0, "0"), (0.25, "0.25"), (float("inf"), "inf"), (-1.23456789, "-1.23456")],
)
def test_amounts_that_need_no_rounding_stay(amount: float, text: str) -> None:
    assert round_up(amount) == text


def test_long_values_are_cut() -> None:
    assert len(show_value("x" * 1000)) == 60
    assert show_value(["Say hello."] * 1000).endswith(", ...] (1,000 in all)")
    assert show_value(("a", "b")) == "('a', 'b')"
    assert len(show_value([["x" * 1000] * 1000] * 1000)) < 1000


@pytest.mark.parametrize(
    ("amount", "limit", "text"),
    [(0.8, 0.5, "0.800"), (0.7999999, 0.8, "0.7999999"), (0.80000001, 0.8, "0.80000001")],
)
def test_an_amount_stands_on_its_side_of_the_limit(amount: float, limit: float, text: str) -> None:
    assert tell_apart(amount, limit, ".3f") == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:secret@h/v1", "https://***@h/v1"),
        ("https://me:sec/ret@h/v1", "https://***@h/v1"),
        ("https://me:sec ret@h/v1", "https://***@h/v1"),
        ("https://me:sec@r@t@h/v1", "https://***@h/v1"),
        ("https://me:x://sec'ret@h/v1", "https://***@h/v1"),
        ("me:sec ret@h/v1", "***@h/v1"),
        ("asked https://me:sec/ret@h twice", "asked https://***@h twice"),
        ("https://example.com/v1", "https://example.com/v1"),
        ("ann@example.com", "ann@example.com"),
        ("Ask: ann@example.com.", "Ask: ann@example.com."),
        ("see https://example.com or ask ann@example.com", None),
    ],
)
def test_no_login_of_an_address_is_shown(text: str, shown: str | None) -> None:
    assert hide_login(text) == (shown or text)
    assert hide_login(hide_login(text)) == hide_login(text)
    assert "sec" not in show_value([{"a": (text,)}])


def test_what_is_meant_as_an_address_is_hidden_up_to_its_last_at() -> None:
    assert hide_login("to ken@h/v1", is_address=True) == "***@h/v1"


def test_a_login_is_hidden_before_a_value_is_cut() -> None:
    long = f"https://{'secret' * 9}@h/{'x' * 99}"
    for value in (long, [long], {long: [long]}):
        assert "secret" not in show_value(value)


def test_long_words_are_searched_for_addresses_once() -> None:
    for text in ("x" * 10**6 + "@", "://" * 10**6 + "@", "x:" * 10**6 + "@"):
        assert len(hide_login(f"a {text}")) < len(text) + 3
