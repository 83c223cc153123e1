"""Search spaces: what they hold, what they refuse, and that YAML says the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.bench.tuning.search_space import (
    NOT_TUNED,
    Choice,
    FloatRange,
    IntRange,
    SearchSpace,
    build_default_space,
    describe,
    load_space,
    parse_space,
    write_space_yaml,
)
from graphrouter.config import TrainConfig, load_config
from graphrouter.documented_model import list_fields
from graphrouter.exceptions import ConfigError


def test_the_default_space_holds_the_default_settings() -> None:
    space = build_default_space()
    start = space.start(TrainConfig())
    assert start["training.learning_rate"] == TrainConfig().training.learning_rate
    assert set(start) == set(space.ranges) <= set(list_fields(TrainConfig))
    assert space.apply(TrainConfig(), start) == TrainConfig()


def test_yaml_reads_back_as_the_same_space() -> None:
    space = SearchSpace.of(
        {
            "encoder.name": Choice(choices=("hashing", "wordllama")),
            "encoder.path": Choice(choices=(None, "a: b")),
            "network.width": IntRange(low=8, high=32, step=8),
            "graph.num_neighbours": IntRange(low=1, high=64, log=True),
            "training.weight_decay": FloatRange(low=1e-7, high=1e-2, log=True),
        }
    )
    assert parse_space(yaml.safe_load(write_space_yaml(space))) == space
    assert parse_space(space.to_json()) == space
    assert all("# " in line for line in write_space_yaml(space).splitlines())


def test_numbers_in_scientific_notation_are_numbers() -> None:
    """YAML 1.1 reads 1e-3 as a word."""
    space = parse_space(
        yaml.safe_load(
            "training.learning_rate: {low: 1e-4, high: 1e-3}\nnetwork.dropout: {choices: [1e-1, "
            "0.2]}"
        )
    )
    assert space.ranges["training.learning_rate"] == FloatRange(low=1e-4, high=1e-3)
    assert space.ranges["network.dropout"] == Choice(choices=(0.1, 0.2))


def test_apply_changes_what_it_names_and_nothing_else() -> None:
    space = SearchSpace.of(
        {"network.width": IntRange(low=8, high=32), "network.dropout": FloatRange(low=0, high=0.5)}
    )
    config = load_config(overrides=["seed=3", "network.hidden=16"])
    changed = space.apply(config, {"network.width": 9, "network.dropout": 0.25})
    assert (changed.network.width, changed.network.dropout) == (9, 0.25)
    assert changed.model_copy(update={"network": config.network}) == config
    assert changed.network.hidden == 16


@given(st.integers(0, 100), st.integers(1, 20), st.integers(1, 10), st.integers(-10, 200))
def test_a_range_in_steps_contains_the_numbers_that_counting_meets(
    low: int, count: int, step: int, value: int
) -> None:
    values = IntRange(low=low, high=low + count * step, step=step)
    assert values.contains(value) == (value in range(low, low + count * step + 1, step))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (IntRange(low=16, high=128, log=True), "16 to 128, log scale"),
        (FloatRange(low=0.1, high=0.5), "0.1 to 0.5"),
        (Choice(choices=(1, "a")), "1, 'a'"),
    ],
)
def test_a_range_in_words(values: FloatRange | IntRange | Choice, text: str) -> None:
    assert describe(values) == text


RANGE = {"low": 0.1, "high": 0.2}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "space.yaml is empty; expected at least one setting"),
        ([1], "space.yaml holds a list; expected settings with their ranges"),
        (
            {"training.learning_rat": RANGE},
            "space.yaml: unknown setting 'training.learning_rat'. Did you mean "
            "'training.learning_rate'?",
        ),
        ({"training": RANGE}, "training is a group of settings: training.learning_rate,"),
        ({"network.dropout.x": RANGE}, "unknown setting 'network.dropout.x'"),
        ({"network.dropout": 0.1}, "network.dropout = 0.1 is no range. Write {low:"),
        (
            {"network.dropout": {"low": 0.2, "high": 0.1}},
            "network.dropout is not accepted: low is 0.2 and high 0.1; expected low below",
        ),
        ({"network.dropout": {"low": 0.1, "high": 0.1}}, "expected low below high"),
        (
            {"network.dropout": {"low": 0, "high": 0.1, "log": True}},
            "low is 0.0; expected a number above 0 with log",
        ),
        ({"network.dropout": {"low": 0}}, "network.dropout, high is not accepted: Field required"),
        (
            {"network.dropout": {"low": 0, "high": 0.1, "logs": True}},
            "network.dropout, logs = True is not accepted: there is no 'logs'",
        ),
        ({"network.dropout": {"low": 0, "high": float("inf")}}, "high = inf is not accepted"),
        ({"network.dropout": {"low": True, "high": 0.3}}, "neither true nor false"),
        (
            {"network.dropout": {"low": 0.1, "high": 0.95}},
            "network.dropout = 0.95 is not accepted: Input should be less than 0.9",
        ),
        (
            {"network.width": {"low": 16.5, "high": 20}},
            "network.width, low = 16.5 is not accepted: Input should be a valid integer",
        ),
        (
            {"network.width": {"low": 16, "high": 21, "step": 2}},
            "step 2 does not lead from low 16 to high 21",
        ),
        (
            {"network.width": {"low": 16, "high": 32, "step": 2, "log": True}},
            "a step goes with log: false alone",
        ),
        ({"network.width": {"choices": [16, 9999]}}, "network.width = 9999 is not accepted"),
        ({"network.width": {"choices": [16, "16"]}}, "expected each value once"),
        ({"network.width": {"choices": [16]}}, "choices = [16] is not accepted"),
        ({"network.width": {"choices": [True, 16]}}, "neither true nor false"),
        ({"network.width": {"choices": [16, 32], "low": 3}}, "there is no 'low'"),
        ({"encoder.name": {"low": 1, "high": 2}}, "encoder.name = 1.0 is not accepted"),
        (
            {"split.seed": {"low": 0, "high": 9}},
            "split.seed cannot be tuned: trials would be judged on different queries. "
            "Leave it out.",
        ),
        ({"seed": {"low": 0, "high": 9}}, "seed cannot be tuned: a seed that does well is luck"),
    ],
)
def test_what_is_refused(values: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_space(values, source="space.yaml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_fraction_is_no_width() -> None:
    with pytest.raises(ConfigError, match="network.width takes no fractions"):
        SearchSpace.of({"network.width": FloatRange(low=16, high=32)})


def test_a_start_outside_of_the_space_is_refused() -> None:
    config = load_config(overrides=["training.batch_queries=32"])
    with pytest.raises(
        ConfigError,
        match=r"training.batch_queries = 32 lies outside of the search space \(128 to 512 in "
        r"steps of 128\)",
    ):
        build_default_space().start(config)


def test_settings_that_cannot_be_tuned_exist() -> None:
    assert set(NOT_TUNED) <= set(list_fields(TrainConfig))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No search space at"),
        (b"a: \xe9", "is not UTF-8 text"),
        (b"a: [", "is no valid YAML"),
        (b"", "is empty"),
        (b"network.width: 3", "is no range"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "space.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load_space(file)
