"""A shared study: whose it is, who counts, what is pruned, and what becomes of trials that nobody
finishes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

import graphrouter as gr
from graphrouter.bench.tuning import study as study_module
from graphrouter.bench.tuning import trial_worker
from graphrouter.bench.tuning.plan import TuningPlan, plan_tuning
from graphrouter.bench.tuning.sampling import build_distributions
from graphrouter.bench.tuning.search_space import FloatRange, SearchSpace
from graphrouter.bench.tuning.study import (
    LOST_AFTER_S,
    SEEN_AT,
    count_begun,
    open_study,
    read_records,
)
from graphrouter.bench.tuning.study_storage import build_sqlite_address
from graphrouter.bench.tuning.trial_worker import run_trials
from graphrouter.exceptions import ConfigError

TrainAs = Callable[[Callable[[gr.TrainConfig], dict[str, float]]], list[gr.TrainConfig]]


def loss_of(config: gr.TrainConfig) -> dict[str, float]:
    return {"log_loss": config.network.dropout, "reward": 0.0}


def open_in_memory(plan: TuningPlan) -> optuna.Study:
    return open_study(plan, storage=None, name="mine", seed=0)


class TestIdentity:
    @pytest.fixture
    def kept(self, plan: TuningPlan, tmp_path: Path) -> str:
        address = build_sqlite_address(tmp_path / "study.sqlite3")
        open_study(plan, storage=address, name="mine", seed=0)
        return address

    def test_the_same_study_is_opened_again_and_begins_once(
        self, plan: TuningPlan, kept: str
    ) -> None:
        again = open_study(plan, storage=kept, name="mine", seed=1)
        assert [trial.state for trial in again.trials] == [TrialState.WAITING]
        other = open_study(plan, storage=kept, name="yours", seed=1)
        assert other.study_name == "yours"

    def test_workers_may_differ_in_what_changes_no_figure(
        self,
        data: gr.RoutingDataset,
        config: gr.TrainConfig,
        space: SearchSpace,
        kept: str,
        tmp_path: Path,
    ) -> None:
        encoder = config.encoder.model_copy(update={"cache_dir": str(tmp_path / "vectors")})
        training = config.training.model_copy(update={"num_threads": 2, "accelerator": "cpu"})
        same = config.model_copy(update={"encoder": encoder, "training": training})
        assert open_study(
            plan_tuning(data, same, space=space), storage=kept, name="mine", seed=0
        ).trials

    def test_a_study_about_something_else_is_refused(
        self, data: gr.RoutingDataset, config: gr.TrainConfig, space: SearchSpace, kept: str
    ) -> None:
        other_data = gr.simulate(num_queries=120, num_models=4, seed=4).data
        longer = gr.load_config(
            overrides=["encoder.name=hashing", "encoder.dimension=32", "network.width=8"]
        )
        wider = SearchSpace.of({**space.ranges, "network.dropout": FloatRange(low=0.0, high=0.6)})
        split = gr.split_dataset(data, config.split.model_copy(update={"seed": 1}))
        for plan, difference in (
            (plan_tuning(other_data, config, space=space), "its data is not the same"),
            (
                plan_tuning(data, config, space=space, split=split),
                "its training and validation queries are not the same",
            ),
            (
                plan_tuning(data, longer, space=space),
                "config.training.max_epochs is 1 there and 12 here",
            ),
            (
                plan_tuning(data, config, space=wider),
                "space.network.dropout.high is 0.5 there and 0.6 here",
            ),
            (
                plan_tuning(data, config, space=space, objectives=["log_loss", "reward"]),
                r"objectives is \['log_loss'\] there and \['log_loss', 'reward'\] here",
            ),
        ):
            with pytest.raises(
                ConfigError, match=f"'mine' in sqlite:///.* is about something else: {difference}"
            ):
                open_study(plan, storage=kept, name="mine", seed=0)

    def test_a_study_of_someone_else_is_refused(
        self, plan: TuningPlan, kept: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(study_module, "_IDENTITY_WITHIN_S", 0.0)
        optuna.create_study(storage=kept, study_name="theirs")
        with pytest.raises(ConfigError, match="'theirs' in .* was not made by graphrouter tune"):
            open_study(plan, storage=kept, name="theirs", seed=0)


class TestCounting:
    def test_the_trial_of_a_lost_worker_is_tried_again(
        self, plan: TuningPlan, train_as: TrainAs, caplog: pytest.LogCaptureFixture
    ) -> None:
        calls = train_as(loss_of)
        study = open_in_memory(plan)
        lost = study.ask(build_distributions(plan.space))
        lost.set_user_attr(SEEN_AT, time.time() - LOST_AFTER_S - 1)
        records = list(run_trials(study, plan, num_trials=2))
        assert "Trial 0 is lost" in caplog.text
        assert calls[0] == plan.config, "the lost trial was the one to start from"
        assert [record.is_start for record in records] == [True, False]
        assert len(read_records(study, plan)) == 2

    def test_the_trial_of_a_living_worker_counts(self, plan: TuningPlan, train_as: TrainAs) -> None:
        train_as(loss_of)
        study = open_in_memory(plan)
        elsewhere = study.ask(build_distributions(plan.space))
        elsewhere.set_user_attr(SEEN_AT, time.time() - LOST_AFTER_S / 2)
        assert len(list(run_trials(study, plan, num_trials=3))) == 2
        assert count_begun(study) == 3

    def test_two_workers_that_begin_the_last_trial_at_once_leave_one(
        self, plan: TuningPlan, train_as: TrainAs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls = train_as(loss_of)
        study = open_in_memory(plan)
        ask = study.ask

        def ask_after_another(*args: object) -> optuna.Trial:
            ask(build_distributions(plan.space))  # another worker, which counted before we began
            return ask(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(study, "ask", ask_after_another)
        assert list(run_trials(study, plan, num_trials=1)) == []
        assert calls == []
        assert count_begun(study) == 1

    def test_a_trial_says_that_it_is_alive(
        self, plan: TuningPlan, train_as: TrainAs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(trial_worker, "HEARTBEAT_S", 0.01)
        study = open_in_memory(plan)
        seen: list[float] = []

        def watch(config: gr.TrainConfig) -> dict[str, float]:
            for _ in range(100):
                seen.append(study.trials[0].user_attrs[SEEN_AT])
                if seen[-1] > seen[0]:
                    break
                time.sleep(0.02)
            return loss_of(config)

        train_as(watch)
        list(run_trials(study, plan, num_trials=1))
        assert seen[-1] > seen[0]


class TestPruning:
    def test_trials_are_stopped_in_training_but_for_the_first(self, plan: TuningPlan) -> None:
        study = open_in_memory(plan)
        study.pruner = optuna.pruners.ThresholdPruner(upper=0.0)  # no log loss is below
        records = list(run_trials(study, plan, num_trials=3))
        assert [record.state for record in records] == ["complete", "pruned", "pruned"]
        assert not records[1].values
        assert [each.epoch for each in records[1].epochs] == [1]
        assert records[1].epochs[0].log_loss > 0

    def test_the_reward_is_watched_where_it_is_the_objective(
        self, data: gr.RoutingDataset, config: gr.TrainConfig, space: SearchSpace
    ) -> None:
        plan = plan_tuning(data, config, space=space, objectives=["reward"])
        study = open_in_memory(plan)
        study.pruner = optuna.pruners.ThresholdPruner(lower=2.0)  # no reward is above
        (first, second) = run_trials(study, plan, num_trials=2)
        assert (first.state, second.state) == ("complete", "pruned")
        assert first.values["reward"] == first.metrics["reward"]

    @pytest.mark.parametrize("objectives", [["area"], ["log_loss", "reward"]])
    def test_without_one_figure_an_epoch_nothing_is_pruned(
        self,
        data: gr.RoutingDataset,
        config: gr.TrainConfig,
        space: SearchSpace,
        objectives: list[str],
    ) -> None:
        plan = plan_tuning(data, config, space=space, objectives=objectives)
        study = open_in_memory(plan)
        study.pruner = optuna.pruners.ThresholdPruner(upper=0.0)
        assert [record.state for record in run_trials(study, plan, num_trials=2)] == [
            "complete",
            "complete",
        ]
        assert [set(record.values) for record in read_records(study, plan)] == [set(objectives)] * 2


def test_the_level_of_optunas_messages_is_given_back(plan: TuningPlan, train_as: TrainAs) -> None:
    train_as(loss_of)
    level = optuna.logging.get_verbosity()
    list(run_trials(open_in_memory(plan), plan, num_trials=1))
    assert optuna.logging.get_verbosity() == level
