"""How far off a router's mean predictions are when nothing has changed.

A test of new outcomes must allow for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from graphrouter.features.tables import find_positions
from graphrouter.router.graph_router import GraphRouter
from graphrouter.router.parts import Support
from graphrouter.types import BoolArray, FloatArray

NUM_FOLDS = 4
MOST_QUERIES = 2000
"""Support queries that are held back in turn; more would not make the reference much sharper."""
SMALLEST_SPREAD = 0.01
"""Deviation of a model's or a cell's mean error that is always allowed for."""
UNKNOWN_SPREAD = 0.05
"""The same without any reference."""
COLUMNS = ["model", "query", "task", "effect", "expected"]


def predict_held_back(router: GraphRouter) -> pd.DataFrame:
    """Outcomes of the router's support beside what it expects without them.

    Columns: model, query, task (empty = unknown), both effects.

    A quarter of the support at a time is taken out, all copies of a prompt together, and predicted
    from the rest. The weights have been trained on these outcomes, but never saw one while it was
    to be predicted.
    """
    queries, keys = router.support.queries, np.array(router.support.prompt_keys, dtype=object)
    chosen = np.unique(keys)[
        :MOST_QUERIES
    ]  # keys are hashes: their order is a random one that stays the same
    if len(chosen) < 2 * NUM_FOLDS:
        return pd.DataFrame(columns=COLUMNS)
    parts = [_predicted(router, np.isin(keys, fold)) for fold in np.array_split(chosen, NUM_FOLDS)]
    table = pd.concat(parts, ignore_index=True)
    task = table["query_id"].map(queries.set_index("query_id")["task"]).fillna("")
    return table.assign(task=task, query=table["query_id"])[COLUMNS]


def _predicted(router: GraphRouter, taken: BoolArray) -> pd.DataFrame:
    """The outcomes of the support queries taken out, and what the rest lets expect of them."""
    held_back, rest = (_take(router.support, rows) for rows in (taken, ~taken))
    weaker = GraphRouter(router.learned, rest, router.provenance, router.encoder)
    expected = weaker.predict_solved(held_back).effect
    outcomes = held_back.outcomes[held_back.outcomes["effect"].notna()]
    rows, columns = (
        find_positions(outcomes["query_id"], held_back.query_ids),
        find_positions(outcomes["model"], router.models),
    )
    return outcomes[["query_id", "model", "effect"]].assign(expected=expected[rows, columns])


def _take(support: Support, rows: BoolArray) -> Support:
    """The support with some of its queries alone, and their outcomes."""
    queries = support.queries[rows].reset_index(drop=True)
    stays = support.outcomes["query_id"].isin(set(queries["query_id"]))
    return replace(
        support,
        query_table=queries,
        outcome_table=support.outcomes[stays].reset_index(drop=True),
        raw=support.raw.take_queries(rows),
    )


class Offsets(NamedTuple):
    """What the mean residuals of cells are expected to be."""

    mean: FloatArray
    """(num_cells,)."""
    covariance: FloatArray
    """(num_cells, num_cells), between cells of one model or of one task."""


class Level(NamedTuple):
    """Mean residuals of groups, shrunk towards 0 as far as noise explains them."""

    table: pd.DataFrame
    """By group: `mean` and `variance` of what its true mean is, given the reference."""
    spread: float
    """Deviation between groups: what to expect of one that the reference does not have."""

    @classmethod
    def of(cls, mean: pd.Series, noise: pd.Series, *, excess: float) -> Level:
        """The groups whose observed means have the given noise.

        `excess` is the variance between them beyond that noise.
        """
        spread = max(SMALLEST_SPREAD, float(np.sqrt(max(0.0, excess))))
        trust = spread**2 / (spread**2 + noise)
        return cls(
            pd.DataFrame({"mean": trust * mean, "variance": trust * noise, "trust": trust}), spread
        )

    @classmethod
    def unknown(cls) -> Level:
        """Nothing known of any group."""
        return cls(pd.DataFrame(columns=["mean", "variance", "trust"], dtype=float), UNKNOWN_SPREAD)

    def at(self, groups: pd.Index) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Mean, variance and trust in the reference (0 to 1) of each group, (num_groups,) each."""
        found = self.table.reindex(groups).to_numpy(dtype=np.float64)
        mean, variance, trust = np.where(np.isnan(found), [0.0, self.spread**2, 0.0], found).T
        return mean, variance, trust


