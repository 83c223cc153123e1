"""A picture of how soon a newcomer is known: what is expected of it after a few outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from graphrouter.bench.evaluation.held_out import choose_baseline_data, choose_held_out
from graphrouter.bench.pictures.picture import Heights, Picture
from graphrouter.bench.pictures.picture_style import AREA, ORACLE_LINE, ROUTER, Size
from graphrouter.exceptions import DataError, UnknownModelError
from graphrouter.training.effect_scores import log_loss
from graphrouter.wording import count_of, suggest

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from graphrouter.data import RoutingDataset
    from graphrouter.router.graph_router import GraphRouter

SHOTS = (0, 5, 10, 20, 50, 100)
"""Numbers of outcomes after which one looks."""
FEWEST_OUTCOMES = 20
"""Of the model on queries that are new to the router, to hold expectations against."""


class _Step(NamedTuple):
    """What is known of the newcomer after some outcomes."""

    num_outcomes: int
    expected: float
    """Mean expected effect on the held-out queries."""
    low: float
    """Mean lower end of the 80 % intervals."""
    high: float
    log_loss: float
    """Of the expectations, in nats."""


def draw_newcomer(
    router: GraphRouter,
    data: RoutingDataset,
    *,
    model: str | None = None,
    shots: Sequence[int] = SHOTS,
    seed: int = 0,
) -> Picture:
    """How soon a model is known that joins the pool: expectation and error after a few outcomes.

    The model is taken out of the pool and joins it again with its card and the first so many of its
    outcomes, in a random order; what is then expected of it is held against what it did on queries
    that the router has not learned from. The network was trained with the model in the pool: how a
    pool does with models that nobody trained on says `graphrouter benchmark-newcomers`.

    Args:
        router: With the model in its pool.
        data: With outcomes of the model on queries that are new to the router.
        model: Who joins; the one with the most such outcomes without it.
        shots: Numbers of outcomes.
        seed: Of the order.

    Raises:
        DataError: There are fewer than 20 outcomes to hold expectations against.
        UnknownModelError: The pool or the data has no such model.
    """
    held_out = data.select_queries(choose_held_out(router, data))
    name = _choose_model(router, held_out, model)
    tests = held_out.outcomes[held_out.outcomes["model"] == name].dropna(subset=["effect"])
    if len(tests) < FEWEST_OUTCOMES:
        raise DataError(
            f"{name} has {count_of(len(tests), 'graded outcome')} on queries that are new to the "
            f"router; expected at least {FEWEST_OUTCOMES}. Name another model, or more data."
        )
    asked = held_out.queries.set_index("query_id").loc[tests["query_id"]]
    known = _list_lessons(router, data, name).sample(frac=1, random_state=seed)
    observed = tests["effect"].to_numpy(dtype=np.float64)
    steps = [
        _ask(router, name, known.iloc[:number], asked, observed)
        for number in sorted(set(shots))
        if number <= len(known)
    ]
    truth = float(observed.mean())
    first, last = steps[0], steps[-1]
    return Picture(
        title=f"How soon is a newcomer known? {name}",
        says=f"On {count_of(len(tests), 'query')} that the router has not learned from, {name} has "
        f"a mean effect of {truth:.2f}. Expected are {first.expected:.2f} with "
        f"{count_of(first.num_outcomes, 'outcome')} of it and {last.expected:.2f} with "
        f"{last.num_outcomes}; the log loss goes from {first.log_loss:.3f} to {last.log_loss:.3f}.",
        draw=lambda figure, size: _draw(figure, size, steps, truth),
        columns=("outcomes", "expected effect", "80 % from", "to", "log loss", "observed effect"),
        rows=[(*step, truth) for step in steps],
        heights=Heights(4.4, 5.6),
    )


def _choose_model(router: GraphRouter, held_out: RoutingDataset, model: str | None) -> str:
    counts = held_out.outcomes["model"].value_counts()
    there = [name for name in router.models if name in counts.index]
    if model is None:
        if not there:
            raise DataError(
                "None of the router's models has an outcome on queries that are new to it. Give "
                "data with some."
            )
        return max(there, key=lambda name: int(counts[name]))
    if model not in there:
        raise UnknownModelError(
            f"There is no model {model!r} with outcomes in {held_out.name!r}. "
            f"{suggest(model, there)}"
        )
    return model


def _list_lessons(router: GraphRouter, data: RoutingDataset, model: str) -> pd.DataFrame:
    """Outcomes of the model that the router has learned from, with their prompts."""
    seen, split = choose_baseline_data(router, data)
    outcomes = seen.outcomes[
        (seen.outcomes["model"] == model) & seen.outcomes["query_id"].isin(split.train)
    ]
    return outcomes.merge(seen.queries[["query_id", "task", "prompt"]], on="query_id")


def _ask(
    router: GraphRouter,
    model: str,
    lessons: pd.DataFrame,
    asked: pd.DataFrame,
    observed: np.ndarray,
) -> _Step:
    card = router.pool[model]
    columns = ["query_id", "task", "prompt", "effect", "cost_usd", "output_tokens"]
    outcomes = lessons[columns] if len(lessons) else None
    joined = router.remove_model(model).add_model(card, outcomes=outcomes)
    tasks = [task if isinstance(task, str) else None for task in asked["task"]]
    found = joined.predict(asked["prompt"].tolist(), tasks=tasks)
    place = joined.models.index(model)
    effect = found.effect[:, place]
    low, high = (
        float(effect.mean() if ends is None else ends[:, place].mean())
        for ends in (found.effect_low, found.effect_high)
    )
    return _Step(len(lessons), float(effect.mean()), low, high, log_loss(effect, observed))


def _draw(figure: Figure, size: Size, steps: Sequence[_Step], truth: float) -> None:
    places = np.arange(len(steps))  # numbers lie orders of magnitude apart
    grid = (2, 1) if size.is_narrow else (1, 2)
    level, loss = figure.subplots(*grid).ravel().tolist()
    level.fill_between(
        places,
        [step.low for step in steps],
        [step.high for step in steps],
        color=AREA,
        label="80 % interval",
    )
    level.plot(places, [step.expected for step in steps], marker="o", label="expected", **ROUTER)
    level.axhline(truth, label="observed", **ORACLE_LINE)
    level.set_ylim(0, 1)
    level.set_ylabel("mean effect")
    loss.plot(places, [step.log_loss for step in steps], marker="s", **ROUTER)
    loss.set_ylim(0, 1.1 * max(step.log_loss for step in steps))
    loss.set_ylabel("log loss (lower is better)")
    for axes in (level, loss):
        _mark_shots(axes, steps)
    figure.legend(loc="outside lower center", ncols=3)


def _mark_shots(axes: Axes, steps: Sequence[_Step]) -> None:
    axes.set_xticks(range(len(steps)), [str(step.num_outcomes) for step in steps])
    axes.set_xlabel("outcomes of the newcomer")
