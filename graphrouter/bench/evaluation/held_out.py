"""Which queries a router may honestly be evaluated on, and how it does there beside baselines.

Baselines learn from what the router itself has learned from, and from nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from graphrouter.bench.evaluation.evaluate import SeedRun, collect_outputs, score_runs
from graphrouter.bench.evaluation.results import Evaluation
from graphrouter.data import RoutingDataset
from graphrouter.data.schema import check_is_dataset
from graphrouter.exceptions import ConfigError, DataError, NotApplicableError
from graphrouter.wording import count_of

if TYPE_CHECKING:
    from graphrouter.data import Split
    from graphrouter.router.graph_router import GraphRouter
    from graphrouter.router.protocol import Router

Side = Literal["validation", "test"]
"""Queries that training has not learned from; early stopping has seen those of validation."""
FEWEST_DRAWS = 10
"""With fewer bootstrap draws an interval says nothing."""
Tell = Callable[[str], object]
"""Is told in a few words what is worked at, for a progress display."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class HeldOutRun:
    """The router and its baselines on the queries of one side, ready to be scored."""

    run: SeedRun
    failed: Mapping[str, str]
    """Baselines that do not apply to the data, and why."""
    dataset: str
    """Name of the data."""

    def score(self, *, num_draws: int = 1000, seed: int = 0) -> Evaluation:
        """All metrics with intervals; see `evaluate_held_out`."""
        return score_runs(
            [self.run], dataset=self.dataset, num_draws=num_draws, seed=seed, failed=self.failed
        )


def evaluate_held_out(
    router: GraphRouter,
    data: RoutingDataset,
    *,
    side: Side = "test",
    baselines: Iterable[str] | None = None,
    num_draws: int = 1000,
    seed: int = 0,
    judge: str | None = None,
) -> Evaluation:
    """All metrics of the router, baselines and the oracle on queries it has not learned from.

    `GraphRouter.evaluate` is this function.

    Args:
        router: The router to evaluate.
        data: Where the outcomes are; the data that it was trained on, or other data.
        side: Which queries of its split; see `choose_held_out`.
        baselines: Names of whom to compare with; best_single and task_mean always stand there.
            rasch and knn join them without a choice.
        num_draws: Bootstrap draws.
        seed: Seed of the bootstrap and of what baselines draw.
        judge: Also replay sequential routing beside all cascades with one judge, as
            `graphrouter_sequential`: a simulated one, `exact` or `auc:0.8`, or `column:NAME`, which
            holds what a real one said of each answer of `data`, or `agreement` among answers, with
            which cascades cannot be fitted.

    Raises:
        ConfigError: There is no such side, baseline or judge, or there are too few draws.
        DataError: No query is left, the router knows none of the models, or the column of a judge
            is not there, holds no numbers in [0, 1] or too few of training answers.
    """
    if num_draws < FEWEST_DRAWS:
        raise ConfigError(
            f"num_draws is {num_draws}; expected at least {FEWEST_DRAWS} for intervals to rest on."
        )
    collected = collect_held_out(
        router, data, side=side, baselines=baselines, seed=seed, judge=judge
    )
    return collected.score(num_draws=num_draws, seed=seed)


def collect_held_out(
    router: GraphRouter,
    data: RoutingDataset,
    *,
    side: Side = "test",
    baselines: Iterable[str] | None = None,
    seed: int = 0,
    judge: str | None = None,
    tell: Tell | None = None,
) -> HeldOutRun:
    """The router and its baselines on the queries of one side.

    Arguments and errors are those of `evaluate_held_out`.
    """
    tell = tell or _keep_silent
    if side not in get_args(Side):
        raise ConfigError(f"side is {side!r}; expected one of {', '.join(get_args(Side))}.")
    check_is_dataset(data, "evaluate")
    warn_of_unknown_models(router, data)
    query_ids = choose_held_out(router, data, side)
    fitted, left_out = _fit(router, data, baselines, seed, tell, judge=judge)
    tasks = data.queries.set_index("query_id").loc[list(query_ids), "task"]
    router.warn_of_unknown_tasks(task for task in tasks if isinstance(task, str))
    tell(f"Asking for {count_of(len(query_ids), 'query')}")
    run = collect_outputs(
        router,
        data,
        query_ids,
        baselines=fitted,
        cost_scale=router.cost_scale,
        task_known=bool(tasks.notna().any()),
        seed=router.config.split.seed,
        level_ids=_choose_level_rows(router, data),
    )
    return HeldOutRun(run, left_out, data.name)


def _keep_silent(_: str) -> None:
    pass


