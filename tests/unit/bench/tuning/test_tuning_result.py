"""Which trial is taken, and what is said of it: computed by hand."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.bench.tuning.objectives import find_objectives
from graphrouter.bench.tuning.search_space import FloatRange, SearchSpace
from graphrouter.bench.tuning.trial_records import EpochFigures, TrialRecord
from graphrouter.bench.tuning.tuning_result import TuningResult, dominates
from graphrouter.config import TrainConfig, load_config

SPACE = SearchSpace.of({"network.dropout": FloatRange(low=0.0, high=0.8)})


def result_of(
    *trials: TrialRecord, names: tuple[str, ...] = ("log_loss",), config: TrainConfig | None = None
) -> TuningResult:
    return TuningResult(
        "world", "mine", "", find_objectives(names), SPACE, config or TrainConfig(), trials
    )


def trial(
    number: int,
    *values: float,
    state: str = "complete",
    names: tuple[str, ...] = ("log_loss", "area"),
) -> TrialRecord:
    """A trial whose dropout tells its number; number 0 is the start."""
    figures = dict(zip(names, values, strict=False))
    return TrialRecord(
        number, state, {"network.dropout": number / 10}, figures, is_start=number == 0
    )  # type: ignore[arg-type]


def test_the_best_trial_is_taken_and_its_gain_said() -> None:
    result = result_of(
        trial(0, 0.5), trial(1, 0.6), trial(2, 0.45), trial(3, state="failed"), trial(4, 0.46)
    )
    assert result.chosen is result.trials[2]
    assert result.improved
    assert result.config.network.dropout == 0.2
    assert (
        result.verdict
        == "The best of 5 trials improves the validation log loss from 0.5000 to 0.4500."
    )


def test_more_is_better_where_the_objective_says_so() -> None:
    names = ("reward",)
    result = result_of(
        *(trial(i, value, names=names) for i, value in enumerate((0.3, 0.4, 0.2))), names=names
    )
    assert result.chosen is result.trials[1]
    assert (
        result.verdict
        == "The best of 3 trials improves the validation mean reward of the presets from 0.3000 "
        "to 0.4000."
    )


@pytest.mark.parametrize("others", [(0.5, 0.6), (0.51,), ()])
def test_what_is_not_better_does_not_replace_the_start(others: tuple[float, ...]) -> None:
    result = result_of(trial(0, 0.5), *(trial(i + 1, value) for i, value in enumerate(others)))
    assert result.chosen is result.trials[0]
    assert not result.improved
    assert result.config == result.start_config.model_copy(
        update={"network": result.config.network}
    )
    assert (
        result.verdict
        == "No trial was better than the default settings (validation log loss 0.5000)."
    )


def test_settings_of_a_user_are_not_called_default() -> None:
    result = result_of(trial(0, 0.5), config=load_config(overrides=["seed=1"]))
    assert result.verdict.startswith("No trial was better than the given settings")


def test_a_start_without_values_is_said() -> None:
    result = result_of(trial(0, state="failed"), trial(1, 0.6), trial(2, 0.7))
    assert result.chosen is result.trials[1]
    assert not result.improved
    assert (
        result.verdict
        == "Trial 1 is the best of 3: validation log loss 0.6000; the default settings have no "
        "result."
    )


def test_without_any_values_the_start_stays() -> None:
    result = result_of(trial(0, state="failed"))
    assert (result.chosen, result.config, result.front) == (None, TrainConfig(), ())
    assert result.verdict == "No trial has a result."


BOTH = ("log_loss", "area")


def test_of_the_front_the_best_in_the_first_objective_that_loses_nowhere_to_the_start() -> None:
    start, lopsided, good, better = (
        trial(0, 0.50, 0.60),
        trial(1, 0.40, 0.55),
        trial(2, 0.48, 0.61),
        trial(3, 0.47, 0.60),
    )
    dominated = trial(4, 0.49, 0.605)
    result = result_of(start, lopsided, good, better, dominated, names=BOTH)
    assert result.front == (lopsided, good, better)
    assert result.chosen is better
    assert (
        result.verdict
        == "The best of 5 trials improves the validation log loss from 0.5000 to 0.4700."
    )


def test_with_trade_offs_alone_the_start_stays() -> None:
    result = result_of(trial(0, 0.50, 0.60), trial(1, 0.40, 0.55), trial(2, 0.60, 0.65), names=BOTH)
    assert result.chosen is result.trials[0]
    assert result.verdict == (
        "No trial was better than the default settings in one objective without being worse in "
        "another "
        "(validation log loss 0.5000, validation area under the frontier 0.6000)."
    )


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12))
def test_the_chosen_trial_is_on_the_front_and_never_worse_than_the_start(
    values: list[tuple[int, int]],
) -> None:
    result = result_of(*(trial(i, *map(float, pair)) for i, pair in enumerate(values)), names=BOTH)
    chosen = result.chosen
    assert chosen is not None
    assert not any(dominates(other, chosen, result.objectives) for other in result.trials)
    assert chosen.values["log_loss"] <= values[0][0]
    assert chosen.values["area"] >= values[0][1]
    assert result.improved == any(
        dominates(other, result.trials[0], result.objectives) for other in result.trials
    )


def test_json_holds_no_nan_and_all_trials() -> None:
    record = TrialRecord(
        0,
        "complete",
        {"network.dropout": 0.0},
        {"log_loss": 0.5},
        epochs=(EpochFigures(1, 0.5, 0.2, float("nan")),),
        is_start=True,
    )
    plain = json.loads(
        json.dumps(result_of(record, trial(1, state="failed")).to_json(), allow_nan=False)
    )
    assert plain["trials"][0]["epochs"] == [
        {"epoch": 1, "log_loss": 0.5, "reward": 0.2, "train_effect": None}
    ]
    assert [each["state"] for each in plain["trials"]] == ["complete", "failed"]
    assert (plain["chosen"], plain["front"], plain["improved"]) == (0, [0], False)
    assert plain["config"]["network"]["dropout"] == 0.0
