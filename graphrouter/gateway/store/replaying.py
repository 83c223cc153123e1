"""The decisions of a store as another policy, pool or artifact would have made them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa

from graphrouter.data.columns import VIEWS
from graphrouter.exceptions import DataError, NotApplicableError, PolicyError
from graphrouter.gateway.store.kept_views import read_kept
from graphrouter.gateway.store.store_tables import calls, decisions, outcomes
from graphrouter.gateway.token_prices import NANOUSD
from graphrouter.policy import Policy
from graphrouter.query_views import Context, Embedding
from graphrouter.rejections import UNAVAILABLE
from graphrouter.router.off_policy import (
    Estimate,
    LoggedRewards,
    check_overlap,
    estimate_doubly_robust,
    estimate_snips,
)
from graphrouter.router.protocol import Router
from graphrouter.selection import PolicyContext, decide
from graphrouter.types import Predictions

__all__ = [
    "LoggedDecision",
    "Replay",
    "ReplayedQuantity",
    "choose_models",
    "read_log",
    "read_predictions",
    "replay",
]


class LoggedDecision(NamedTuple):
    """A decision that was made by chance or not, and what came of it."""

    candidates: Mapping[str, Mapping[str, Any]]
    """By model, as `list_candidates` writes them."""
    asked: str
    prompt: str | None
    task: str | None
    effect: float | None
    """Mean grade; None for one that nobody has graded."""
    cost_usd: float | None
    """True cost; None where it is unknown."""
    context: Context | None = None
    embedding: Embedding | None = None
    """What went with the prompt, where the store has it."""

    @property
    def is_by_chance(self) -> bool:
        """Whether another candidate might have been asked.

        Not where a session stayed on its model, a policy fell back, a budget was used up, or the
        client named the model: then no other policy was to be had either.
        """
        chances = [each.get("propensity", 0.0) for each in self.candidates.values()]
        return max(chances, default=1.0) < 1.0


class ReplayedQuantity(NamedTuple):
    """Effect or cost of the log, and of the other policy."""

    num_decisions: int
    """Decisions of which it is known."""
    effective_size: float
    """Decisions of equal weight that would say as much of the other policy."""
    logged: float
    """Mean of what came of the log."""
    expected: float
    """Mean that is predicted of the other policy, which nothing has checked."""
    snips: Estimate
    doubly_robust: Estimate


class Replay(NamedTuple):
    """What another policy would have brought."""

    num_decisions: int
    """Decisions that both could make."""
    num_left_out: int
    """Those that were not given by chance, that the other policy leaves without a model, or that
    lack their prompt."""
    share_same: float
    """Of the decisions in which both ask the same model."""
    effect: ReplayedQuantity | None
    """None where nothing is graded."""
    cost_usd: ReplayedQuantity | None
    """Mean US dollars a call; None where no cost is known."""


def read_log(
    connection: sa.Connection, *, since: float = 0.0, until: float | None = None
) -> list[LoggedDecision]:
    """The decisions whose first choice has answered, the oldest first.

    Those in which another took its place say nothing of the choice, and are left out. Where what
    went with a prompt cannot be read, the decision has no prompt.

    Args:
        connection: Of the store.
        since: Seconds since 1970, at which they begin.
        until: And before which they end; now without it.
    """
    graded = (
        sa.select(
            outcomes.c.decision_id, outcomes.c.model, sa.func.avg(outcomes.c.effect).label("effect")
        )
        .group_by(outcomes.c.decision_id, outcomes.c.model)
        .subquery()
    )
    named = [decisions.c[name] for name in ("candidates", "asked", "prompt", "task", *VIEWS)]
    wanted = (
        sa.select(*named, graded.c.effect, calls.c.cost_nanousd)
        .select_from(
            decisions.join(calls, calls.c.decision_id == decisions.c.id).outerjoin(
                graded,
                (graded.c.decision_id == decisions.c.id) & (graded.c.model == decisions.c.asked),
            )
        )
        .where(
            decisions.c.chosen.is_not(None),
            calls.c.model == decisions.c.asked,
            decisions.c.time >= since,
        )
        .order_by(decisions.c.time)
    )
    if until is not None:
        wanted = wanted.where(decisions.c.time < until)
    rows = connection.execute(wanted).all()
    views = read_kept([(row.context, row.embedding, row.embedding_encoder) for row in rows])
    return [
        LoggedDecision(
            {each["model"]: each for each in json.loads(row.candidates)},
            row.asked,
            None if read is None else row.prompt,
            row.task,
            row.effect,
            None if row.cost_nanousd is None else row.cost_nanousd / NANOUSD,
            *(read or (None, None)),
        )
        for row, read in zip(rows, views, strict=True)
    ]


def replay(
    log: Sequence[LoggedDecision], router: Router, policy: Policy, *, again: bool = False
) -> Replay:
    """What a policy would have brought in the place of the one that decided.

    Models that could not be called then are not called now.

    Args:
        log: What was decided.
        router: Its pool and scale of costs are what the policy weighs by.
        policy: To be tried.
        again: Let the router predict from the prompts, where the store has them, in place of what
            was predicted then.

    Raises:
        NotApplicableError: There is nothing to replay, the log lacks overlap, or the router does
            not know what went with prompts that it is to predict from.
    """
    predicted = _predict_again(router, log) if again else read_predictions(router, log)
    choices = choose_models(log, predicted, policy, router.policy_context)
    rows = [
        row
        for row, choice in enumerate(choices)
        if choice is not None and log[row].is_by_chance and not (again and log[row].prompt is None)
    ]
    if not rows:
        wanted = " and --store-prompts full" if again else ""
        raise NotApplicableError(
            f"There is no decision to replay: none of {len(log):,} that their first choice has "
            f"answered was given by chance. Serve with --explore{wanted}."
        )
    same = [choices[row] == log[row].asked for row in rows]
    measured = {
        name: _measure(name, log, rows, choices, predicted) for name in ("effect", "cost_usd")
    }
    return Replay(len(rows), len(log) - len(rows), float(np.mean(same)), **measured)


def read_predictions(router: Router, log: Sequence[LoggedDecision]) -> Predictions:
    """What was predicted when the decisions were made, of the models of the router's pool.

    NaN of a model that was no candidate.

    Args:
        router: Whose pool.
        log: What was decided.
    """

    def read(name: str, divisor: float = 1.0) -> np.ndarray:
        found = np.full((len(log), len(router.models)), np.nan)
        for row, decision in enumerate(log):
            for column, model in enumerate(router.models):
                value = decision.candidates.get(model, {}).get(name)
                if value is not None:
                    found[row, column] = value / divisor
        return found

    predicted = Predictions.from_arrays(
        router.models, read("effect"), cost_usd=read("cost_nanousd", NANOUSD)
    )
    low, high = read("effect_low"), read("effect_high")
    if np.isnan(low).all():
        return predicted
    return replace(predicted, effect_low=low, effect_high=high)


def _read_embeddings(router: Router, log: Sequence[LoggedDecision]) -> list[Embedding | None]:
    """The embedding of each decision; None of encoders that the router leaves aside.

    Refuses what the router cannot read: the gateway would refuse it with it too. One of each
    encoder and length stands for them all.

    Raises:
        NotApplicableError: It cannot.
    """
    kinds = [_kind_of(each.embedding) for each in log]
    counts = Counter(kind for kind in kinds if kind is not None)
    refused: dict[tuple[str, int], DataError] = {}
    for kind in counts:
        first = log[kinds.index(kind)]
        try:
            router.predict([first.prompt or ""], embeddings=[first.embedding])
        except DataError as error:
            refused[kind] = error
    if refused:
        total = sum(counts[kind] for kind in refused)
        reasons = " ".join(
            f"{'' if len(refused) == 1 else f'of {counts[kind]:,} '}the {error}"
            for kind, error in refused.items()
        )
        raise NotApplicableError(
            f"{total:,} of {len(log):,} decisions cannot be predicted anew: {reasons} Without "
            "--again counts what was predicted when they were made."
        )
    lengths = Counter(encoder for encoder, _ in counts)
    # A router reads one length of an encoder: where it takes two, it reads neither, and queries
    # of both in one table would be refused.
    return [
        None if kind is None or lengths[kind[0]] > 1 else each.embedding
        for kind, each in zip(kinds, log, strict=True)
    ]


def _kind_of(embedding: Embedding | None) -> tuple[str, int] | None:
    """Encoder and length."""
    return None if embedding is None else (embedding.encoder, len(embedding.vector))


def _predict_again(router: Router, log: Sequence[LoggedDecision]) -> Predictions:
    return router.predict(
        [each.prompt or "" for each in log],
        tasks=[each.task if each.task in (router.known_tasks or ()) else None for each in log],
        contexts=[each.context for each in log],
        embeddings=_read_embeddings(router, log),
    )


def choose_models(
    log: Sequence[LoggedDecision], predicted: Predictions, policy: Policy, context: PolicyContext
) -> list[str | None]:
    """The model of each decision; None where the policy has none.

    Args:
        log: What was decided.
        predicted: Of each decision; a model with NaN cannot be asked, as one that was not there.
        policy: What to choose by.
        context: Of the router whose pool it is.
    """
    found: list[str | None] = []
    for row, decision in enumerate(log):
        absent = frozenset(
            model
            for column, model in enumerate(predicted.models)
            if np.isnan(predicted.effect[row, column])
            or decision.candidates.get(model, {}).get("rejected") == UNAVAILABLE
        )
        if len(absent) == len(predicted.models):
            found.append(None)
            continue
        try:
            chosen = decide(policy, predicted, row, replace(context, unavailable=absent))
        except PolicyError:
            found.append(None)
        else:
            found.append(chosen.model)
    return found


def _measure(
    name: str,
    log: Sequence[LoggedDecision],
    rows: Sequence[int],
    choices: Sequence[str | None],
    predicted: Predictions,
) -> ReplayedQuantity | None:
    known = [row for row in rows if getattr(log[row], name) is not None]
    if not known:
        return None
    column = {model: place for place, model in enumerate(predicted.models)}
    expected = np.nan_to_num(getattr(predicted, name))

    def expect(row: int, model: str | None) -> float:
        return float(expected[row, column[model]]) if model in column else 0.0

    def chance(row: int, model: str | None) -> float:
        return float(log[row].candidates.get(model or "", {}).get("propensity", 0.0))

    read = LoggedRewards(
        reward=np.array([getattr(log[row], name) for row in known], dtype=np.float64),
        agrees=np.array([choices[row] == log[row].asked for row in known]),
        propensity=np.array([chance(row, log[row].asked) for row in known]),
        target_propensity=np.array([chance(row, choices[row]) for row in known]),
        expected=np.array([expect(row, log[row].asked) for row in known]),
        target_expected=np.array([expect(row, choices[row]) for row in known]),
    )
    check_overlap(read)
    return ReplayedQuantity(
        len(known),
        read.effective_size,
        float(read.reward.mean()),
        float(read.target_expected.mean()),
        estimate_snips(read),
        estimate_doubly_robust(read),
    )