def _fit(
    router: GraphRouter,
    data: RoutingDataset,
    names: Iterable[str] | None,
    seed: int,
    tell: Tell,
    *,
    judge: str | None,
) -> tuple[dict[str, Router], dict[str, str]]:
    """The fitted baselines by name, and why others do not apply to the data.

    With a judge all cascades are among them, fitted with it, and what plans of the router bring.
    """
    from graphrouter.bench.baselines.catalogue import ALWAYS, CASCADES, QUICK, find_baselines
    from graphrouter.bench.baselines.learning import LearningData
    from graphrouter.bench.baselines.methods.cascades import SEQUENTIAL, Cascade
    from graphrouter.bench.evaluation.replay_judge import choose_judge
    from graphrouter.bench.evaluation.sequential_replay import SequentialReplay
    from graphrouter.config import TrainConfig
    from graphrouter.router.training_view import TrainingView

    seen, division = choose_baseline_data(router, data)
    beside = ALWAYS if judge is None else (*ALWAYS, *CASCADES)
    kinds = find_baselines(QUICK if names is None else names, beside=beside)
    view = TrainingView.of(seen, TrainConfig(seed=seed), split=division, encoder=router.encoder)
    fitted: dict[str, Router] = {}
    left_out = {}
    looks = None
    if judge is not None:
        solved = view.derive(LearningData.of_view).train
        looks = choose_judge(judge, data, solved, seed=seed)
        fitted[SEQUENTIAL] = SequentialReplay(router, looks)
    for number, kind in enumerate(kinds, start=1):
        tell(f"Fitting the baselines: {kind.name}, {number} of {len(kinds)}")
        try:
            fitted[kind.name] = (
                kind.fit_with(view, looks)
                if looks is not None and issubclass(kind, Cascade)
                else kind.fit(view)
            )
        except NotApplicableError as error:
            left_out[kind.name] = f"not applicable: {error}"
    return fitted, left_out


def choose_held_out(
    router: GraphRouter, data: RoutingDataset, side: Side = "test"
) -> tuple[str, ...]:
    """Ids of the queries to evaluate on.

    In the data that the router was trained on these are the queries of one side of its split. In
    other data they are, for the test side, all queries that it has neither trained nor validated
    on.

    Raises:
        DataError: No query is left, or the router knows none of the models.
    """
    split, is_test = router.provenance.split, side == "test"
    if data.fingerprint == router.provenance.fingerprint:
        own = split.test if is_test else split.validation
        if not own:
            raise DataError(
                f"Nothing to evaluate on: the router has learned from all queries of {data.name!r} "
                f"but those of another side; its split keeps none for {side}. Give other queries, "
                "or train again and keep some."
            )
        return own
    ids = data.queries["query_id"].tolist()
    chosen = (
        _find_unseen(router, data) if is_test else tuple(sorted(set(ids) & set(split.validation)))
    )
    if not chosen:
        what = "new to it" if is_test else "a validation query of it"
        raise DataError(
            f"Nothing to evaluate on: {data.name!r} is not the data that the artifact was trained "
            "on "
            f"({router.provenance.dataset!r}), and none of its "
            f"{count_of(len(ids), 'query')} is {what}. "
            "Give data with other queries, or train again."
        )
    _logger.warning(
        "%r is not the data that the artifact was trained on; evaluating on its %d queries that "
        "%s.",
        data.name,
        len(chosen),
        "are new to the artifact" if is_test else "the artifact validated on",
    )
    return chosen


def warn_of_unknown_models(router: GraphRouter, data: RoutingDataset) -> None:
    """Warn of models that the router does not know and that are therefore left out.

    Raises:
        DataError: It knows none of them.
    """
    unknown = [model for model in data.pool.names if model not in router.pool.index]
    if len(unknown) == len(data.pool):
        raise DataError(
            f"The router knows none of the {count_of(len(unknown), 'model')} of {data.name!r} "
            f"({_name_few(unknown)}); its pool has "
            f"{_name_few(router.models)}. Evaluate it on outcomes of its own models."
        )
    if unknown:
        _logger.warning("Left out, since the router does not know them: %s.", _name_few(unknown))


def choose_baseline_data(router: GraphRouter, data: RoutingDataset) -> tuple[RoutingDataset, Split]:
    """What to fit baselines on, and how it is divided: what the router itself has learned from.

    That is the data when it is the router's own. Otherwise it is the support kept in the artifact,
    without validation queries.
    """
    if data.fingerprint == router.provenance.fingerprint:
        return data, router.provenance.split
    import pandas as pd

    from graphrouter.data import RoutingDataset, Split
    from graphrouter.features.channels import PRICE_COLUMNS

    support = router.support
    seen = RoutingDataset.from_frames(
        queries=support.queries,
        models=pd.DataFrame([card.model_dump(by_alias=True) for card in support.pool]),
        outcomes=support.outcomes.drop(columns=list(PRICE_COLUMNS)),
        tasks=support.tasks,
        name=router.provenance.dataset,
    )
    return seen, Split(train=tuple(support.queries["query_id"]), validation=(), test=())


def _choose_level_rows(router: GraphRouter, data: RoutingDataset) -> tuple[str, ...] | None:
    """Queries to fit the levels of models on: in the router's own data none of the test side.

    None, which stands for all that are not evaluated, in other data.
    """
    if data.fingerprint != router.provenance.fingerprint:
        return None
    split = router.provenance.split
    return (*split.train, *split.validation)


def _find_unseen(router: GraphRouter, data: RoutingDataset) -> tuple[str, ...]:
    """Queries whose prompt the router has neither trained nor validated on.

    Ids such as 1, 2, 3 occur everywhere.
    """
    from graphrouter.data.view_columns import question_keys

    seen, queries = router.provenance.seen_prompts, data.queries
    pairs = zip(queries["query_id"], question_keys(queries), strict=True)
    return tuple(sorted(query for query, key in pairs if key not in seen))


def _name_few(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
