"""How the support of a graph router changes when models join or leave and outcomes come in.

Nothing is trained.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

import numpy as np

from graphrouter.data.columns import PEOPLE, SPEEDS, VIEWS
from graphrouter.data.new_outcomes import read_new_outcomes
from graphrouter.data.repeats import count_runs, join_outcomes
from graphrouter.data.schema import build_dataset
from graphrouter.data.view_columns import VIEW_KEY
from graphrouter.encoders import TextEncoder
from graphrouter.exceptions import DataError
from graphrouter.features.recorded_prices import add_prices
from graphrouter.features.tables import RawFeatures, encode_raw, find_positions
from graphrouter.lazy import pandas as pd
from graphrouter.pool import ModelCard, ModelPool
from graphrouter.router.asked_queries import identify_queries, join_queries
from graphrouter.router.kept import Kept
from graphrouter.router.new_cards import check_card, pool_with
from graphrouter.router.parts import Support
from graphrouter.text_files import has_half_character
from graphrouter.wording import count_of

FEWEST_MODELS = 2


def add_models(support: Support, cards: Sequence[ModelCard], encoder: TextEncoder) -> Support:
    """The support with more models at the end of the pool.

    Nothing is known of them but their cards.

    Raises:
        DataError: There is no card, or a name is in the pool already or on two of the cards.
    """
    wider = pool_with(support.pool, cards)
    return _exchange_pool(support, wider, encoder, changed={card.model for card in cards})


def replace_card(support: Support, card: ModelCard, encoder: TextEncoder) -> Support:
    """The support with another card for a model of the pool; its outcomes stay.

    Raises:
        UnknownModelError: The pool has no model of that name.
    """
    check_card(card)
    place, old = support.pool.position(card.model), support.pool.cards
    *_, completed = ModelPool.of((*old[:place], *old[place + 1 :])).joined_by([card])
    pool = ModelPool.of((*old[:place], completed, *old[place + 1 :]))
    return _exchange_pool(support, pool, encoder, changed={card.model})


def replace_price(support: Support, card: ModelCard) -> Support:
    """The support in which costs of a model are computed from the prices of this card.

    Nothing else changes. The card features that the network reads stay as they are: a discount
    makes no model worse.

    Raises:
        UnknownModelError: The pool has no model of that name.
    """
    place = support.pool.position(card.model)
    pool = ModelPool.of(card if i == place else other for i, other in enumerate(support.pool))
    return dataclasses.replace(support, pool=pool)


def remove_model(support: Support, model: str, *, kept_queries: Collection[str]) -> Support:
    """The support without a model and its outcomes.

    Args:
        support: What there is.
        model: Name of the model.
        kept_queries: Queries that stay in any case; others, which came with outcomes later, go when
            nobody's outcome is left.

    Raises:
        UnknownModelError: The pool has no such model.
        DataError: Too few models would be left to route among.
    """
    place = support.pool.position(model)
    if len(support.pool) <= FEWEST_MODELS:
        raise DataError(
            f"The pool has {count_of(len(support.pool), 'model')}; routing needs at least "
            f"{FEWEST_MODELS}. "
            f"Add one before removing {model!r}."
        )
    others = np.arange(len(support.pool)) != place
    raw = dataclasses.replace(
        support.raw, descriptions=support.raw.descriptions[others], cards=support.raw.cards[others]
    )
    pool = ModelPool.of(card for card in support.pool if card.model != model)
    outcomes = support.outcomes[support.outcomes["model"] != model].reset_index(drop=True)
    smaller = dataclasses.replace(
        support,
        pool=pool,
        outcome_table=outcomes,
        raw=raw,
        old_models=support.old_models - {model},
    )
    return _drop_idle_queries(smaller, kept_queries)


def forget_user(support: Support, user: str) -> tuple[Support, Support]:
    """The support without the queries of a user and their outcomes, and what was forgotten.

    Nothing that was computed of the whole stays with the rest.

    Raises:
        DataError: It is no name, the router knows no such user, or nothing would be left.
    """
    if not isinstance(user, str) or not user.strip():
        raise DataError(f"user is {user!r}; expected the name of a user, as the queries have it.")
    user, people = user.strip(), support.people
    at = -1 if people is None else int(people.locate([user])[0])
    if people is None or not 0 <= at < len(people.users):
        raise DataError(
            f"The router knows no user {user!r}, so there is nothing to be forgotten. Give the "
            "name as the queries have it."
        )
    is_theirs = people.of_query == at
    ids = np.array(support.query_ids, dtype=object)
    theirs = support.outcomes["query_id"].isin(set(ids[is_theirs])).to_numpy(dtype=bool)
    if theirs.all():
        raise DataError(
            f"All outcomes of the router are of user {user!r}; nothing would be left to route by. "
            "Add outcomes of others first, or delete the artifact."
        )
    rest, forgotten = (
        dataclasses.replace(
            support,
            query_table=support.queries[of_queries].reset_index(drop=True),
            outcome_table=support.outcomes[of_outcomes].reset_index(drop=True),
            raw=support.raw.take_queries(of_queries),
            kept=Kept(),
        )
        for of_queries, of_outcomes in ((~is_theirs, ~theirs), (is_theirs, theirs))
    )
    return rest, forgotten


def add_task(
    support: Support,
    task: str,
    encoder: TextEncoder,
    *,
    description: str | None = None,
    reads_descriptions: bool = True,
) -> Support:
    """The support with one more task.

    Queries that came under its name while nobody knew it belong to it from now on.

    Args:
        support: What there is.
        task: Its name.
        encoder: Encodes the description.
        description: What its queries are about.
        reads_descriptions: False for a network whose training tasks had no description: then the
            text is kept and not used.

    Raises:
        DataError: The name is empty or known.
    """
    if not isinstance(task, str) or not task.strip():
        raise DataError(f"The task is named {task!r}; expected a name that is not blank.")
    for what, text in (("name", task), ("description", description or "")):
        if has_half_character(text):
            raise DataError(
                f"The {what} of the task holds half of a character ({ascii(text)[:60]}), which is "
                "no valid Unicode. Write it again with errors='replace'."
            )
    if task in set(support.tasks["task"]):
        raise DataError(
            f"The router knows a task {task!r} already. Add outcomes to it, or choose another name."
        )
    stated = description if description and description.strip() else None
    row = pd.DataFrame({"task": [task], "description": [stated]}, dtype="str")
    tasks = pd.concat([support.tasks, row], ignore_index=True).astype("str")
    used = row if reads_descriptions else row.assign(description=np.nan)
    fresh = encode_raw(encoder, _no_queries(), ModelPool.of(()), used)
    raw = dataclasses.replace(
        support.raw,
        tasks=np.concatenate([support.raw.tasks, fresh.tasks]),
        query_task=find_positions(support.queries["task"], tasks["task"].tolist()),
    )
    return dataclasses.replace(support, task_table=tasks, raw=raw)


def add_examples(
    support: Support, task: str, examples: pd.DataFrame, encoder: TextEncoder
) -> Support:
    """The support with outcomes on queries of a task that it has.

    A query of the support that had no task gets this one.

    Args:
        support: What there is.
        task: Name of the task.
        examples: From `read_outcomes`.
        encoder: Encodes prompts that are new.

    Raises:
        DataError: An example is of another task, or the table breaks the contract of outcomes.
    """
    others = sorted(set(examples["task"].dropna()) - {task})
    if others:
        raise DataError(
            f"examples names the task {others[0]!r} too; expected queries of {task!r} alone. "
            "Leave the others out."
        )
    mine = examples.assign(task=task)
    asked, _ = identify_queries(support, mine, "examples")
    is_asked = support.queries["query_id"].isin(asked)
    elsewhere = support.queries[
        is_asked & support.queries["task"].notna() & (support.queries["task"] != task)
    ]
    if not elsewhere.empty:
        first = elsewhere.iloc[0]
        raise DataError(
            f"examples holds a prompt that the router knows as query {first['query_id']!r} of the "
            f"task {first['task']!r}; "
            f"a query has one task. Leave it out, or add its outcomes without the task {task!r}."
        )
    queries = support.queries.assign(task=support.queries["task"].mask(is_asked, task))
    query_task = find_positions(queries["task"], support.tasks["task"].tolist())
    joined = dataclasses.replace(
        support, query_table=queries, raw=dataclasses.replace(support.raw, query_task=query_task)
    )
    return add_outcomes(joined, mine, encoder, source="examples")


def replace_outcomes(
    support: Support, outcomes: pd.DataFrame, encoder: TextEncoder, *, kept_queries: Collection[str]
) -> Support:
    """The support in which the models of the table have its outcomes and no older ones.

    Args:
        support: What there is.
        outcomes: As in `add_outcomes`.
        encoder: Encodes prompts that are new.
        kept_queries: As in `remove_model`.

    Raises:
        DataError: As in `add_outcomes`.
    """
    stale = support.outcomes["model"].isin(set(outcomes["model"]))
    others = support.outcomes[~stale].reset_index(drop=True)
    emptied = dataclasses.replace(support, outcome_table=others)
    return _drop_idle_queries(add_outcomes(emptied, outcomes, encoder), kept_queries)


def add_outcomes(
    support: Support, outcomes: pd.DataFrame, encoder: TextEncoder, *, source: str = "outcomes"
) -> Support:
    """The support with more outcomes; repeats of a pair are averaged, also with older ones.

    Args:
        support: What there is.
        outcomes: From `read_outcomes`.
        encoder: Encodes prompts that are new.
        source: What to call the outcomes in messages.

    Raises:
        DataError: The table names a model or a query that is unknown, or breaks the contract of
            outcomes.
    """
    asked, new = identify_queries(support, outcomes, source)
    are_asked = find_positions(pd.Series(asked, dtype="str"), support.query_ids)
    known = support.queries.iloc[np.unique(are_asked[are_asked >= 0])]
    # What goes with a query of no text is not kept, and what stands for it is of no dataset.
    shown = known["prompt"].where(known["prompt"].str.strip() != "", "(none)")
    known = known.drop(columns=VIEW_KEY, errors="ignore").assign(prompt=shown)
    checked = build_dataset(
        {
            "queries": pd.concat([known, new], ignore_index=True),
            "models": pd.DataFrame([card.model_dump(by_alias=True) for card in support.pool]),
            "outcomes": outcomes.assign(query_id=asked).drop(
                columns=["prompt", "task", *PEOPLE, *VIEWS], errors="ignore"
            ),
        },
        name=source,
        sources={"outcomes": source, "models": "the pool"},
    )
    fresh = add_prices(checked.outcomes, support.pool)
    fresh = fresh.assign(num_runs=count_runs(fresh))
    kept = [*support.outcomes.columns, *(speed.name for speed in SPEEDS)]
    fresh = fresh[[name for name in dict.fromkeys(kept) if name in fresh.columns]]
    added = checked.queries.iloc[len(known) :]
    queries = support.query_table
    if not added.empty:
        queries = join_queries(support, added)
    wider = dataclasses.replace(
        support,
        query_table=queries,
        outcome_table=join_outcomes(support.outcomes, fresh, source=source),
        old_models=support.old_models - set(fresh["model"]),
        raw=_extend_features(support, added, encoder),
    )
    support.pass_on(wider)
    return wider


def read_outcomes(support: Support, outcomes: pd.DataFrame, source: str) -> pd.DataFrame:
    """The outcomes, checked and clean; models and queries are named as in the support.

    Raises:
        DataError: The table has no rows, or breaks the contract of outcomes.
    """
    return read_new_outcomes(
        outcomes, source, models=support.pool.names, query_ids=support.query_ids
    )


def _drop_idle_queries(support: Support, kept_queries: Collection[str]) -> Support:
    """The support without the queries that came later and that nobody's outcome is left of."""
    # isin of pandas takes half a second on 100,000 outcomes
    wanted = {*kept_queries, *support.outcomes["query_id"].unique()}
    stays = np.array([query in wanted for query in support.queries["query_id"]], dtype=bool)
    if stays.all():
        return support
    return dataclasses.replace(
        support,
        query_table=support.queries[stays].reset_index(drop=True),
        raw=support.raw.take_queries(stays),
    )


