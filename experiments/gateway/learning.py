"""How soon a newcomer is known and a model that drops is left, on replayed real outcomes.

Usage:
    python -m experiments.gateway.learning DATA ... --out experiments/gateway/learning.json
    python -m experiments.gateway.learning_table experiments/gateway/learning.json

Each data set is shuffled: 800 queries are known of all models, 1,500 come as a stream of requests
in batches of 100, all of them graded, 500 measure what the router would choose (`--stream`,
`--batch` and `--test` say others). Nobody learns from the last. A model can be chosen for a query
only where its outcome was recorded. Choices are by effect alone.

*Newcomer*: the best model of the set is taken out, and put in again by its card when the stream
begins. *Drop*: from request 500 of the stream on the model that is chosen most has outcomes of a
mean that is lower by .2.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import graphrouter as gr
from graphrouter.bench.baselines.learning import Questions
from graphrouter.bench.baselines.methods.mix_llm import MixLLM
from graphrouter.gateway.exploring import Exploration
from graphrouter.monitoring import DriftDetector
from graphrouter.queries import Queries
from graphrouter.router.pool_strengths import find_newcomers
from graphrouter.selection import decide

NUM_KNOWN, NUM_STREAM, NUM_TEST, BATCH, DROP_AT, DROP = 800, 1_500, 500, 100, 500, 0.2
LEAST_COVERAGE = 0.8
"""Share of the queries that a newcomer must have outcomes of, unless `--least-coverage` says so."""
RIDGE = 10.0
POLICY = gr.Policy.preset("performance_first")


@dataclass(frozen=True)
class World:
    """A data set in its parts."""

    data: gr.RoutingDataset
    effect: np.ndarray
    """(num_queries, num_models), NaN where nothing was recorded; queries as they were shuffled."""
    queries: pd.DataFrame
    known: np.ndarray
    stream: np.ndarray
    test: np.ndarray
    """Rows."""
    least_coverage: float
    batch: int
    """Requests between two lessons."""

    @classmethod
    def read(
        cls,
        folder: str,
        seed: int,
        least_coverage: float,
        num_stream: int = NUM_STREAM,
        num_test: int = NUM_TEST,
        batch: int = BATCH,
    ) -> World:
        data = gr.load_dataset(folder)
        queries = data.queries.sample(frac=1, random_state=seed)
        queries = queries.iloc[: NUM_KNOWN + num_stream + num_test].reset_index(drop=True)
        effect = data.outcome_matrix("effect", queries["query_id"].tolist())
        rows = np.split(np.arange(len(queries)), [NUM_KNOWN, NUM_KNOWN + num_stream])
        return cls(data, effect, queries, *rows, least_coverage, batch)

    def fit(self, models: list[str]) -> gr.GraphRouter:
        ids = self.queries["query_id"].iloc[self.known].tolist()
        data = self.data.select_queries(ids).select_models(models)
        return gr.GraphRouter.fit(data, instant=True)

    def lessons(self, rows: np.ndarray, models: list[str], effect: np.ndarray) -> pd.DataFrame:
        asked = self.queries.iloc[rows][["prompt", "task"]].reset_index(drop=True)
        return asked.assign(model=models, effect=effect)


class Router:
    """Predicts by a graph router, chooses by `Exploration`, and learns every grade."""

    def __init__(
        self,
        world: World,
        router: gr.GraphRouter,
        exploration: Exploration | None = None,
        *,
        run_length: float | None = None,
        forgets: bool = True,
    ) -> None:
        self.world, self.router, self.exploration = world, router, exploration
        self.columns = [world.data.pool.names.index(name) for name in router.models]
        self.run_length, self.forgets = run_length, forgets
        self.detectors: dict[str, DriftDetector] = {}
        self.alarms: list[tuple[int, str, str, int]] = []
        self.log: list[pd.DataFrame] = []

    def predict(self, rows: np.ndarray) -> Any:
        asked = self.world.queries.iloc[rows]
        return self.router.predict(asked["prompt"].tolist(), tasks=asked["task"].tolist())

    def choose(self, rows: np.ndarray) -> np.ndarray:
        predicted, new, found = self.predict(rows), find_newcomers(self.router), []
        self.expected = np.zeros(len(rows))
        for place, row in enumerate(rows):
            gone = np.isnan(self.world.effect[row, self.columns])
            absent = frozenset(np.array(self.router.models)[gone].tolist())
            context = replace(self.router.policy_context, unavailable=absent)
            decision = decide(POLICY, predicted, place, context)
            model = decision.model
            if self.exploration is not None:
                model = self.exploration.try_one(decision, newcomers=new).model
            self.expected[place] = predicted.effect[place, self.router.models.index(model)]
            found.append(self.columns[self.router.models.index(model)])
        return np.array(found)

    def learn(self, rows: np.ndarray, models: np.ndarray, effect: np.ndarray, number: int) -> None:
        names = [self.world.data.pool.names[each] for each in models]
        lessons = self.world.lessons(rows, names, effect)
        self.router = self.router.add_outcomes(lessons)
        if self.run_length is None:
            return
        self.log.append(lessons.assign(number=np.arange(number, number + len(rows))))
        raised = set()
        for place, name in enumerate(names):
            if name in raised:  # decided on before the alarm
                continue
            if name not in self.detectors:
                self.detectors[name] = DriftDetector(self.run_length)
            drift = self.detectors[name].observe(
                number + place, expected=self.expected[place], effect=effect[place]
            )
            if drift is not None:
                raised.add(name)
                self.alarms.append((number + place, name, drift.direction, drift.since))
                del self.detectors[name]
                if self.forgets:
                    seen = pd.concat(self.log)
                    kept = seen[(seen["model"] == name) & (seen["number"] >= drift.since)]
                    columns = ["prompt", "task", "model", "effect"]
                    self.router = self.router.add_outcomes(kept[columns], replace=True)

    def prefer(self, rows: np.ndarray) -> np.ndarray:
        """(num_rows, num_models of the world): expected effects, -inf of who cannot be chosen."""
        found = np.full((len(rows), self.world.effect.shape[1]), -np.inf)
        found[:, self.columns] = self.predict(rows).effect
        return np.where(np.isnan(self.world.effect[rows]), -np.inf, found)


class LinUCB:
    """MixLLM with the online updates of its paper: a ridge regression a model, and a bonus."""

    def __init__(self, world: World, models: list[str], new: str | None, weight: float) -> None:
        self.world, self.weight = world, weight
        ids = world.queries["query_id"].iloc[world.known].tolist()
        fitted = MixLLM.fit(world.data.select_queries(ids).select_models(models))
        queries = Queries.of(world.queries["prompt"].tolist())
        vectors = Questions.of(queries, fitted.encoder).vectors
        self.x = fitted.space.features(vectors)
        names = [*models, *([] if new is None else [new])]
        self.columns = [world.data.pool.names.index(name) for name in names]
        y = world.effect[np.ix_(world.known, self.columns)]
        y[:, len(models) :] = np.nan
        level = np.nanmean(y[:, : len(models)], axis=0)
        self.level = np.append(level, [level.mean()] * (len(names) - len(models)))
        size = self.x.shape[1]
        self.design = np.stack([np.eye(size) * RIDGE] * len(names))
        self.sums = np.zeros((len(names), size))
        for place in range(len(models)):
            seen = ~np.isnan(y[:, place])
            self._add(place, self.x[world.known][seen], y[seen, place])

    def _add(self, place: int, x: np.ndarray, y: np.ndarray) -> None:
        self.design[place] += x.T @ x
        self.sums[place] += x.T @ (y - self.level[place])

    def _score(self, rows: np.ndarray, weight: float) -> np.ndarray:
        inverse = np.linalg.inv(self.design)
        x = self.x[rows]
        weights = np.einsum("mde,me->dm", inverse, self.sums)
        expected = self.level + x @ weights
        spread = np.stack([np.einsum("nd,de,ne->n", x, i, x) for i in inverse], 1)
        found = np.full((len(rows), self.world.effect.shape[1]), -np.inf)
        found[:, self.columns] = expected + weight * np.sqrt(np.maximum(spread, 0))
        return np.where(np.isnan(self.world.effect[rows]), -np.inf, found)

    def choose(self, rows: np.ndarray) -> np.ndarray:
        return self._score(rows, self.weight).argmax(axis=1)

    def learn(self, rows: np.ndarray, models: np.ndarray, effect: np.ndarray, number: int) -> None:
        for model in np.unique(models):
            mine = models == model
            self._add(self.columns.index(model), self.x[rows[mine]], effect[mine])

    def prefer(self, rows: np.ndarray) -> np.ndarray:
        return self._score(rows, 0.0)


class Course(NamedTuple):
    """What became of a stream."""

    reward: list[float]
    """Summed effect of each batch."""
    value: list[float]
    """Mean effect of what would be chosen on the test rows, before each batch and at the end."""
    share: list[float]
    """Of the test rows that would go to the model in question, likewise."""
    asked: list[int]
    """Requests of each batch that went to it."""
    alarms: list[tuple[int, str, str, int]]


class Run(NamedTuple):
    way: str
    course: Course
    model: str
    bounds: list[tuple[float, float]]
    """`measure` of the router that knows nothing of the model, or of its drop, and of the one that
    knew all from the beginning."""


def measure(world: World, learner: Any, model: int, effect: np.ndarray) -> tuple[float, float]:
    """Mean effect on the test rows of what would be chosen, and the share of the model in that."""
    chosen = learner.prefer(world.test).argmax(axis=1)
    return float(effect[world.test, chosen].mean()), float((chosen == model).mean())


def follow(world: World, learner: Any, effect: np.ndarray, model: int, later: np.ndarray) -> Course:
    """Serve the stream.

    Args:
        effect: What comes of each request, as `World.effect`; the same but for a model that drops.
        model: In question.
        later: What counts on the test rows, as `World.effect`.
    """
    found = Course([], [], [], [], [])

    def note() -> None:
        value, share = measure(world, learner, model, later)
        found.value.append(value)
        found.share.append(share)

    for start in range(0, len(world.stream), world.batch):
        note()
        rows = world.stream[start : start + world.batch]
        chosen = learner.choose(rows)
        got = effect[rows, chosen]
        found.reward.append(float(got.sum()))
        found.asked.append(int((chosen == model).sum()))
        learner.learn(rows, chosen, got, start)
    note()
    found.alarms.extend(getattr(learner, "alarms", []))
    return found


def run_newcomer(world: World, seed: int, names: list[str]) -> Iterator[Run]:
    """Each way to learn a newcomer."""
    pool = world.data.pool.names
    mean = np.nanmean(world.effect, axis=0)
    covered = (~np.isnan(world.effect)).mean(axis=0) >= world.least_coverage
    best = int(np.where(covered, mean, -1).argmax())
    new = pool[best]
    old = [name for name in pool if name != new]
    without = world.fit(old)
    card = without.add_model(world.data.pool[new])
    seen = world.known[~np.isnan(world.effect[world.known, best])]
    lessons = world.lessons(seen, [new] * len(seen), world.effect[seen, best])
    all_known = without.add_model(world.data.pool[new], outcomes=lessons)
    tried: Mapping[str, Any] = {
        "all known": lambda: Router(world, all_known),
        "no exploration": lambda: Router(world, card),
        "newcomers 0.1": lambda: Router(world, card, Exploration(newcomers=0.1, seed=seed)),
        "newcomers 0.3": lambda: Router(world, card, Exploration(newcomers=0.3, seed=seed)),
        "thompson 0.1": lambda: Router(world, card, Exploration(0.1, seed=seed)),
        "epsilon-greedy 0.1": lambda: Router(world, card, Exploration(0.1, "uniform", seed=seed)),
        "LinUCB 0.3": lambda: LinUCB(world, old, new, 0.3),
    }
    bounds = [
        measure(world, Router(world, each), best, world.effect) for each in (without, all_known)
    ]
    for name, make in tried.items():
        if not names or name in names:
            yield Run(name, follow(world, make(), world.effect, best, world.effect), new, bounds)


def run_drop(world: World, seed: int, names: list[str]) -> Iterator[Run]:
    """Each way to find a model that drops."""
    pool = world.data.pool.names
    router = world.fit(pool)
    chosen = Router(world, router).prefer(world.test).argmax(axis=1)
    model = int(np.bincount(chosen).argmax())
    share = DROP / float(np.nanmean(world.effect[:, model]))
    lost = np.random.default_rng(seed).random(len(world.effect)) < share
    dropped = world.effect.copy()
    dropped[lost, model] *= 0.0
    effect = world.effect.copy()
    late = world.stream[DROP_AT:]
    effect[late] = dropped[late]
    seen = world.known[~np.isnan(dropped[world.known, model])]
    lessons = world.lessons(seen, [pool[model]] * len(seen), dropped[seen, model])
    informed = router.add_outcomes(lessons, replace=True)
    tried: Mapping[str, Any] = {
        "forgets": lambda: Router(world, router, run_length=10_000),
        "no alarms": lambda: Router(world, router),
        "LinUCB 0.3": lambda: LinUCB(world, pool, None, 0.3),
    }
    bounds = [measure(world, Router(world, each), model, dropped) for each in (router, informed)]
    for name, make in tried.items():
        if not names or name in names:
            yield Run(name, follow(world, make(), effect, model, dropped), pool[model], bounds)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("data", nargs="*")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--least-coverage", type=float, default=LEAST_COVERAGE)
    parser.add_argument("--stream", type=int, default=NUM_STREAM, help="requests")
    parser.add_argument("--test", type=int, default=NUM_TEST, help="queries that measure")
    parser.add_argument("--batch", type=int, default=BATCH, help="requests between two lessons")
    parser.add_argument("--only", action="append", default=[], help="Ways to learn, by name.")
    parser.add_argument("--part", choices=("newcomer", "drop"), action="append")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    logging.disable(logging.WARNING)
    rows = []
    for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
        for folder in asked.data:
            sizes = (asked.stream, asked.test, asked.batch)
            world = World.read(folder, seed, asked.least_coverage, *sizes)
            for part, run in (("newcomer", run_newcomer), ("drop", run_drop)):
                if part not in (asked.part or ("newcomer", "drop")):
                    continue
                for way, course, model, bounds in run(world, seed, asked.only):
                    row = {"data": Path(folder).name, "seed": seed, "part": part, "way": way}
                    row |= {"batch": asked.batch, "model": model, "bounds": bounds}
                    rows.append({**row, **course._asdict()})
                    told = f"{row['data']} {seed} {part} {way} ({model}) {np.round(bounds, 3)}"
                    at = [round(each, 3) for each in course.value[::3]]
                    print(f"{told}: {sum(course.reward):.1f} {at} {course.alarms}", flush=True)
                if asked.out is not None:
                    asked.out.write_text(json.dumps(rows, indent=0))
    print(f"{time.process_time():.0f} s of a processor")


if __name__ == "__main__":
    main()
