"""Who asked, by position."""

from __future__ import annotations

import pandas as pd
import pytest

from graphrouter.data.prompt_keys import withhold_person
from graphrouter.exceptions import DataError
from graphrouter.features.askers import People
from graphrouter.types import Queries


def test_nobody_named_is_nobody() -> None:
    assert People.of(pd.DataFrame({"prompt": ["Hi."]})) is None
    assert People.of(pd.DataFrame({"user": [None, float("nan")]})) is None


def test_newcomers_are_their_team_or_none() -> None:
    people = People.of(pd.DataFrame({"user": ["b", "a", None], "team": ["y", None, "x"]}))
    assert people is not None
    assert (people.users, people.teams) == (("b", "a"), ("x", "y"))
    assert people.team_of.tolist() == [1, 2, 0, 1, 2]  # b, a, then x, y and none
    assert people.of_query.tolist() == [0, 1, 2]
    assert people.locate(["a", "new", "new", None], ["x", "x", None, "y"]).tolist() == [1, 2, 4, 3]


def test_withheld_names_are_found_by_the_names() -> None:
    hidden = [withhold_person(name, "user") for name in ("ann", "bob")]
    people = People.of(pd.DataFrame({"user": hidden}))
    assert people is not None
    assert people.locate(["ann", "bob", "eve"]).tolist() == people.locate([*hidden, "eve"]).tolist()


@pytest.mark.parametrize("users", [["ann"], "ann", ["", None], [3, None]])
def test_bad_users_are_refused(users: object) -> None:
    with pytest.raises(DataError, match="users"):
        Queries.of(["1?", "2?"], users=users)  # type: ignore[arg-type]


def test_queries_carry_who_asks() -> None:
    queries = Queries.of(["1?", "2?"], users=["ann", None], teams=[None, "law"])
    assert queries.take([1]).teams == ("law",)
    assert queries.without_tasks().users == ("ann", None)
    assert not Queries.of(["1?"]).names_people
    frame = pd.DataFrame({"prompt": ["1?"], "user": ["ann"], "team": [float("nan")]})
    assert Queries.of_frame(frame).users == ("ann",)
    with pytest.raises(DataError, match="users were given beside Queries"):
        Queries.of(queries, users=["ann", None])
