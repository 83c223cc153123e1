"""A study that many workers share: what it is about, what has begun, what was given up."""

from __future__ import annotations

import hashlib
import json
import logging
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.pruners import MedianPruner
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from graphrouter import __version__
from graphrouter.bench.tuning.plan import TuningPlan
from graphrouter.bench.tuning.sampling import TrialSeededSampler
from graphrouter.bench.tuning.study_storage import hide_password, open_storage
from graphrouter.bench.tuning.trial_records import EpochFigures, TrialRecord
from graphrouter.bench.tuning.trial_records import TrialState as State
from graphrouter.exceptions import ConfigError

_logger = logging.getLogger(__name__)

IDENTITY, IS_START, METRICS, EPOCHS, MESSAGE, SEEN_AT = (
    f"graphrouter:{name}"
    for name in ("identity", "is_start", "metrics", "epochs", "message", "seen_at")
)
"""Attributes of a study (the first) and of its trials. A trial that failed has a message; one given
up has none."""
STARTUP_TRIALS, WARM_UP_EPOCHS = 5, 2
"""Nothing is pruned before so many trials are done, nor in so many first epochs."""
FEWEST_TRIALS = 10
"""With fewer trials there is nothing to tell settings apart by."""
LOST_AFTER_S = 180.0
"""A running trial that its worker has not spoken of for so long is lost."""
_IDENTITY_WITHIN_S = 10.0
_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
_SAME_FOR_ALL = {"encoder": {"cache_dir"}, "training": {"num_threads", "accelerator"}}
"""Settings in which workers of one study may differ: they change no figure."""


def open_study(plan: TuningPlan, *, storage: str | None, name: str, seed: int) -> Study:
    """The study of this name, made where there is none.

    Args:
        plan: What it is about.
        storage: Where it is kept; see `open_storage`.
        name: Of the study.
        seed: Of the search.

    Raises:
        ConfigError: The storage cannot be opened, or the study of that name is about something
            else.
    """
    with silence_optuna():
        place = open_storage(storage)
        sampler = TrialSeededSampler(seed)
        pruner = MedianPruner(n_startup_trials=STARTUP_TRIALS, n_warmup_steps=WARM_UP_EPOCHS)
        directions = [each.direction for each in plan.objectives]
        try:
            study = optuna.create_study(
                storage=place,
                study_name=name,
                sampler=sampler,
                pruner=pruner,
                directions=directions,
            )
        except optuna.exceptions.DuplicatedStudyError:
            study = optuna.load_study(
                study_name=name, storage=place, sampler=sampler, pruner=pruner
            )
            _check_identity(study, plan, hide_password(storage))
        else:
            study.enqueue_trial(dict(plan.start), user_attrs={IS_START: True})
            study.set_user_attr(
                IDENTITY, describe_identity(plan)
            )  # last: with it the study is whole
    return study


def describe_identity(plan: TuningPlan) -> dict[str, Any]:
    """All that the values of a study depend on, as plain values."""
    split = [plan.data.split.train, plan.data.split.validation, plan.data.split.held_out_models]
    return {
        "release": __version__,
        "data": plan.data.dataset.fingerprint,
        "split": hashlib.sha256(json.dumps(split).encode()).hexdigest(),
        "objectives": [each.name for each in plan.objectives],
        "config": plan.config.model_dump(mode="json", exclude=_SAME_FOR_ALL),
        "space": plan.space.to_json(),
    }


def _check_identity(study: Study, plan: TuningPlan, place: str) -> None:
    deadline = time.monotonic() + _IDENTITY_WITHIN_S
    while (theirs := study.user_attrs.get(IDENTITY)) is None and time.monotonic() < deadline:
        time.sleep(0.1)  # another worker is making the study
    where = f"The study {study.study_name!r} in {place}"
    if theirs is None:
        raise ConfigError(
            f"{where} was not made by graphrouter tune, or not to its end. Choose another name "
            "for the study."
        )
    difference = _first_difference(_flat(describe_identity(plan)), _flat(theirs))
    if difference is not None:
        raise ConfigError(
            f"{where} is about something else: {difference}. Its trials cannot be compared with "
            "these. "
            "Choose another name for the study, or go on with what it is about."
        )


