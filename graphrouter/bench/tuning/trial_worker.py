"""The trials of one worker: train, measure on validation queries, tell the study."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import lightning as L
import optuna
import torch
from lightning.pytorch.callbacks import Callback
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from optuna_integration import PyTorchLightningPruningCallback  # type: ignore[import-untyped]

from graphrouter.bench.tuning.plan import TuningPlan
from graphrouter.bench.tuning.sampling import build_distributions
from graphrouter.bench.tuning.study import (
    EPOCHS,
    IS_START,
    MESSAGE,
    METRICS,
    SEEN_AT,
    count_begun,
    drop,
    give_up,
    give_up_lost,
    read_record,
    silence_optuna,
)
from graphrouter.bench.tuning.trial_records import EpochFigures, TrialRecord
from graphrouter.exceptions import ConfigError, EncoderError, TrainingError
from graphrouter.training.trainer import fit_network

HEARTBEAT_S = 30.0
"""How often a worker says that its trial is alive."""
_FAILURES = (TrainingError, torch.OutOfMemoryError, MemoryError)
_REFUSALS = (ConfigError, EncoderError)
"""What a trial may meet whose settings do not go together; the settings to start from are checked
before."""


class EpochLog(Callback):
    """Keeps what each validation says."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[EpochFigures] = []

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Adds the figures of the epoch."""
        names = ("val/log_loss", "val/reward", "train/effect")
        figures = (float(trainer.callback_metrics.get(name, float("nan"))) for name in names)
        self.epochs.append(EpochFigures(pl_module.current_epoch + 1, *figures))


def run_trials(study: Study, plan: TuningPlan, *, num_trials: int) -> Iterator[TrialRecord]:
    """Each trial that this worker has finished, until the study has as many as wanted.

    Other workers may run trials of the same study meanwhile: `num_trials` is the number of all of
    them together. A trial that is interrupted does not count; its settings are tried again when the
    study goes on.

    Args:
        study: From `open_study`.
        plan: What it is about.
        num_trials: How many trials the study shall have, those of earlier runs included.
    """
    while True:
        with silence_optuna():
            record = _run_next(study, plan, num_trials)
        if record is None:
            return
        yield record


def _run_next(study: Study, plan: TuningPlan, num_trials: int) -> TrialRecord | None:
    """The next trial, finished; None when all have begun."""
    give_up_lost(study)
    if count_begun(study) >= num_trials:
        return None
    trial = study.ask(build_distributions(plan.space))
    if (
        count_begun(study, before=trial.number) >= num_trials
    ):  # another worker has begun the last one at the same moment
        drop(study, trial.number)
        return None
    with _alive(trial):
        _run(study, trial, plan)
    return read_record(_frozen(study, trial), plan)


def _frozen(study: Study, trial: Trial) -> FrozenTrial:
    """The trial as the study has it."""
    return next(each for each in study.get_trials(deepcopy=False) if each.number == trial.number)


def _run(study: Study, trial: Trial, plan: TuningPlan) -> None:
    """Trains, and tells the study how it ended."""
    log = EpochLog()
    try:
        values = _train(trial, plan, log)
    except optuna.TrialPruned:
        trial.set_user_attr(EPOCHS, log.epochs)
        study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
    except _FAILURES as error:
        _fail(study, trial, error, log)
    except _REFUSALS as error:
        if trial.user_attrs.get(IS_START):
            give_up(study, _frozen(study, trial))
            raise
        _fail(study, trial, error, log)
    except (KeyboardInterrupt, SystemExit):  # Lightning makes an exit of an interrupt
        give_up(study, _frozen(study, trial))
        raise
    except Exception as error:  # a fault that ends the run; the trial must not be left running
        _fail(study, trial, error, log)
        raise
    else:
        trial.set_user_attr(EPOCHS, log.epochs)
        study.tell(trial, values, skip_if_finished=True)


def _train(trial: Trial, plan: TuningPlan, log: EpochLog) -> list[float]:
    """The objectives of the settings of the trial, in order."""
    config = plan.space.apply(plan.config, trial.params)
    tables = plan.data.prepare(config.encoder).tables
    callbacks: list[Callback] = [log]
    # The settings to start from are what all else is compared with: they are trained to their end.
    if plan.can_prune and not trial.user_attrs.get(IS_START):
        callbacks.append(
            PyTorchLightningPruningCallback(trial, monitor=str(plan.objectives[0].watched))
        )
    fitted = fit_network(tables, config, callbacks=callbacks)
    trial.set_user_attr(METRICS, fitted.metrics)
    figures = dict(fitted.metrics)
    if any(each.name == "area" for each in plan.objectives):
        figures["area"] = plan.data.measure_area(fitted.net, tables, config)
    return [figures[each.name] for each in plan.objectives]


def _fail(study: Study, trial: Trial, error: BaseException, log: EpochLog) -> None:
    trial.set_user_attr(EPOCHS, log.epochs)
    trial.set_user_attr(MESSAGE, " ".join(f"{error}".split()) or type(error).__name__)
    study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)


@contextmanager
def _alive(trial: Trial) -> Iterator[None]:
    """Says every now and then, from a thread of its own, that the trial is alive."""
    trial.set_user_attr(SEEN_AT, time.time())
    over = threading.Event()
    thread = threading.Thread(target=_beat, args=(trial, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _beat(trial: Trial, over: threading.Event) -> None:
    while not over.wait(HEARTBEAT_S):
        try:
            trial.set_user_attr(SEEN_AT, time.time())
        except optuna.exceptions.UpdateFinishedTrialError:
            return
        except (optuna.exceptions.StorageInternalError, OSError):
            continue  # the storage is busy, or away for a moment: the next beat may come through
