from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.chats import Conversation, Turn
from graphrouter.exceptions import DataError
from graphrouter.logs.grade_scales import GradeScale, choose_scale
from graphrouter.logs.logged_calls import LoggedCall


def call(**scores: Any) -> LoggedCall:
    return LoggedCall(Conversation((Turn("user", "Hello."),)), "nano", scores=scores)


@pytest.mark.parametrize(
    ("text", "value", "effect"),
    [
        ("thumb", "up", 1.0),
        ("thumb", "👎", 0.0),
        ("thumb", True, 1.0),
        ("share", 0.3, 0.3),
        ("share", "0.3", 0.3),
        ("stars=1..5", 2, 0.25),
        ("stars = 1..5", 5, 1.0),
        ("errors=10..0", 10, 0.0),
        ("errors=10..0", 2.5, 0.75),
        ("verdict=good:1,so so:0.5,poor:0", "So so", 0.5),
    ],
)
def test_values_on_a_scale(text: str, value: Any, effect: float) -> None:
    name = text.partition("=")[0].strip()
    assert GradeScale.parse(text).grade([call(**{name: value})]) == [effect]


def test_no_value_is_no_grade() -> None:
    effects = GradeScale("stars", 1, 5).grade([call(), call(stars=None), call(stars="")])
    assert all(map(math.isnan, effects))


def test_the_scale_that_a_log_seems_to_have_is_proposed() -> None:
    with pytest.raises(DataError, match=r"They go from 1 to 5: --grade stars=1\.\.5\?"):
        GradeScale("stars").grade([call(stars=1), call(stars="5"), call(stars=3)])


@pytest.mark.parametrize(
    ("text", "value"), [("stars", 4), ("stars=1..5", 6), ("stars=1..5", "many"), ("v=a:1", "b")]
)
def test_values_that_are_on_no_scale_are_shown(text: str, value: Any) -> None:
    name = text.partition("=")[0]
    with pytest.raises(DataError, match=rf"'{name}' is not on the scale .*{value}.*Say --grade"):
        GradeScale.parse(text).grade([call(**{name: value})])


@pytest.mark.parametrize(
    "text", ["", "=1..5", "a=", "a=1", "a=1..1", "a=x..y", "a=b:2", "a=1..inf"]
)
def test_texts_that_state_no_scale(text: str) -> None:
    with pytest.raises(DataError, match="no scale"):
        GradeScale.parse(text)


def test_the_only_score_is_the_grade_and_of_several_one_has_to_be_named() -> None:
    assert choose_scale([call(), call()], None) is None
    assert choose_scale([call(a=1), call()], None) == GradeScale("a")
    assert choose_scale([call(a=1, effect=1)], None) == GradeScale("effect")
    with pytest.raises(DataError, match=r"several scores: a \(2\), b \(1\)"):
        choose_scale([call(a=1), call(a=0, b=1)], None)
    with pytest.raises(DataError, match="Did you mean 'quality'"):
        choose_scale([call(quality=1)], "qualty")


@given(low=st.floats(-100, 100), width=st.floats(0.1, 100), share=st.floats(0, 1))
def test_a_range_is_mapped_on_effects_in_proportion(low: float, width: float, share: float) -> None:
    scale = GradeScale("score", low, low + width)
    middle = low + 0.5 * width
    assert scale.read(middle) == pytest.approx(0.5)
    value = min(max(low + share * width, low), low + width)
    assert scale.read(value) == pytest.approx(share, abs=1e-9)


def test_what_there_is_in_place_of_an_unknown_score_is_named_once() -> None:
    noted = call(thumb="up")._replace(metadata={"thumb": "up", "team": "red"})
    with pytest.raises(DataError, match=r"has a score 'stars'\. There are: thumb, team\.$"):
        choose_scale([noted], "stars")
