"""Which query of a support each new outcome is of, and the queries that are new to it."""

from __future__ import annotations

from typing import Any

from graphrouter.data.columns import PEOPLE, VIEWS
from graphrouter.data.prompt_keys import prompt_key, question_key, withhold_person
from graphrouter.data.view_columns import VIEW_KEY, list_view_keys
from graphrouter.exceptions import DataError
from graphrouter.lazy import pandas as pd
from graphrouter.router.parts import Support

_COLUMNS = ("query_id", "prompt", "task", *PEOPLE)


def identify_queries(
    support: Support, outcomes: pd.DataFrame, source: str, later: pd.DataFrame | None = None
) -> tuple[list[str], pd.DataFrame]:
    """The query id of each outcome, and the queries among them that the support does not have.

    A prompt is the same query under any id, where the same user asks it; of two that differ in
    their task, that of the task. What somebody else asks is a query of its own, and so is a prompt
    with other documents or another embedding.

    Args:
        support: What there is.
        outcomes: From `support_changes.read_outcomes`.
        source: What to call the outcomes in messages.
        later: More queries that are known, of nobody in particular, as this function found them.

    Raises:
        DataError: A query is unknown, is known with another prompt or of another user, or a user is
            known of another team.
    """
    named = _name_people(support, outcomes, source)
    behind = support.queries.iloc[:0] if later is None else later
    known = {*support.query_ids, *behind["query_id"]}
    views, texts = list_view_keys(outcomes), outcomes["prompt"].fillna("").tolist()
    asked_keys = [question_key(*pair) + pair[1] for pair in zip(texts, views, strict=True)]
    wanted: set[str] = set(asked_keys)
    same: list[tuple[Any, ...]] = []
    later_keys = [question_key(prompt, "") for prompt in behind["prompt"]]
    for every, queries in ((support.query_keys, support.queries), (later_keys, behind)):
        rows = [row for row, key in enumerate(every) if key in wanted]
        if not rows:
            continue
        there = _fill_columns(queries.iloc[rows]).itertuples(index=False, name=None)
        same += [(every[i], *_keep_texts(row)) for i, row in zip(rows, there, strict=True)]
    by_prompt = {(key, user): str(query) for key, query, _, _, user, _ in reversed(same)}
    by_task = {(key, task, user): str(query) for key, query, _, task, user, _ in reversed(same)}
    known_keys = {query: key for key, query, *_ in same}
    asked: list[str] = []
    new: dict[str, tuple[str | None, ...]] = {}
    first_rows: dict[str, int] = {}
    for row, each in enumerate(named.itertuples(index=False, name=None), start=1):
        given, prompt, task, user, team = _keep_texts(each)
        if prompt is not None or views[row - 1]:
            key, prompt = asked_keys[row - 1], texts[row - 1]
            if given in known and known_keys.get(given) != key and (key, user) not in by_prompt:
                raise _make_known_error(support, behind, given, prompt, f"{source}, row {row}")
            if given in new and (key, user) not in by_prompt:
                what = "prompt" if new[given][1] != prompt else "user"
                if (what, new[given][3]) == ("user", user):
                    what = "context or embedding"
                raise DataError(
                    f"{source}, row {row}: query_id {given!r} has another {what} than in a row "
                    f"before. Give each {what} an id of its own, or none."
                )
            fresh = _make_id(key, user) if given is None or given in known else given
            if user is None and given is not None and known_keys.get(given) == key:
                query = given  # a grade of nobody in particular, on the query of somebody
            else:
                query = by_task.get((key, task, user)) or by_prompt.setdefault((key, user), fresh)
            if query not in known:
                first = new.get(query, (query, prompt, None, user, team))
                first_rows.setdefault(query, row - 1)
                new[query] = (*first[:2], first[2] or task, user, first[4] or team)
        elif given is not None and (given in known or given in new):
            query = given
            _check_user(support, given, user, new, f"{source}, row {row}")
        else:
            received = "neither query_id nor prompt" if given is None else f"query_id {given!r}"
            raise DataError(
                f"{source}, row {row}: {received}, which the router does not know. Give the "
                "prompt of the query."
            )
        asked.append(query)
    found = pd.DataFrame(list(new.values()), columns=list(_COLUMNS))
    idle = [name for name in PEOPLE if found[name].isna().all()]
    found, shown = found.drop(columns=idle), [name for name in VIEWS if name in outcomes.columns]
    if shown:
        rows = [first_rows[query] for query in new]
        found = found.join(outcomes[shown].iloc[rows].reset_index(drop=True))
    return asked, found


