"""Settings: YAML, `--set`, and one clear line with the nearest valid name for every mistake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from graphrouter.config import (
    Settings,
    TrainConfig,
    TrainingConfig,
    load_config,
    parse_config,
)
from graphrouter.documented_model import list_fields
from graphrouter.exceptions import ConfigError
from graphrouter.policy import Policy
from graphrouter.pool import ModelCard


def groups(config: type[BaseModel] = TrainConfig) -> Iterator[type[BaseModel]]:
    yield config
    for field in config.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from groups(field.annotation)


def leaves(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def test_every_setting_is_described_and_refuses_unknown_names() -> None:
    for group in groups():
        assert issubclass(group, Settings)
        assert group.model_config.get("extra") == "forbid"
        for name, field in group.model_fields.items():
            assert field.description, f"{group.__name__}.{name}"


def test_valid_keys_are_all_leaves_in_order() -> None:
    assert list(list_fields(TrainConfig)) == list(leaves(TrainConfig().model_dump()))


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ConfigError, match="frozen"):
        TrainConfig().seed = 3  # type: ignore[misc]


def test_without_file_and_overrides_come_the_defaults() -> None:
    assert load_config() == TrainConfig() == parse_config({})


def test_settings_survive_their_way_through_the_manifest() -> None:
    config = load_config(
        overrides=["training.devices=2", "encoder.cache_dir=cache", "training.learning_rate=3e-4"]
    )
    assert parse_config(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.learning_rate=1e-3", 1e-3),
        ("training.learning_rate=1E-3", 1e-3),
        ("training.learning_rate=.5", 0.5),
        ("training.learning_rate = 1", 1.0),
        ("training.max_epochs=1e2", 100),
        ("training.max_epochs=1_000", 1000),
        ("training.devices=3", 3),
        ("encoder.path=a=b", "a=b"),
        ("encoder.path=null", None),
        ("encoder.path=~", None),
        ("encoder.path=", None),
        ('encoder.path="1e-3"', "1e-3"),
        ("encoder.path='007'", "007"),
        ("encoder.path=models/v2", "models/v2"),
        ("encoder.path=inf", "inf"),
        ("split.by=task", "task"),
    ],
)
def test_set_reads_numbers_words_and_nothing(override: str, expected: object) -> None:
    *groups_of_key, name = override.partition("=")[0].strip().split(".")
    value: Any = load_config(overrides=[override])
    for group in [*groups_of_key, name]:
        value = getattr(value, group)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.max_epochs=true", "training.max_epochs = True is not accepted"),
        ("training.max_epochs=[1, 2]", r"training.max_epochs = \[1, 2\] is not accepted"),
        ("training.max_epochs={a: 1}", "training.max_epochs = .* is not accepted"),
        ("training.max_epochs=1.5", "training.max_epochs = 1.5 is not accepted"),
        ("training.learning_rate=fast", "training.learning_rate = 'fast' is not accepted"),
        (
            "training.learning_rate=0",
            "training.learning_rate = 0 is not accepted: Input should be greater than 0",
        ),
        ("training.learning_rate=.nan", "training.learning_rate = nan is not accepted"),
        ("encoder.name=wordlama", "encoder.name = 'wordlama' is not accepted: .*'wordllama'"),
        ("training.max_epochs", "expected key=value, for example training.learning_rate=1e-3"),
        ("encoder.path=[1,", "the value is no valid YAML"),
        ("encoder.path=a: b: c", "the value is no valid YAML"),
        (
            "seed=false",
            "seed = False is not accepted: expected a number, a word or null, neither true nor "
            "false",
        ),
        ("encoder.path=yes", "encoder.path = True is not accepted"),
        ("split.validation=0.5", "split.validation = 0.5 is not accepted"),
    ],
)
def test_set_refuses_in_one_line(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(overrides=[override])
    assert "\n" not in str(caught.value)


def test_a_split_leaves_something_to_train_on() -> None:
    with pytest.raises(ConfigError, match="at most 0.9 leaves something to train on"):
        load_config(overrides=["split.validation=0.4", "split.test=0.6"])


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("training.learning_rat", "Did you mean 'training.learning_rate'?"),
        ("learning_rate", "Did you mean 'training.learning_rate'?"),
        ("encoder.learning_rate", "Did you mean 'training.learning_rate'?"),
        ("networks.width", "Did you mean 'network.width'?"),
        ("training.seed", "Did you mean 'seed'?"),
        ("sed", "Did you mean 'seed'?"),
        ("split.vaildation", "Did you mean 'split.validation'?"),
        ("trainng", "Did you mean 'training'?"),
        ("graph", "It is a group: graph.num_neighbours, graph.max_support_queries."),
        ("xyzzy", "Settings: seed, encoder.name,"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_valid_one(key: str, nearest: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(overrides=[f"{key}=1"])
    assert f"--set: unknown setting {key!r}. {nearest}" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "training: {learning_rat: 1}",
            "unknown setting 'training.learning_rat'. Did you mean 'training.learning_rate'?",
        ),
        ("trainng: {max_epochs: 1}", "unknown setting 'trainng'. Did you mean 'training'?"),
        ("max_epochs: 1", "unknown setting 'max_epochs'. Did you mean 'training.max_epochs'?"),
        ("training: 5", "training = 5 is not accepted"),
        ("seed: [", "is no valid YAML"),
        ("- seed", "holds a list; expected a mapping of settings"),
        ("just words", "holds a str; expected a mapping of settings"),
    ],
)
def test_a_file_with_a_mistake_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert str(caught.value).startswith(str(file))
    assert message in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No configuration file at .*absent.yaml"):
        load_config(tmp_path / "absent.yaml")


@pytest.mark.parametrize("text", ["", "# only a comment\n", "{}"])
def test_an_empty_file_gives_the_defaults(tmp_path: Path, text: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(text, encoding="utf-8")
    assert load_config(file) == TrainConfig()


def test_overrides_win_over_the_file_and_the_last_one_wins(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("seed: 1\ntraining: {max_epochs: 3, patience: 2}\n", encoding="utf-8")
    config = load_config(
        file, ["training.max_epochs=4", "training.max_epochs=6", "network.width=16"]
    )
    assert (
        config.seed,
        config.training.max_epochs,
        config.training.patience,
        config.network.width,
    ) == (1, 6, 2, 16)


def test_a_group_that_the_file_spoils_cannot_be_overridden(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("training: fast\n", encoding="utf-8")
    with pytest.raises(
        ConfigError, match="'training' holds 'fast' in the file; expected a mapping"
    ):
        load_config(file, ["training.patience=1"])


@given(st.floats(1e-12, 1.0, allow_nan=False))
def test_any_notation_of_a_number_is_a_number(value: float) -> None:
    for text in (repr(value), f"{value:e}", f"{value:.20f}"):
        if float(text) > 0:
            assert load_config(
                overrides=[f"training.learning_rate={text}"]
            ).training.learning_rate == float(text)


def test_help_lists_every_field() -> None:
    for cls in (TrainingConfig, Policy, ModelCard):
        for name, field in cls.model_fields.items():
            assert f"{field.alias or name}: {field.description}" in (cls.__doc__ or "")
