"""Predicted over recorded mean cost, for every model with at least 50 costed training outcomes.

Usage:
    python experiments/costs/run.py [DATA ...] [--cases] [--seed 0] [--out FILE.json]
        [--set KEY=VALUE ...]

Trains a graph router on each dataset, and with --cases on simulated pools whose bills are not
tokens times list price. Prints one line a dataset or case and one for each model outside 0.8 to
1.25, training and test queries apart; on test queries with an 80 % interval of the recorded mean
(bootstrap over queries), since few dear calls make up most of a mean. A cost of 0 beside positive
ones of the same model counts as not recorded.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import graphrouter as gr

LOW, HIGH = 0.8, 1.25
FEWEST = 50
NUM_DRAWS = 500
TOKENS = ["input_tokens", "output_tokens"]
PRICES = ["input_usd_per_mtok", "output_usd_per_mtok"]


class Case(NamedTuple):
    """A dataset to train on, and models that join with outcomes afterwards."""

    data: gr.RoutingDataset
    newcomers: tuple[tuple[gr.ModelCard, pd.DataFrame], ...] = ()


class Tables:
    """The tables of a simulated dataset, to be changed."""

    def __init__(self, seed: int) -> None:
        """A pool of six models, most of them with prices, tokens and costs that agree."""
        data = gr.simulate(num_queries=500, num_models=6, seed=seed, missing=0.0).data
        self.data, self.models, self.outcomes = data, data.models.copy(), data.outcomes.copy()
        self.names = data.models["model"].tolist()
        self.rng = np.random.default_rng(seed)

    def rows(self, *models: int) -> pd.Series:
        """The outcomes of some of the models."""
        return self.outcomes["model"].isin([self.names[i] for i in models])

    def bill(self, factor: float, *models: int, spread: float = 0.0) -> None:
        """Bill models `factor` times what tokens and prices come to."""
        rows = self.rows(*models)
        noise = np.exp(spread * self.rng.standard_normal(rows.sum()) - spread**2 / 2)
        self.outcomes.loc[rows, "cost_usd"] *= factor * noise

    def set_bill(self, usd: float, *models: int) -> None:
        """Bill models this much on average, whatever their tokens."""
        rows = self.rows(*models)
        noise = np.exp(0.3 * self.rng.standard_normal(rows.sum()) - 0.045)
        self.outcomes.loc[rows, "cost_usd"] = usd * noise

    def set_price(self, price: float, *models: int) -> None:
        """Give models another list price."""
        self.models.loc[self.models["model"].isin([self.names[i] for i in models]), PRICES] = price

    def forget(self, columns: list[str], *models: int, share: float = 1.0) -> None:
        """Leave values out of the outcomes of models."""
        chosen = self.rows(*models) & (self.rng.random(len(self.outcomes)) < share)
        self.outcomes.loc[chosen, columns] = np.nan

    def zero(self, columns: list[str], *models: int, share: float = 0.4) -> None:
        """Write 0 where the log knew nothing."""
        chosen = self.rows(*models) & (self.rng.random(len(self.outcomes)) < share)
        self.outcomes.loc[chosen, columns] = 0.0

    def case(self, *, joins: int | None = None) -> Case:
        """The case; the model `joins` is added with 150 outcomes after training."""
        models, outcomes = self.models, self.outcomes
        newcomers: tuple[tuple[gr.ModelCard, pd.DataFrame], ...] = ()
        if joins is not None:
            name = self.names[joins]
            row = models[models["model"] == name].iloc[0].dropna().to_dict()
            theirs = outcomes[outcomes["model"] == name].head(150)
            newcomers = ((gr.ModelCard.model_validate(row), theirs),)
            models = models[models["model"] != name]
            outcomes = outcomes[outcomes["model"] != name]
        data = gr.RoutingDataset.from_frames(
            queries=self.data.queries, models=models, outcomes=outcomes, tasks=self.data.tasks
        )
        return Case(data, newcomers)


def _no_list_price(t: Tables) -> Case:
    t.set_price(np.nan, 0)
    return t.case()


def _no_list_price_joins(t: Tables) -> Case:
    t.set_price(np.nan, 0)
    return t.case(joins=0)


def _cached(t: Tables) -> Case:
    t.bill(0.095, 0)
    return t.case()


def _reasoning(t: Tables) -> Case:
    t.bill(7.7, 0, spread=0.7)
    return t.case()


def _self_hosted(t: Tables) -> Case:
    t.set_price(0.0, 0)
    t.set_bill(0.003, 0)
    return t.case()


def _self_hosted_joins(t: Tables) -> Case:
    t.set_price(0.0, 0)
    t.set_bill(0.003, 0)
    return t.case(joins=0)


def _cheap_newcomer(t: Tables) -> Case:
    t.models.loc[t.models["model"] == t.names[0], PRICES] = [3.0, 15.0]
    t.set_bill(0.00002, 0)
    return t.case(joins=0)


def _cheap_newcomer_dollars(t: Tables) -> Case:
    t.models.loc[t.models["model"] == t.names[0], PRICES] = [3.0, 15.0]
    t.set_bill(0.00002, 0)
    t.forget(TOKENS, 0)
    return t.case(joins=0)


def _dollars_alone(t: Tables) -> Case:
    t.bill(3.0, 0, spread=0.5)
    t.forget(TOKENS, 0)
    return t.case()


def _zeros(t: Tables) -> Case:
    t.zero(["cost_usd"], 0)
    return t.case()


def _zeros_of_dollars(t: Tables) -> Case:
    t.forget(TOKENS, 0, 1, 2, 3, 4, 5)
    t.zero(["cost_usd"], 0)
    return t.case()


def _zeros_without_prices(t: Tables) -> Case:
    t.forget(TOKENS, 0, 1, 2, 3, 4, 5)
    t.set_price(np.nan, 0, 1, 2, 3, 4, 5)
    t.zero(["cost_usd"], 0)
    return t.case()


def _zeros_all_over(t: Tables) -> Case:
    t.zero(["cost_usd", *TOKENS, "latency_s"], 0)
    return t.case()


def _half_and_half(t: Tables) -> Case:
    t.forget(TOKENS, 0, 1, 2)
    t.forget(["cost_usd"], 3, 4, 5)
    return t.case()


def _half_and_half_without_prices(t: Tables) -> Case:
    t.set_price(np.nan, 0, 1, 2)
    return _half_and_half(t)


def _dollars_and_no_price(t: Tables) -> Case:
    t.forget(TOKENS, 0, 1, 2, 3, 4, 5)
    t.set_price(np.nan, 0)
    t.set_price(0.0, 1)
    return t.case()


def _dollars_far_below_list(t: Tables) -> Case:
    t.forget(TOKENS, 0, 1, 2, 3, 4, 5)
    t.bill(0.0125, 0)
    return t.case()


def _dollars_far_above_list(t: Tables) -> Case:
    t.forget(TOKENS, 0, 1, 2, 3, 4, 5)
    t.bill(7.7, 0)
    return t.case()


def _dollars_far_below_list_join(t: Tables) -> Case:
    t.forget(TOKENS, 0, 1, 2, 3, 4, 5)
    t.bill(0.0125, 0)
    return t.case(joins=0)


def _no_prices_far_below_join(t: Tables) -> Case:
    t.forget(TOKENS, 0, 1, 2, 3, 4, 5)
    t.set_price(np.nan, 0, 1, 2, 3, 4, 5)
    t.bill(0.0125, 0)
    return t.case(joins=0)


CASES: dict[str, Callable[[Tables], Case]] = {
    "no list price": _no_list_price,
    "no list price, joins later": _no_list_price_joins,
    "cache discount, bill 0.095 x list": _cached,
    "hidden reasoning, bill about 7.7 x list": _reasoning,
    "self-hosted: list price 0, bill 0.003": _self_hosted,
    "self-hosted, joins later": _self_hosted_joins,
    "joins at 3/15 USD a Mtok with bill 0.00002": _cheap_newcomer,
    "the same without tokens": _cheap_newcomer_dollars,
    "dollars without tokens in a pool of tokens": _dollars_alone,
    "40 % of costs are 0": _zeros,
    "40 % of costs are 0, no tokens": _zeros_of_dollars,
    "40 % of costs are 0, neither tokens nor prices": _zeros_without_prices,
    "40 % of all amounts are 0": _zeros_all_over,
    "half the models with dollars, half with tokens": _half_and_half,
    "the same, dollars without prices": _half_and_half_without_prices,
    "dollars, and two models without list price": _dollars_and_no_price,
    "dollars at 0.0125 x list": _dollars_far_below_list,
    "dollars at 7.7 x list": _dollars_far_above_list,
    "dollars at 0.0125 x list, joins later": _dollars_far_below_list_join,
    "no prices, joins at 0.0125 x the others' level": _no_prices_far_below_join,
}


class Row(NamedTuple):
    """A model on one side of the split."""

    where: str
    model: str
    side: str
    num_costed: int
    recorded_usd: float
    predicted_usd: float
    ratio: float
    low: float
    high: float


def compare(
    name: str, router: gr.GraphRouter, data: gr.RoutingDataset, outcomes: pd.DataFrame
) -> Iterator[Row]:
    """Predicted and recorded mean cost of every model, on training and on test queries."""
    split = router.provenance.split
    prompts = data.queries.set_index("query_id")
    positive = outcomes.loc[outcomes["cost_usd"] > 0, "model"].unique()
    known = outcomes[
        outcomes["cost_usd"].notna()
        & ~((outcomes["cost_usd"] == 0) & outcomes["model"].isin(positive))
    ]
    trained = set(split.train)
    count = known[known["query_id"].isin(trained)]["model"].value_counts()
    rng = np.random.default_rng(0)
    for side in ("train", "test"):
        ids = list(getattr(split, side))
        asked = prompts.loc[ids]
        tasks = [None if pd.isna(task) else str(task) for task in asked["task"]]
        cost = router.predict(asked["prompt"].tolist(), tasks=tasks).cost_usd
        place = pd.Series(range(len(ids)), index=ids)
        for column, model in enumerate(router.models):
            mine = known[(known["model"] == model) & known["query_id"].isin(set(ids))]
            if count.get(model, 0) < FEWEST or mine.empty:
                continue
            recorded = mine["cost_usd"].to_numpy()
            predicted = cost[place[mine["query_id"]].to_numpy(), column]
            draws = rng.integers(0, len(mine), (NUM_DRAWS, len(mine)))
            total = recorded[draws].sum(axis=1)
            ratios = predicted[draws].sum(axis=1) / np.where(total > 0, total, np.nan)
            low, high = np.quantile(ratios, [0.1, 0.9])
            mean = recorded.mean()
            free = 1.0 if abs(predicted.mean()) <= 1e-12 else np.inf
            yield Row(
                name,
                model,
                side,
                len(mine),
                float(mean),
                float(predicted.mean()),
                float(predicted.mean() / mean) if mean > 0 else free,
                float(low),
                float(high),
            )


def measure_log_rmse(
    router: gr.GraphRouter, data: gr.RoutingDataset, outcomes: pd.DataFrame
) -> float:
    """Root of the mean squared log error of cost on test queries, over positive costs."""
    ids = list(router.provenance.split.test)
    asked = data.queries.set_index("query_id").loc[ids]
    tasks = [None if pd.isna(task) else str(task) for task in asked["task"]]
    cost = router.predict(asked["prompt"].tolist(), tasks=tasks).cost_usd
    mine = outcomes[outcomes["query_id"].isin(set(ids)) & (outcomes["cost_usd"] > 0)]
    mine = mine[mine["model"].isin(router.models)]
    rows = pd.Index(ids).get_indexer(pd.Index(mine["query_id"]))
    columns = pd.Index(router.models).get_indexer(pd.Index(mine["model"]))
    error = np.log(np.maximum(cost[rows, columns], 1e-9)) - np.log(mine["cost_usd"].to_numpy())
    return float(np.sqrt(np.nanmean(error**2))) if len(error) else float("nan")


def run(name: str, case: Case, config: Any) -> tuple[list[Row], float]:
    """The comparison of one dataset, and the log-RMSE of its test costs."""
    router = gr.GraphRouter.fit(case.data, config)
    outcomes = case.data.outcomes
    for card, theirs in case.newcomers:
        columns = [c for c in theirs.columns if c != "answer"]
        joined = theirs[columns].merge(case.data.queries[["query_id", "prompt", "task"]])
        router = router.add_models([card], outcomes=joined)
        outcomes = pd.concat([outcomes, theirs], ignore_index=True)
    rows = list(compare(name, router, case.data, outcomes))
    return rows, measure_log_rmse(router, case.data, outcomes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", help="folders of datasets")
    parser.add_argument("--cases", action="store_true", help="the simulated pools too")
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", dest="settings")
    parser.add_argument("--out", type=Path, help="all rows, as JSON")
    options = parser.parse_args()
    config = gr.load_config(overrides=[f"seed={options.seed}", *options.settings])
    todo: list[tuple[str, Callable[[], Case]]] = [
        (Path(place).name, lambda place=place: Case(gr.load_dataset(place)))
        for place in options.data
    ]
    if options.cases:
        todo += [
            (name, lambda make=make: make(Tables(options.seed)))
            for name, make in CASES.items()
            if options.only in name
        ]
    kept = []
    for name, make in todo:
        rows, log_rmse = run(name, make(), config)
        kept += [row._asdict() for row in rows]
        for side in ("train", "test"):
            ratios = [row.ratio for row in rows if row.side == side]
            inside = sum(LOW <= ratio <= HIGH for ratio in ratios)
            span = f"{min(ratios):.2f} to {max(ratios):.2f}" if ratios else "-"
            print(f"{name} | {side} | {inside} of {len(ratios)} inside | {span}", end="")
            print(f" | log-RMSE {log_rmse:.3f}" if side == "test" else "", flush=True)
        for row in rows:
            if not LOW <= row.ratio <= HIGH:
                print(
                    f"    {row.model}, {row.side}: predicted {row.predicted_usd:.3g} USD, "
                    f"recorded {row.recorded_usd:.3g}, ratio {row.ratio:.2f} "
                    f"({row.low:.2f} to {row.high:.2f}), {row.num_costed} outcomes"
                )
    if options.out:
        options.out.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
