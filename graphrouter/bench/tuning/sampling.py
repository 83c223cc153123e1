"""How a trial gets its settings: TPE over the search space, seeded by the number of the trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from graphrouter.bench.tuning.search_space import Choice, IntRange, Range, SearchSpace


class TrialSeededSampler(BaseSampler):
    """The tree-structured Parzen estimator, with random numbers that depend on the trial alone.

    Bergstra et al., NeurIPS 2011.

    With one stream of numbers for a whole process, a study that goes on would propose the first
    settings again, and two workers with the same seed would propose the same ones.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._tpe = TPESampler(seed=seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Seeds the sampler by the number of the trial."""
        state = np.random.SeedSequence([self._seed, trial.number]).generate_state(1)
        self._tpe = TPESampler(seed=int(state[0]))
        self._tpe.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The settings that are drawn together."""
        return self._tpe.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values of the settings that are drawn together."""
        return self._tpe.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """The value of a setting that is drawn by itself."""
        return self._tpe.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Tell the sampler how the trial ended."""
        self._tpe.after_trial(study, trial, state, values)


def build_distributions(space: SearchSpace) -> dict[str, BaseDistribution]:
    """The space in Optuna's terms.

    Example:
        >>> from graphrouter.bench.tuning.search_space import FloatRange
        >>> build_distributions(SearchSpace.of({"network.dropout": FloatRange(low=0.1, high=0.5)}))
        {'network.dropout': FloatDistribution(high=0.5, log=False, low=0.1, step=None)}
    """
    return {key: _distribution(each) for key, each in space.ranges.items()}


def _distribution(values: Range) -> BaseDistribution:
    if isinstance(values, Choice):
        return CategoricalDistribution(values.choices)
    if isinstance(values, IntRange):
        return IntDistribution(values.low, values.high, log=values.log, step=values.step)
    return FloatDistribution(values.low, values.high, log=values.log)
