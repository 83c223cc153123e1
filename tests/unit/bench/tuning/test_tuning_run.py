"""`tune`: what is tried, what is found, what goes on; and test rows change nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import graphrouter as gr
from graphrouter.bench.tuning import TrialRecord, tune
from graphrouter.bench.tuning.search_space import Choice, FloatRange, SearchSpace
from graphrouter.bench.tuning.study_storage import build_sqlite_address
from graphrouter.exceptions import (
    ConfigError,
    DataError,
    EncoderError,
    MissingExtraError,
    NotApplicableError,
    TrainingError,
)
from graphrouter.training import trainer

TrainAs = Callable[[Callable[[gr.TrainConfig], dict[str, float]]], list[gr.TrainConfig]]


def loss_of(config: gr.TrainConfig) -> dict[str, float]:
    """Best at no dropout."""
    return {"log_loss": 0.5 + config.network.dropout, "reward": -config.network.dropout}


def test_the_first_trial_is_the_settings_as_they_are(
    data: gr.RoutingDataset,
    config: gr.TrainConfig,
    space: SearchSpace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trainer, "beats_start", lambda trained, start: True)
    seen: list[TrialRecord] = []
    result = tune(data, config, num_trials=3, space=space, on_trial=seen.append)
    assert result.trials == tuple(seen)
    first, *others = seen
    assert first.is_start
    assert not any(trial.is_start for trial in others)
    assert space.apply(config, first.params) == config
    assert (
        first.values["log_loss"]
        == first.metrics["log_loss"]
        == pytest.approx(first.epochs[0].log_loss)
    )
    assert first.metrics["reward"] == pytest.approx(first.epochs[0].reward)
    assert [each.epoch for each in first.epochs] == [1]
    assert first.seconds > 0
    expected = gr.GraphRouter.fit(data, result.config).provenance.metrics["log_loss"]
    assert result.chosen is not None
    assert result.chosen.values["log_loss"] == expected, (
        "training with the chosen settings must give the figure of the trial"
    )


def altered_tests(data: gr.RoutingDataset, split: gr.data.Split) -> gr.RoutingDataset:  # type: ignore[name-defined]
    """The data with every prompt and outcome of its test queries changed."""
    queries, outcomes = data.queries.copy(), data.outcomes.copy()
    is_test = queries["query_id"].isin(split.test)
    queries.loc[is_test, "prompt"] = [
        f"something else, number {i}" for i in range(int(is_test.sum()))
    ]
    rows = outcomes["query_id"].isin(split.test)
    outcomes.loc[rows, "effect"] = 1 - outcomes.loc[rows, "effect"]
    outcomes.loc[rows, ["cost_usd", "latency_s"]] *= 7
    return gr.RoutingDataset.from_frames(
        queries=queries, models=data.models, outcomes=outcomes, tasks=data.tasks, name=data.name
    )


def test_test_rows_change_nothing(
    data: gr.RoutingDataset, config: gr.TrainConfig, space: SearchSpace
) -> None:
    split = gr.split_dataset(data, config.split)
    other = altered_tests(data, split)
    assert other.fingerprint != data.fingerprint
    names = ["log_loss", "reward", "area"]
    one, two = (
        tune(each, config, num_trials=3, objectives=names, space=space, split=split)
        for each in (data, other)
    )
    assert [trial.values for trial in one.trials] == [trial.values for trial in two.trials]
    assert [trial.params for trial in one.trials] == [trial.params for trial in two.trials]
    assert len({trial.values["log_loss"] for trial in one.trials}) == 3


def test_a_study_that_goes_on_ends_as_one_that_was_not_interrupted(
    data: gr.RoutingDataset,
    config: gr.TrainConfig,
    space: SearchSpace,
    train_as: TrainAs,
    tmp_path: Path,
) -> None:
    calls = train_as(loss_of)
    kept = build_sqlite_address(tmp_path / "with space" / "study.sqlite3")
    (tmp_path / "with space").mkdir()
    whole = tune(data, config, num_trials=14, space=space, seed=5)
    assert len(calls) == 14
    for num_trials in (4, 4, 14):  # the second one finds all done
        part = tune(data, config, num_trials=num_trials, space=space, seed=5, storage=kept)
        assert len(part.trials) == num_trials
    assert len(calls) == 28
    assert [trial.params for trial in part.trials] == [trial.params for trial in whole.trials]
    assert len({tuple(trial.params.values()) for trial in part.trials}) == 14
    other = tune(data, config, num_trials=3, space=space, seed=6)
    assert [trial.params for trial in other.trials[1:]] != [
        trial.params for trial in whole.trials[1:3]
    ]
    assert next(iter(part.importances["log_loss"])) == "network.dropout"
    assert sum(part.importances["log_loss"].values()) == pytest.approx(1)


def test_an_interrupted_trial_does_not_count_and_is_tried_again(
    data: gr.RoutingDataset,
    config: gr.TrainConfig,
    space: SearchSpace,
    train_as: TrainAs,
    tmp_path: Path,
) -> None:
    kept = f"journal:{tmp_path / 'study.log'}"

    def interrupted(settings: gr.TrainConfig) -> dict[str, float]:
        raise (
            KeyboardInterrupt if len(calls) == 1 else SystemExit(1)
        )  # what Ctrl-C is, and what Lightning makes of it

    calls = train_as(interrupted)
    for kind in (KeyboardInterrupt, SystemExit):
        with pytest.raises(kind):
            tune(data, config, num_trials=3, space=space, storage=kept)
    assert calls == [config, config]
    calls = train_as(loss_of)
    result = tune(data, config, num_trials=3, space=space, storage=kept)
    assert calls[0] == config
    assert len(calls) == len(result.trials) == 3
    assert result.start is not None


def test_a_trial_that_diverges_has_failed_and_the_study_goes_on(
    data: gr.RoutingDataset, config: gr.TrainConfig, space: SearchSpace, train_as: TrainAs
) -> None:
    def diverge(settings: gr.TrainConfig) -> dict[str, float]:
        if len(calls) == 2:
            raise TrainingError("Training diverged: so it goes.")
        if len(calls) == 3:
            raise MemoryError
        return loss_of(settings)

    calls = train_as(diverge)
    result = tune(data, config, num_trials=4, space=space)
    assert [trial.state for trial in result.trials] == ["complete", "failed", "failed", "complete"]
    assert [trial.message for trial in result.trials[1:3]] == [
        "Training diverged: so it goes.",
        "MemoryError",
    ]
    assert not result.trials[1].values
    assert len(result.trials[1].params) == 3


def test_when_all_trials_fail_the_last_reason_is_said(
    data: gr.RoutingDataset, config: gr.TrainConfig, space: SearchSpace, train_as: TrainAs
) -> None:
    def diverge(settings: gr.TrainConfig) -> dict[str, float]:
        raise TrainingError("Training diverged.")

    train_as(diverge)
    with pytest.raises(
        TrainingError, match="None of the 2 trials has a result; the last one: Training diverged."
    ):
        tune(data, config, num_trials=2, space=space)


def test_settings_that_do_not_go_together_fail_alone(
    data: gr.RoutingDataset, config: gr.TrainConfig, train_as: TrainAs
) -> None:
    """The hashing encoder has no path; the first trial goes without one."""
    train_as(loss_of)
    space = SearchSpace.of(
        {
            "encoder.path": Choice(choices=(None, "somewhere")),
            "network.dropout": FloatRange(low=0, high=0.5),
        }
    )
    result = tune(data, config, num_trials=6, space=space)
    assert {(trial.params["encoder.path"], trial.state) for trial in result.trials} == {
        (None, "complete"),
        ("somewhere", "failed"),
    }
    assert "is for sentence-transformers" in next(
        trial.message for trial in result.trials if trial.message
    )


def test_what_the_start_cannot_do_ends_the_study(
    data: gr.RoutingDataset, config: gr.TrainConfig, space: SearchSpace, train_as: TrainAs
) -> None:
    def refuse(settings: gr.TrainConfig) -> dict[str, float]:
        raise EncoderError("No such encoder.")

    calls = train_as(refuse)
    with pytest.raises(EncoderError, match="No such encoder"):
        tune(data, config, num_trials=3, space=space)
    assert len(calls) == 1


def test_a_fault_of_the_program_ends_the_study_and_leaves_nothing_running(
    data: gr.RoutingDataset,
    config: gr.TrainConfig,
    space: SearchSpace,
    train_as: TrainAs,
    tmp_path: Path,
) -> None:
    kept = build_sqlite_address(tmp_path / "study.sqlite3")

    def break_down(settings: gr.TrainConfig) -> dict[str, float]:
        raise ZeroDivisionError("broken on purpose")

    train_as(break_down)
    with pytest.raises(ZeroDivisionError):
        tune(data, config, num_trials=3, space=space, storage=kept)
    train_as(loss_of)
    result = tune(data, config, num_trials=3, space=space, storage=kept)
    assert (result.num_running, result.trials[0].message) == (0, "broken on purpose")
    assert result.start is None


def test_texts_are_encoded_once_for_all_trials_of_an_encoder(
    data: gr.RoutingDataset,
    config: gr.TrainConfig,
    train_as: TrainAs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from graphrouter.bench.tuning import tuning_data

    prepared: list[int] = []
    prepare = tuning_data.prepare
    monkeypatch.setattr(
        tuning_data, "prepare", lambda *args: prepared.append(args[2].dimension) or prepare(*args)
    )
    train_as(loss_of)
    space = SearchSpace.of(
        {
            "encoder.dimension": Choice(choices=(32, 64)),
            "network.dropout": FloatRange(low=0, high=0.5),
        }
    )
    result = tune(data, config, num_trials=8, space=space)
    assert {trial.params["encoder.dimension"] for trial in result.trials} == {32, 64}
    assert prepared == [32, 64]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"num_trials": 0}, ConfigError, "tune received 0 trials; expected at least 1"),
        (
            {"objectives": ["loss"]},
            ConfigError,
            "Unknown objective 'loss'; expected one or more of log_loss, reward, area",
        ),
        ({"objectives": []}, ConfigError, "The objectives are missing"),
        ({"objectives": ["area", "area"]}, ConfigError, "each once"),
        ({"storage": "study.sqlite3"}, ConfigError, "is no address"),
    ],
)
def test_what_is_refused(
    data: gr.RoutingDataset,
    config: gr.TrainConfig,
    space: SearchSpace,
    options: dict[str, object],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        tune(data, config, space=space, **options)  # type: ignore[arg-type]


def test_data_that_is_none_or_too_small_is_refused(
    config: gr.TrainConfig, data: gr.RoutingDataset, space: SearchSpace
) -> None:
    with pytest.raises(DataError, match="tune received a str; expected a dataset"):
        tune("simulated", config, space=space)  # type: ignore[arg-type]
    tiny = gr.RoutingDataset.from_frames(
        queries=data.queries.head(3),
        models=data.models,
        outcomes=data.outcomes[data.outcomes["query_id"].isin(data.queries["query_id"].head(3))],
    )
    with pytest.raises(DataError, match="Too few queries to divide"):
        tune(tiny, config, space=space)


def test_several_devices_are_refused(
    data: gr.RoutingDataset, config: gr.TrainConfig, space: SearchSpace
) -> None:
    wide = config.model_copy(update={"training": config.training.model_copy(update={"devices": 2})})
    with pytest.raises(ConfigError, match="Start several workers on one study"):
        tune(data, wide, space=space)


def test_an_area_without_costs_is_refused(
    data: gr.RoutingDataset, config: gr.TrainConfig, space: SearchSpace
) -> None:
    outcomes = data.outcomes.drop(columns=["cost_usd"])
    free = gr.RoutingDataset.from_frames(
        queries=data.queries, models=data.models[["model"]], outcomes=outcomes, name="free"
    )
    with pytest.raises(
        NotApplicableError,
        match="area needs recorded costs: no training outcome has a cost in 'free'",
    ):
        tune(free, config, space=space, objectives=["area"])


def test_without_optuna_the_pip_line_is_said(
    data: gr.RoutingDataset, config: gr.TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna_integration", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'graphrouter\[tune\]'"):
        tune(data, config)
