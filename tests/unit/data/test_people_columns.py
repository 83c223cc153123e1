"""Columns that say who asked."""

from __future__ import annotations

import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.data import read_answers
from graphrouter.data.describe import describe_dataset
from graphrouter.data.new_outcomes import read_query_table
from graphrouter.data.people_columns import clean_people
from graphrouter.exceptions import DataError


def _tables(**columns: list[object]) -> dict[str, pd.DataFrame]:
    ids = ["a", "b", "c"]
    return {
        "queries": pd.DataFrame(
            {"query_id": ids, "task": None, "prompt": ["1?", "2?", "3?"], **columns}
        ),
        "models": pd.DataFrame({"model": ["nano", "grand"]}),
        "outcomes": pd.DataFrame({"query_id": ids, "model": "nano", "effect": 1.0}),
    }


def test_who_asked_is_kept_saved_and_counted(tmp_path: object) -> None:
    data = gr.RoutingDataset.from_frames(**_tables(user=["ann", "", 7], team=["law", "law", None]))
    assert data.queries["user"].tolist()[::2] == ["ann", "7"]
    assert data.queries["user"].isna().tolist() == [False, True, False]
    data.save(str(tmp_path), format="csv")
    assert gr.load_dataset(str(tmp_path)).fingerprint == data.fingerprint
    summary = describe_dataset(data)
    assert (summary.num_users, summary.num_teams, summary.num_queries_without_user) == (2, 1, 1)


def test_a_column_in_which_nobody_is_named_changes_nothing() -> None:
    plain = gr.RoutingDataset.from_frames(**_tables())
    empty = gr.RoutingDataset.from_frames(**_tables(user=["", None, " "], team=[None] * 3))
    assert empty.fingerprint == plain.fingerprint
    assert "user" not in empty.queries
    named = gr.RoutingDataset.from_frames(**_tables(user=["ann", None, None]))
    assert named.fingerprint != plain.fingerprint


def test_words_for_nothing_are_read_as_empty_and_said(caplog: pytest.LogCaptureFixture) -> None:
    frame = pd.DataFrame({"user": ["ann", "none", "NULL"], "team": ["NaN", "n/a", None]})
    clean = clean_people(frame, "queries.csv")
    assert clean["user"].isna().tolist() == [False, True, True]
    assert "team" not in clean
    assert "queries.csv: user: 'none' in 2 rows was read as empty." in caplog.messages
    assert "queries.csv: team: 'NaN' in 2 rows was read as empty." in caplog.messages


def test_columns_that_look_like_those_of_queries_are_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen = {"User": ["ann"], "contexts": ["a"], "embeddings": ["[1]"], "text": ["b"], "used": [1]}
    read_query_table(pd.DataFrame({"prompt": ["1?"], **seen}), "q.csv")
    assert sorted(caplog.messages) == [
        f"q.csv: column {column!r} is not used; was {meant!r} meant?"
        for column, meant in (
            ("User", "user"),
            ("contexts", "context"),
            ("embeddings", "embedding"),
        )
    ]
    caplog.clear()
    kept = gr.RoutingDataset.from_frames(**_tables(Team=["law"] * 3))
    assert kept.queries["Team"].tolist() == ["law"] * 3  # as metadata
    assert caplog.messages == ["queries table: column 'Team' is not used; was 'team' meant?"]


def test_a_user_in_two_teams_is_refused_with_the_row() -> None:
    frame = pd.DataFrame({"user": ["ann", "bob", "ann"], "team": ["law", "law", "sales"]})
    with pytest.raises(DataError, match=r"row 3: user 'ann' is in team 'sales', and in 'law'"):
        clean_people(frame, "queries")


def test_a_team_that_is_stated_once_is_that_of_the_user() -> None:
    frame = pd.DataFrame({"user": ["ann", "ann", None], "team": [None, "law", "law"]})
    assert clean_people(frame, "queries")["team"].tolist() == ["law", "law", "law"]


def test_what_two_users_ask_is_of_each_of_them() -> None:
    answers = {"prompt": ["Hi."] * 4, "model": ["a", "b"] * 2, "effect": [0, 1, 1, 0]}
    data = read_answers({**answers, "user": ["ann", "ann", "bob", "bob"]})
    assert data.queries["user"].tolist() == ["ann", "bob"]
    assert len(data.outcomes) == 4