def _exchange_pool(
    support: Support, pool: ModelPool, encoder: TextEncoder, *, changed: Collection[str]
) -> Support:
    """The support with another pool; all models but the changed ones were there, in their order."""
    fresh = encode_raw(
        encoder,
        _no_queries(),
        ModelPool.of(card for card in pool if card.model in changed),
        support.tasks,
    )
    descriptions = np.zeros((len(pool), support.raw.descriptions.shape[1]), dtype=np.float32)
    cards = np.zeros((len(pool), support.raw.cards.shape[1]))
    row = 0
    for place, card in enumerate(pool):
        if card.model in changed:
            descriptions[place], cards[place] = fresh.descriptions[row], fresh.cards[row]
            row += 1
        else:
            old = support.pool.position(card.model)
            descriptions[place], cards[place] = (
                support.raw.descriptions[old],
                support.raw.cards[old],
            )
    return dataclasses.replace(
        support,
        pool=pool,
        raw=dataclasses.replace(support.raw, descriptions=descriptions, cards=cards),
    )


def _no_queries() -> pd.DataFrame:
    return pd.DataFrame({"task": [], "prompt": []}, dtype="str")


def _extend_features(support: Support, new: pd.DataFrame, encoder: TextEncoder) -> RawFeatures:
    if new.empty:
        return support.raw
    fresh = encode_raw(encoder, new, ModelPool.of(()), support.tasks)
    return support.raw.add_queries(fresh)
