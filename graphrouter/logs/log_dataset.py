"""From the calls of a log to a dataset: prompts, tasks, models, outcomes, and what was left out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from graphrouter.chats.conversation import Conversation
from graphrouter.chats.routed_text import read_prompt
from graphrouter.data.schema import RoutingDataset, build_dataset
from graphrouter.exceptions import ChatError, DataError
from graphrouter.logs.grade_scales import GradeScale, choose_scale
from graphrouter.logs.logged_calls import LoggedCall
from graphrouter.logs.task_clusters import cluster_prompts
from graphrouter.pool import ModelCard
from graphrouter.prices import fill_prices
from graphrouter.wording import count_of

__all__ = ["ConvertedLog", "TaskSource", "assemble_log"]

_AMOUNTS = ("cost_usd", "input_tokens", "output_tokens", "latency_s", "ttft_s")
_TASK = "task"
NO_TEXT = "no text of a user to route by"
NOTHING_KNOWN = "neither a grade nor cost, tokens or latency"


@dataclass(frozen=True)
class TaskSource:
    """Where the tasks of a log come from.

    Example:
        >>> TaskSource.parse("metadata:team"), TaskSource.parse("clusters:8").num_clusters
        (TaskSource(kind='metadata', key='team', num_clusters=None), 8)
    """

    kind: str
    """auto, metadata, tags, clusters or none."""
    key: str = _TASK
    """Of the metadata."""
    num_clusters: int | None = None

    @classmethod
    def parse(cls, text: str) -> TaskSource:
        """The source that a text states.

        Raises:
            DataError: It states none.
        """
        kind, _, rest = text.partition(":")
        is_right = kind in ("auto", "metadata", "tags", "clusters", "none")
        if kind == "clusters" and rest:
            is_right = rest.isdecimal() and int(rest) > 1
        elif rest and kind != "metadata":
            is_right = False
        if not is_right:
            raise DataError(
                f"--tasks is {text!r}; expected auto, metadata:KEY, tags, clusters, clusters:N (N "
                "above 1) or none."
            )
        if kind == "clusters":
            return cls(kind, num_clusters=int(rest) if rest else None)
        return cls(kind, rest or _TASK)


@dataclass(frozen=True, eq=False)
class ConvertedLog:
    """A dataset, and what became of the records of the log."""

    data: RoutingDataset
    num_calls: int
    """Calls that made outcomes."""
    skipped: dict[str, int]
    """Records that made none, by reason."""
    scale: GradeScale | None
    """What was read as the grade; None where nothing was."""
    tasks: str
    """Where the tasks come from, in words."""
    num_listed_prices: int
    """Models whose list prices were filled in, since no cost was logged."""
    unpriced: tuple[str, ...]
    """Models without any cost, logged or by a list price."""


def assemble_log(
    calls: Sequence[LoggedCall],
    skipped: Counter[str],
    *,
    name: str,
    source: str,
    grade: str | None = None,
    tasks: TaskSource | None = None,
    keep_answers: bool = False,
    users: str | None = None,
) -> ConvertedLog:
    """The dataset of some calls.

    Calls of one prompt, task and user are of one query, and repeats of a model on it are averaged.
    Costs that nobody logged follow from tokens and list prices, where the list knows the model.

    Args:
        calls: Of the log.
        skipped: Records that were left out before, by reason.
        name: Of the dataset.
        source: What to call the log in messages.
        grade: As `GradeScale.parse` reads it; the only score there is without it.
        tasks: Where tasks come from.
        keep_answers: Keep what models said, in the column `answer`.
        users: Key of the metadata that says who asked.

    Raises:
        DataError: Nothing is left, fewer than two models are, or grades are on no scale.
    """
    scale = choose_scale(calls, grade) if calls else None
    effects = [math.nan] * len(calls) if scale is None else scale.grade(calls)
    left = Counter(skipped)
    rows: list[dict[str, Any]] = []
    for call, effect in zip(calls, effects, strict=True):
        reason = _find_obstacle(call, effect)
        if reason is None:
            rows.append(_make_row(call, effect, keep_answers=keep_answers))
        else:
            left[reason] += 1
    if not rows:
        told = ", ".join(f"{reason} ({number:,})" for reason, number in left.most_common())
        raise DataError(f"{source} holds no call that can be used: {told or 'no records'}.")
    frame = pd.DataFrame(rows)
    frame["task"], how = _name_tasks(frame, tasks or TaskSource("auto"))
    people = _name_users(frame, users)
    frame = frame.assign(**people)
    query = frame.groupby(["prompt", "task", *people], sort=False, dropna=False).ngroup()
    frame["query_id"] = [f"q{number}" for number in query]
    of_query = ["query_id", "task", "prompt", "system", "num_turns", "num_images", "num_tool_calls"]
    models, num_listed = _make_models(frame)
    answers = ["answer"] if keep_answers else []
    data = build_dataset(
        {
            "queries": frame.drop_duplicates("query_id")[[*of_query, *people]],
            "models": models,
            "outcomes": frame[["query_id", "model", "effect", *_AMOUNTS, *answers]],
            "tasks": None,
        },
        name=name,
        sources={"queries": source, "models": source, "outcomes": source},
    )
    costed = set(data.outcomes["model"][data.outcomes["cost_usd"].notna()])
    unpriced = tuple(model for model in data.pool.names if model not in costed)
    return ConvertedLog(data, len(rows), dict(left.most_common()), scale, how, num_listed, unpriced)


def _find_obstacle(call: LoggedCall, effect: float) -> str | None:
    """Why a call makes no outcome; None where it makes one."""
    try:
        text = read_prompt(call.conversation)
    except ChatError:
        return NO_TEXT
    if not text.strip():
        return NO_TEXT
    amounts = (call.cost_usd, call.input_tokens, call.output_tokens, call.latency_s)
    return NOTHING_KNOWN if all(map(math.isnan, (effect, *amounts))) else None


def _make_row(call: LoggedCall, effect: float, *, keep_answers: bool) -> dict[str, Any]:
    conversation: Conversation = call.conversation
    said = [_to_valid(turn.text) for turn in conversation.turns if turn.role == "system"]
    row = {
        "prompt": read_prompt(conversation),
        "model": call.model,
        "effect": effect,
        **{name: getattr(call, name) for name in _AMOUNTS},
        "system": "\n".join(said) or None,
        "num_turns": sum(turn.role != "system" for turn in conversation.turns),
        "num_images": sum(turn.num_images for turn in conversation.turns),
        "num_tool_calls": sum(len(turn.calls) for turn in conversation.turns),
        "metadata": call.metadata,
        "tags": call.tags,
    }
    if keep_answers:
        row["answer"] = None if call.answer is None else _to_valid(call.answer)
    return row


def _name_tasks(frame: pd.DataFrame, source: TaskSource) -> tuple[list[str | None], str]:
    """The task of each call, and where it comes from."""
    noted = [_to_name(notes.get(source.key)) for notes in frame["metadata"]]
    tagged = [_to_name(tags[0]) if tags else None for tags in frame["tags"]]
    if source.kind == "none":
        return [None] * len(frame), "not named"
    if source.kind == "metadata" or (source.kind == "auto" and any(noted)):
        if not any(noted):
            raise DataError(
                f"No call of the log has metadata {source.key!r}, by which to name tasks."
            )
        return noted, f"named by the metadata {source.key!r}"
    if source.kind == "tags" or (source.kind == "auto" and any(tagged)):
        if not any(tagged):
            raise DataError("No call of the log has a tag, by which to name tasks.")
        return tagged, "named by the first tag"
    prompts = frame["prompt"].drop_duplicates().tolist()
    named = dict(zip(prompts, cluster_prompts(prompts, source.num_clusters), strict=True))
    found = count_of(len(set(named.values())), "cluster")
    return frame["prompt"].map(named).tolist(), f"{found} of prompts, named by their words"


def _name_users(frame: pd.DataFrame, key: str | None) -> dict[str, pd.Series]:
    """Who asked, by the name of the column; nothing where nobody is to be named."""
    if key is None:
        return {}
    noted = [_to_name(notes.get(key)) for notes in frame["metadata"]]
    if not any(noted):
        raise DataError(f"No call of the log has metadata {key!r}, by which to name users.")
    return {"user": pd.Series(noted, frame.index, dtype="str")}


def _make_models(frame: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """A card of each model, and of how many list prices were filled in."""
    cards, num_listed = [], 0
    for model, rows in frame.groupby("model", sort=False):
        card = ModelCard(model=str(model))
        if rows["cost_usd"].isna().all() and rows["output_tokens"].notna().any():
            try:
                card = fill_prices(card)
                num_listed += 1
            except DataError:
                pass  # the list does not know it; its cost stays unknown, which is counted
        cards.append(card.model_dump(by_alias=True))
    return pd.DataFrame(cards), num_listed


def _to_name(value: object) -> str | None:
    text = "" if value is None or value != value else str(value).strip()
    return text or None


def _to_valid(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
