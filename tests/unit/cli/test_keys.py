"""`graphrouter keys` and `graphrouter spend` on a store of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from graphrouter.gateway.store import Store
from graphrouter.gateway.store.client_keys import match_key, read_keys
from graphrouter.gateway.store.stored_changes import StoredChange, append_change

Invoke = Callable[..., tuple[int, str, str]]


def test_a_key_is_shown_once_and_kept_as_a_hash(invoke: Invoke, tmp_path: Path) -> None:
    place = tmp_path / "gateway.db"
    status, key, _ = invoke(
        "keys", "add", place, "ada", "--scopes", "route,grade", "--usd-per-day", "2.5"
    )
    assert status == 0
    assert key.strip().encode() not in place.read_bytes()
    store = Store.open(place)
    with store.reader.connect() as connection:
        known = read_keys(connection)
    found = match_key(known, key.strip())
    assert found is not None
    assert (found.name, found.scopes, found.nanousd_per_day) == (
        "ada",
        ("route", "grade"),
        2_500_000_000,
    )
    assert match_key(known, key.strip()[:-1]) is None
    assert [found.may(scope) for scope in ("route", "grade", "admin")] == [True, True, False]
    store.close()
    assert invoke("keys", "revoke", place, "ada")[0] == 0
    status, shown, _ = invoke("keys", "list", place, "--json")
    (row,) = json.loads(shown)
    assert (row["name"], row["usd_per_day"], row["over_budget"]) == ("ada", 2.5, "refuse")
    assert row["revoked"] is not None
    assert "2.5, then refuse" in invoke("keys", "list", place)[1]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("add", "ada", "--scopes", "rout"), "unknown scope 'rout'. Did you mean 'route'"),
        (("add", "ada", "--scopes", ","), "good for nothing"),
        (("add", "ada", "--usd-per-day", "-1"), "A budget of nothing"),
        (("add", " "), "The key has no name"),
        (("add", "bob"), "There is a key 'bob' already"),
        (("revoke", "bo"), "There is no key 'bo' in use. Did you mean 'bob'"),
    ],
)
def test_keys_that_cannot_be_are_told(
    invoke: Invoke, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    place = tmp_path / "gateway.db"
    assert invoke("keys", "add", place, "bob")[0] == 0
    command, *rest = words
    status, shown, errors = invoke("keys", command, place, *rest)
    assert (status, shown) == (2, "")
    assert told in errors
    assert errors.count("\n") == 1


def test_keys_and_teams_are_made_changed_and_shown(invoke: Invoke, tmp_path: Path) -> None:
    place = tmp_path / "gateway.db"
    assert invoke("keys", "team", place, "search", "--usd-per-day", "50")[0] == 0
    words = ("--team", "search", "--policy", "cost_first", "--models", "tarn-nano, tarn-two")
    assert invoke("keys", "add", place, "ada", *words)[0] == 0
    assert invoke("keys", "set", place, "ada", "--route", "sums", "--usd-per-day", "2")[0] == 0
    assert invoke("keys", "team", place, "search", "--over-budget", "cheapest")[0] == 0
    (row,) = json.loads(invoke("keys", "list", place, "--json")[1])
    assert (row["policy"], row["route"], row["usd_per_day"]) == ("cost_first", "sums", 2.0)
    assert row["models"] == ["tarn-nano", "tarn-two"]
    assert row["team"] == {"name": "search", "usd_per_day": 50.0, "over_budget": "cheapest"}
    assert row["scopes"] == ["route"]
    assert "In all" in invoke("spend", place, "--by", "team")[1]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("set", "bo", "--usd-per-day", "1"), "There is no key 'bo' in use. Did you mean 'bob'"),
        (("set", "bob", "--team", "serch"), "There is no team 'serch'. Did you mean 'search'"),
        (("set", "bob", "--policy", "dear"), "policy: unknown preset 'dear'"),
        (("set", "bob", "--policy", '{"max_cost": 1}'), "policy: unknown"),
        (("set", "bob", "--policy", "{1}"), "policy is no valid JSON"),
        (("add", "ada", "--models", ","), "The key may ask no model"),
        (("team", "search", "--usd-per-day", "0"), "A budget of nothing"),
        (("team", " "), "The team has no name"),
    ],
)
def test_terms_that_cannot_be_are_told(
    invoke: Invoke, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    place = tmp_path / "gateway.db"
    invoke("keys", "team", place, "search")
    invoke("keys", "add", place, "bob")
    command, *rest = words
    status, shown, errors = invoke("keys", command, place, *rest)
    assert (status, shown) == (2, "")
    assert told in errors
    assert errors.count("\n") == 1


def test_spend_of_a_store_without_calls_and_of_none(invoke: Invoke, tmp_path: Path) -> None:
    place = tmp_path / "gateway.db"
    status, _, errors = invoke("spend", place)
    assert (status, place.exists()) == (2, False)
    assert "There is no store" in errors
    Store.open(place).close()
    status, shown, _ = invoke("spend", place)
    assert status == 0
    assert "In all 0.000000 USD." in shown
    assert json.loads(invoke("spend", place, "--json", "--since", "2026-05-01")[1]) == []
    assert "Nothing was observed" in invoke("spend", place, "--observed")[1]


def test_changes_of_admins_are_listed_and_forgotten(invoke: Invoke, tmp_path: Path) -> None:
    place = tmp_path / "gateway.db"
    status, _, errors = invoke("changes", "list", place)
    assert (status, "There is no store" in errors) == (2, True)
    store = Store.open(place)
    body = {"policy": "cost_first"}
    assert append_change(store, StoredChange(2, 0.0, "operator", "0f3c", "policy", None, body))
    assert not append_change(store, StoredChange(2, 0.0, "late", "0f3c", "policy", None, {}))
    store.close()
    (row,) = json.loads(invoke("changes", "list", place, "--json")[1])
    assert (row["revision"], row["key_id"], row["body"]) == (2, "operator", body)
    assert "cost_first" in invoke("changes", "list", place)[1]
    assert "1 change forgotten." in invoke("changes", "forget", place)[1]
    assert "0 changes forgotten." in invoke("changes", "forget", place)[1]
    assert [row["kind"] for row in json.loads(invoke("changes", "list", place, "--json")[1])] == [
        "policy",
        "forget",
    ]


def test_prompts_are_deleted_by_command(invoke: Invoke, tmp_path: Path) -> None:
    place = tmp_path / "gateway.db"
    assert invoke("feedback", "delete-prompts", place, "--older-than", "1")[0] == 2
    Store.open(place).close()
    status, shown, _ = invoke("feedback", "delete-prompts", place, "--older-than", "0")
    assert (status, shown.strip()) == (0, "0 prompts deleted.")
    assert invoke("feedback", "delete-prompts", place, "--older-than", "-1")[0] == 2
