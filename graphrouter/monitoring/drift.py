"""Which models answer otherwise than expected, as when one is changed behind the same name.

A model's observed effects are compared with the expected ones, over all tasks and on each task.
Three things also move the difference when nothing has changed, and the test allows for each.
Predictions are off on average, by model and by task: the outcomes that the router knows tell how
far (`drift_reference`). Prompts of a batch can be harder than they look, for all models alike: the
shift that the models have in common is taken off (`p_values`). And the more models and tasks are
looked at, the more look odd: p-values are adjusted, so that a report without a change names any
model at all with a chance of at most `level`.
"""

from __future__ import annotations

import pandas as pd

from graphrouter.exceptions import DataError
from graphrouter.monitoring.drift_cells import DriftCells
from graphrouter.monitoring.drift_reference import COLUMNS, Calibration, predict_held_back
from graphrouter.monitoring.drift_report import DriftReport
from graphrouter.monitoring.drift_rows import add_expected, read_outcomes
from graphrouter.router.graph_router import GraphRouter
from graphrouter.router.protocol import Router
from graphrouter.wording import count_of


def check_drift(
    router: Router,
    outcomes: pd.DataFrame,
    *,
    level: float = 0.05,
    reference: pd.DataFrame | None = None,
) -> DriftReport:
    """Which models of the router have changed, by new outcomes.

    An outcome of a model on a prompt that the router already has an outcome of it for is compared
    with that one; any other is compared with what the router expects.

    Args:
        router: A trained router.
        outcomes: Columns `model`, `effect` (0 to 1), and `prompt` (perhaps `task`) or the
            `query_id` of a query of the router. Who asked, and what goes with the prompt, count as
            they do for `add_outcomes`: `user`, `team`, `context`, `embedding`,
            `embedding_encoder`.
        level: Chance that any model is named when none has changed.
        reference: Older outcomes with the same columns that the router has not learned from and
            that are known to be of the unchanged models. Without it a graph router's own outcomes
            are predicted from one another.

    Raises:
        DataError: A table is empty, breaks the contract or names an unknown model or query, or the
            level is no share.

    Example:
        >>> import graphrouter as gr
        >>> data = gr.simulate(num_queries=200, seed=0).data
        >>> router = gr.GraphRouter.fit(data, instant=True)
        >>> table = gr.simulate(num_queries=8, seed=1).data
        >>> new = table.outcomes.merge(table.queries, on="query_id")
        >>> new = new[["model", "prompt", "task", "effect"]]
        >>> check_drift(router, new).models[0].verdict
        'too few to tell'
    """
    if not 0 < level < 1:
        raise DataError(f"level is {level}; expected a chance between 0 and 1, such as 0.05.")
    rows = read_outcomes(router, outcomes, "outcomes")
    if reference is not None:
        usual = add_expected(router, read_outcomes(router, reference, "reference"))
        known = usual.loc[~usual["repeated"], COLUMNS]
    else:
        known = (
            predict_held_back(router)
            if isinstance(router, GraphRouter)
            else pd.DataFrame(columns=COLUMNS)
        )
    left_out = rows["in_support"] & rows["old"].isna()
    compared = add_expected(router, rows[~left_out].reset_index(drop=True))
    if compared.empty:
        raise DataError(
            f"All {count_of(len(rows), 'outcome', 'is', 'are')} on prompts that the router knows "
            f"from other models, so "
            "that there is nothing to "
            "compare them with. Give outcomes on new prompts."
        )
    cells = DriftCells.of(compared, Calibration.fit(known), level)
    return cells.report(
        num_repeated=int(compared["repeated"].sum()), num_left_out=int(left_out.sum())
    )