def join_queries(support: Support, added: pd.DataFrame) -> pd.DataFrame:
    """The queries of a support and more behind them.

    Args:
        support: What there is.
        added: Clean queries.
    """
    queries = support.queries
    if any(keys := list_view_keys(added)) or VIEW_KEY in queries.columns:
        queries, added = queries.assign(view_key=support.view_keys), added.assign(view_key=keys)
    named = [*queries.columns, *(name for name in PEOPLE if name in added.columns)]
    read = [name for name in dict.fromkeys(named) if name in added.columns]
    return pd.concat([queries, added[read]], ignore_index=True)


def _name_people(support: Support, outcomes: pd.DataFrame, source: str) -> pd.DataFrame:
    """Ids, prompts, tasks and who asked, as the support names them.

    Raises:
        DataError: A user is known of another team.
    """
    named = _fill_columns(outcomes)
    people = support.people
    if people is None:
        return named
    for kind, known in zip(PEOPLE, (set(people.users), set(people.teams)), strict=True):
        hidden = {name: withhold_person(name, kind) for name in named[kind].dropna().unique()}
        told = {name: stand for name, stand in hidden.items() if stand in known}
        named[kind] = named[kind].replace(told)
    place, teams = {user: i for i, user in enumerate(people.users)}, (*people.teams, None)
    for row, (user, team) in enumerate(zip(named["user"], named["team"], strict=True), start=1):
        if not isinstance(team, str) or user not in place:
            continue
        known_team = teams[people.team_of[place[user]]]
        if known_team not in (None, team):
            raise DataError(
                f"{source}, row {row}: user {user!r} is in team {team!r}, and the router knows "
                f"the user of team {known_team!r}. Name that team, or none."
            )
    return named


def _check_user(
    support: Support,
    query: str,
    user: str | None,
    new: dict[str, tuple[str | None, ...]],
    where: str,
) -> None:
    """Check that a query that is named by its id alone is of the user who is named beside it."""
    if user is None:
        return
    if query in new:
        asked_by = new[query][3]
    else:
        row = support.query_ids.index(query)
        asked_by = support.queries["user"].iloc[row] if "user" in support.query_table else None
    if asked_by != user:
        of_whom = (
            f"of user {asked_by!r}" if isinstance(asked_by, str) else "of nobody in particular"
        )
        raise DataError(
            f"{where}: query_id {query!r} is {of_whom}, and user {user!r} is named. Give the "
            "prompt, and no query_id, for a query of this user."
        )


def _make_known_error(
    support: Support, later: pd.DataFrame, query: str | None, prompt: str, where: str
) -> DataError:
    """An error that a known query is named beside another prompt, or what does not go with it."""
    tables = (support.queries, later)
    known = next(of for t in tables for of in t["prompt"][t["query_id"] == query])
    if prompt_key(known) != prompt_key(prompt):
        return DataError(
            f"{where}: the router knows query_id {query!r} with another prompt. Give the prompt as "
            "it was, or another query_id."
        )
    return DataError(
        f"{where}: the router knows query_id {query!r} with this prompt and another context or "
        "embedding. Give these as they were, query_id alone, or another query_id."
    )


def _make_id(key: str, user: str | None) -> str:
    """An id for a query without one: by its prompt, and by who asks it."""
    return f"added-{key}" if user is None else f"added-{key}-{prompt_key(user)}"


def _fill_columns(table: pd.DataFrame) -> pd.DataFrame:
    """The columns that say which query a row is of, None in those that it lacks."""
    there = {name: table[name] if name in table.columns else None for name in _COLUMNS}
    return pd.DataFrame(there, index=table.index).astype(object)


def _keep_texts(row: tuple[object, ...]) -> tuple[str | None, ...]:
    return tuple(value if isinstance(value, str) else None for value in row)