def _first_difference(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> str | None:
    for name in {**theirs, **mine}:
        if mine.get(name) != theirs.get(name):
            if name in ("data", "split"):
                return (
                    f"its {'data is' if name == 'data' else 'training and validation queries are'} "
                    "not the same"
                )
            return f"{name} is {theirs.get(name)!r} there and {mine.get(name)!r} here"
    return None


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= (
            _flat(value, f"{prefix}{name}.")
            if isinstance(value, Mapping)
            else {f"{prefix}{name}": value}
        )
    return flat


def read_records(study: Study, plan: TuningPlan) -> tuple[TrialRecord, ...]:
    """The finished trials, those of other workers too, without those that were given up."""
    trials = (
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.state in _STATES and not is_given_up(trial)
    )
    return tuple(read_record(trial, plan) for trial in trials)


def read_record(trial: FrozenTrial, plan: TuningPlan) -> TrialRecord:
    """A finished trial as plain values."""
    values = trial.values if trial.state == TrialState.COMPLETE else ()
    attributes = trial.user_attrs
    return TrialRecord(
        number=trial.number,
        state=_STATES[trial.state],
        params=dict(trial.params),
        values=dict(zip((each.name for each in plan.objectives), values, strict=bool(values))),
        metrics=attributes.get(METRICS, {}),
        epochs=tuple(EpochFigures(*each) for each in attributes.get(EPOCHS, ())),
        seconds=0.0 if trial.duration is None else trial.duration.total_seconds(),
        is_start=bool(attributes.get(IS_START, False)),
        message=attributes.get(MESSAGE, ""),
    )


def is_given_up(trial: FrozenTrial) -> bool:
    """Whether a trial does not count: it was interrupted, lost with its worker, or one too many."""
    return trial.state == TrialState.FAIL and MESSAGE not in trial.user_attrs


def count_begun(study: Study, *, before: int | None = None) -> int:
    """How many trials have begun or ended and count.

    `before`: those with a smaller number, those that wait too.
    """
    trials = [trial for trial in study.get_trials(deepcopy=False) if not is_given_up(trial)]
    if before is None:
        return sum(trial.state != TrialState.WAITING for trial in trials)
    return sum(trial.number < before for trial in trials)


def count_running(study: Study) -> int:
    """How many trials are running, here or elsewhere."""
    return len(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))


def give_up(study: Study, trial: FrozenTrial) -> None:
    """Give the running trial up: it no longer counts, and its settings are the next to be tried."""
    attributes = {IS_START: True} if trial.user_attrs.get(IS_START) else {}
    study.enqueue_trial(
        dict(trial.params), user_attrs=attributes
    )  # first: nobody may see a gap and begin another trial
    drop(study, trial.number)


def drop(study: Study, number: int) -> None:
    """Drop the running trial of this number: it no longer counts."""
    study.tell(number, state=TrialState.FAIL, skip_if_finished=True)


def give_up_lost(study: Study) -> None:
    """Give up the trials whose worker has fallen silent, as when it was killed.

    They are tried again.
    """
    now = time.time()
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        began = now if trial.datetime_start is None else trial.datetime_start.timestamp()
        if now - trial.user_attrs.get(SEEN_AT, began) > LOST_AFTER_S:
            _logger.warning(
                "Trial %d is lost: its worker has not been heard of. It is tried again.",
                trial.number,
            )
            give_up(study, trial)


@contextmanager
def silence_optuna() -> Iterator[None]:
    """Keeps Optuna's line for every trial away: whoever runs trials says what there is to say."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)


def measure_importances(study: Study, plan: TuningPlan) -> dict[str, dict[str, float]]:
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
