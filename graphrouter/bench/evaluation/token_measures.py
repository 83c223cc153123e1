"""Measures of what choices make of tokens."""

from __future__ import annotations

import numpy as np

from graphrouter.bench.evaluation.bootstrap import Statistic
from graphrouter.bench.evaluation.choices import Chooser
from graphrouter.bench.evaluation.evaluation_set import EvaluationSet
from graphrouter.bench.evaluation.measures import Measures, Unmeasured
from graphrouter.bench.evaluation.relative import token_elasticity
from graphrouter.bench.evaluation.router_output import RouterOutput
from graphrouter.bench.evaluation.routing_measures import NEEDS_BEST_SINGLE, compute_preset_utility

NO_TOKENS = "no query has both token counts of the base and of a model to choose"


def measure_elasticity(evaluation_set: EvaluationSet, output: RouterOutput) -> Measures:
    """EllieSQL's token elasticity of performance_first, against the model of the fewest tokens.

    That is the one of the fewest tokens a call in training; only queries count on which both its
    tokens and its effect were observed.
    """
    single, observed = evaluation_set.best_single, evaluation_set.observed
    reason = NEEDS_BEST_SINGLE if single is None else NO_TOKENS
    if output.replayed is not None:
        reason, single = "a cascade calls several models for a query", None
    tokens = observed.input_tokens + observed.output_tokens
    usual = np.full(len(observed.models), np.nan)
    if single is not None and len(single.effect):
        usual = single.input_tokens[0] + single.output_tokens[0]
    if not np.isfinite(usual).any():
        return {"token_elasticity": Unmeasured(reason)}
    base = int(np.nanargmin(usual))
    chooser = Chooser.among_observed(output.predictions, observed.effect, tokens)
    utility = compute_preset_utility(evaluation_set, output, "performance_first")
    chosen = chooser.collect(utility, observed.effect, tokens)
    compared = (observed.effect[:, base], tokens[:, base])
    counts = chooser.has_choice & np.isfinite(compared[0]) & np.isfinite(compared[1])
    if not counts.any():
        return {"token_elasticity": Unmeasured(NO_TOKENS)}
    parts = np.column_stack([np.where(counts, part, 0.0) for part in (*chosen, *compared)])
    return {
        "token_elasticity": Statistic(
            parts,
            lambda sums: token_elasticity(
                sums[:, 0], sums[:, 1], base_effect=sums[:, 2], base_tokens=sums[:, 3]
            ),
        )
    }