@dataclass(frozen=True, eq=False)
class Calibration:
    """Mean residuals of tasks, models and cells in a reference: empirical Bayes, level by level.

    A cell is a model on a task.

    The mean residual of a cell is that of its task, plus that of its model, plus its own; each is
    normal around 0. Spreads are estimated by the method of moments (DerSimonian and Laird,
    "Meta-analysis in clinical trials", 1986).
    """

    tasks: Level
    models: Level
    cells: Level
    """By (model, task): what is left of a cell when its task and its model are taken off."""

    @classmethod
    def fit(cls, reference: pd.DataFrame) -> Calibration:
        """The calibration of the outcomes in `reference`: columns of `predict_held_back`."""
        if reference.empty:
            return cls(Level.unknown(), Level.unknown(), Level.unknown())
        expected = reference["expected"]
        rows = reference.assign(
            residual=reference["effect"] - expected, chance=expected * (1 - expected)
        )
        tasks = _tasks(rows)
        rows["residual"] -= tasks.at(pd.Index(rows["task"]))[0]
        grouped = rows.groupby(["model", "task"])
        size = grouped.size()
        noise: pd.Series = (
            grouped["chance"].sum().clip(lower=grouped["residual"].var(ddof=0) * size) + 1
        ) / size**2
        mean = grouped["residual"].mean()
        excess = _excess(mean, noise)
        weight = 1 / (noise + max(SMALLEST_SPREAD**2, excess))
        total = weight.groupby("model").sum()
        centre = (weight * mean).groupby("model").sum() / total
        models = Level.of(centre, 1 / total, excess=float((centre**2 - 1 / total).mean()))
        own = mean - models.at(mean.index.get_level_values("model"))[0]
        return cls(tasks, models, Level.of(own, noise, excess=excess))

    def offsets(self, cells: pd.MultiIndex) -> Offsets:
        """What to expect of the cells (model, task), those that the reference lacks included."""
        own, own_variance, trust = self.cells.at(cells)
        covariance = np.diag(own_variance)
        mean = own
        for place, level in enumerate((self.models, self.tasks)):
            groups = cells.get_level_values(place)
            group_mean, variance, _ = level.at(groups)
            # Where a cell's own outcomes are trusted, an error of the group's mean is made good by
            # the cell's own part.
            left = 1 - trust if place == 0 else np.ones(len(cells))
            mean = mean + group_mean
            covariance += np.outer(left, left) * np.where(
                np.equal.outer(*[pd.factorize(groups)[0]] * 2), variance, 0.0
            )
        return Offsets(mean, covariance)


def _tasks(rows: pd.DataFrame) -> Level:
    """The mean residuals of tasks over all models.

    Queries are the units, since models err together on a query.
    """
    centred = rows["residual"] - rows.groupby("model")["residual"].transform("mean")
    queries = (
        centred.groupby([rows["task"], rows["query"]])
        .mean()
        .groupby("task")
        .agg(["mean", "var", "size"])
    )
    noise = queries["var"].fillna(0.25) / queries["size"]  # 0.25: the most that an effect can vary
    return Level.of(queries["mean"], noise, excess=float((queries["mean"] ** 2 - noise).mean()))


def _excess(mean: pd.Series, noise: pd.Series) -> float:
    """Variance between the cells of a model beyond their noise, over all models."""
    weight, model = 1 / noise, mean.index.get_level_values("model")
    total = weight.groupby(model).transform("sum")
    centre = (weight * mean).groupby(model).transform("sum") / total
    freedom = len(mean) - model.nunique()
    if freedom == 0:
        return 0.0
    return (float((weight * (mean - centre) ** 2).sum()) - freedom) / float(
        weight.sum() - (weight**2 / total).sum()
    )
