"""`tune`: a whole study from Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from graphrouter.bench.tuning.plan import TuningPlan, plan_tuning
from graphrouter.bench.tuning.search_space import SearchSpace
from graphrouter.bench.tuning.trial_records import TrialRecord
from graphrouter.bench.tuning.tuning_result import TuningResult
from graphrouter.config import TrainConfig
from graphrouter.data import RoutingDataset, Split
from graphrouter.exceptions import ConfigError, TrainingError
from graphrouter.extras import require_extra

if TYPE_CHECKING:
    from optuna.study import Study


def tune(
    data: RoutingDataset,
    config: TrainConfig | None = None,
    *,
    num_trials: int = 20,
    objectives: Sequence[str] = ("log_loss",),
    space: SearchSpace | None = None,
    split: Split | None = None,
    storage: str | None = None,
    study: str | None = None,
    seed: int = 0,
    on_trial: Callable[[TrialRecord], None] | None = None,
) -> TuningResult:
    """The settings that do best on the validation queries of `data`, found by Optuna.

    Test queries are not looked at.

    The first trial takes the settings as they are, so that the result says whether tuning was worth
    it. The others are proposed by TPE. With one objective that is known after each epoch, trials
    that fall behind are pruned.

    Args:
        data: Outcomes to learn from.
        config: The settings to start from; the defaults without it.
        num_trials: How many trials the study shall have, those of earlier runs and of other workers
            included.
        objectives: One or more of `log_loss`, `reward` and `area`, on validation queries.
        space: What may change; `build_default_space()` without it.
        split: Which queries train and validate; drawn by `config.split` without it.
        storage: Where the study is kept, so that it can go on and that many workers can share it:
            the URL of a database, or `journal:FILE`. In the memory of this process without it.
        study: Name of the study; that of the dataset without it.
        seed: Of the search. Seeds of weights and split are settings.
        on_trial: Called with each trial that this process has finished.

    Example:
        >>> import graphrouter as gr
        >>> from graphrouter.bench.tuning import tune
        >>> data = gr.simulate(num_queries=100, num_models=3).data
        >>> quick = ["training.max_epochs=1", "training.steps_per_epoch=1", "encoder.name=hashing"]
        >>> config = gr.load_config(overrides=quick)
        >>> result = tune(data, config, num_trials=2)
        >>> len(result.trials), result.config.training.max_epochs
        (2, 1)

    Raises:
        ConfigError: An argument is not accepted, the storage cannot be opened, or the study is
            about something else.
        DataError: There are too few queries to split.
        NotApplicableError: The area is to be tuned, and there are no costs.
        TrainingError: Every trial failed.
        MissingExtraError: Optuna is not installed.
    """
    require_extra("tune", purpose="Tuning")
    if num_trials < 1:
        raise ConfigError(f"tune received {num_trials} trials; expected at least 1.")
    from graphrouter.bench.tuning.study import open_study
    from graphrouter.bench.tuning.trial_worker import run_trials

    plan = plan_tuning(data, config, objectives=objectives, space=space, split=split)
    opened = open_study(plan, storage=storage, name=study or data.name, seed=seed)
    for record in run_trials(opened, plan, num_trials=num_trials):
        if on_trial is not None:
            on_trial(record)
    result = summarize(opened, plan, storage=storage)
    if result.chosen is None:
        raise TrainingError(explain_failure(result))
    return result


def summarize(study: Study, plan: TuningPlan, *, storage: str | None) -> TuningResult:
    """What the study has found so far."""
    from graphrouter.bench.tuning.study import count_running, measure_importances, read_records
    from graphrouter.bench.tuning.study_storage import hide_password

    return TuningResult(
        dataset=plan.data.dataset.name,
        study=study.study_name,
        storage=hide_password(storage),
        objectives=plan.objectives,
        space=plan.space,
        start_config=plan.config,
        trials=read_records(study, plan),
        num_running=count_running(study),
        importances=measure_importances(study, plan),
    )


def explain_failure(result: TuningResult) -> str:
    """Why no trial has values, for a result without any."""
    if not result.trials:
        return (
            "No trial has come to an end yet; the others are running elsewhere. Look again later."
        )
    last = result.trials[-1]
    reason = last.message.rstrip(".") or f"trial {last.number} was {last.state}"
    return f"None of the {len(result.trials)} trials has a result; the last one: {reason}."
