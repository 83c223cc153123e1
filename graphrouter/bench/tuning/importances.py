"""Which settings the trials differ by."""

from __future__ import annotations

import warnings
from functools import partial

from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from graphrouter.bench.tuning.plan import TuningPlan

FEWEST_TRIALS = 10
"""With fewer trials there is nothing to tell settings apart by."""


def importances_of(study: Study, plan: TuningPlan) -> dict[str, dict[str, float]]:
    """Share of each setting in the variance of each objective over the space, largest first.

    None with too few trials.

    Functional ANOVA of a random forest (Hutter, Hoos and Leyton-Brown, ICML 2014) fitted to the
    trials that are done.
    """
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    shares: dict[str, dict[str, float]] = {}
    for position, objective in enumerate(plan.objectives):
        if len(done) < FEWEST_TRIALS or len({trial.values[position] for trial in done}) == 1:
            continue
        evaluator = FanovaImportanceEvaluator(seed=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice to developers of Optuna
            found = get_param_importances(
                study, evaluator=evaluator, target=partial(_value, position)
            )
        shares[objective.name] = {
            name: float(share) for name, share in sorted(found.items(), key=lambda item: -item[1])
        }
    return shares


def _value(position: int, trial: FrozenTrial) -> float:
    value: float = trial.values[position]
    return value
