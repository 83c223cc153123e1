"""Which queries of a dataset an artifact may be judged on, and what its baselines may learn
from.
"""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import TYPE_CHECKING

from graphrouter.exceptions import DataError

if TYPE_CHECKING:
    from graphrouter.data import RoutingDataset, Split
    from graphrouter.router.graph_router import GraphRouter

_logger = logging.getLogger(__name__)


class EvaluatedSide(StrEnum):
    """Queries that training has not learned from."""

    validation = "validation"
    test = "test"


def held_out_queries(
    router: GraphRouter, data: RoutingDataset, side: EvaluatedSide
) -> tuple[str, ...]:
    """Ids of the queries to evaluate on.

    In the data that the router was trained on these are the queries of one side of its split. In
    other data they are, for the test side, all queries that it has neither trained nor validated
    on.

    Raises:
        DataError: No query is left, or the router knows none of the models.
    """
    split, is_test = router.provenance.split, side is EvaluatedSide.test
    if data.fingerprint == router.provenance.fingerprint:
        return split.test if is_test else split.validation
    ids = data.queries["query_id"].tolist()
    chosen = _unseen(router, data) if is_test else tuple(sorted(set(ids) & set(split.validation)))
    if not chosen:
        what = "new to it" if is_test else "a validation query of it"
        raise DataError(
            f"Nothing to evaluate on: {data.name!r} is not the data that the artifact was trained "
            "on "
            f"({router.provenance.dataset!r}), and none of its {len(ids):,} queries is {what}. "
            "Give data with other queries, or train again."
        )
    _logger.warning(
        "%r is not the data that the artifact was trained on; evaluating on its %d queries that %s.",
        data.name,
        len(chosen),
        "are new to the artifact" if is_test else "the artifact validated on",
    )
    return chosen


def check_models(router: GraphRouter, data: RoutingDataset) -> None:
    """Nothing; warns of models that the router does not know and that are therefore left out.

    Raises:
        DataError: It knows none of them.
    """
    unknown = [model for model in data.pool.names if model not in router.pool.index]
    if len(unknown) == len(data.pool):
        raise DataError(
            f"The router knows none of the {len(unknown)} models of {data.name!r} "
            f"({_few(unknown)}); its pool has "
            f"{_few(router.models)}. Evaluate it on outcomes of its own models."
        )
    if unknown:
        _logger.warning("Left out, since the router does not know them: %s.", _few(unknown))


def baseline_data(router: GraphRouter, data: RoutingDataset) -> tuple[RoutingDataset, Split]:
    """What to fit baselines on, and how it is divided: what the router itself has learned from.

    That is the data when it is the router's own. Otherwise it is the support kept in the artifact,
    without validation queries.
    """
    if data.fingerprint == router.provenance.fingerprint:
        return data, router.provenance.split
    import pandas as pd

    from graphrouter.data import RoutingDataset, Split
    from graphrouter.features.tables import PRICE_COLUMNS

    support = router.support
    seen = RoutingDataset.from_frames(
        queries=support.queries,
        models=pd.DataFrame([card.model_dump(by_alias=True) for card in support.pool]),
        outcomes=support.outcomes.drop(columns=list(PRICE_COLUMNS)),
        tasks=support.tasks,
        name=router.provenance.dataset,
    )
    return seen, Split(train=tuple(support.queries["query_id"]), validation=(), test=())


def _unseen(router: GraphRouter, data: RoutingDataset) -> tuple[str, ...]:
    """Queries whose prompt the router has neither trained nor validated on.

    Ids such as 1, 2, 3 occur everywhere.
    """
    from graphrouter.data.splits import prompt_key

    seen, queries = router.provenance.seen_prompts, data.queries
    pairs = zip(queries["query_id"], queries["prompt"], strict=True)
    return tuple(sorted(query for query, prompt in pairs if prompt_key(prompt) not in seen))


def _few(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
