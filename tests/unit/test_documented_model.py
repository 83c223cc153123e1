"""Settings, cards and policies refuse what makes no sense with an error of ours, in one line."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from graphrouter.config import EncoderConfig, TrainConfig, TrainingConfig
from graphrouter.documented_model import DocumentedModel
from graphrouter.exceptions import ConfigError, DataError, GraphRouterError, PolicyError
from graphrouter.policy import Policy
from graphrouter.pool import ModelCard


@pytest.mark.parametrize(
    ("kind", "values", "error", "message"),
    [
        (
            Policy,
            {"max_cost": 0.3},
            PolicyError,
            "Policy: unknown setting 'max_cost'. Did you mean 'max_cost_usd'?",
        ),
        (Policy, {"xyzzy": 1}, PolicyError, "Policy: unknown setting 'xyzzy'. Settings: effect_w"),
        (Policy, {"cost_weight": True}, PolicyError, "cost_weight = True is not accepted"),
        (Policy, {"cost_weight": 3}, PolicyError, "Policy: cost_weight = 3 leaves no weight"),
        (
            ModelCard,
            {"model": "x", "price": 3},
            DataError,
            "ModelCard: unknown field 'price'. Fields: model, kind, description, input_usd",
        ),
        (ModelCard, {}, DataError, "ModelCard: the field 'model' is missing; it has no default."),
        (ModelCard, {"model": 7}, DataError, "ModelCard: model = 7 is not accepted"),
        (ModelCard, {"model": "a\ud800"}, DataError, "ModelCard: model = 'a\\ud800' is not"),
        (
            TrainConfig,
            {"epochs": 3},
            ConfigError,
            "TrainConfig: unknown setting 'epochs'. Did you mean 'training.max_epochs'?",
        ),
        (TrainConfig, {"training": {"max_epochs": -1}}, ConfigError, "training.max_epochs = -1 is"),
        (EncoderConfig, {"name": "bert"}, ConfigError, "EncoderConfig: name = 'bert' is not"),
    ],
)
def test_a_call_refuses_with_an_error_of_ours(
    kind: type[DocumentedModel],
    values: dict[str, Any],
    error: type[GraphRouterError],
    message: str,
) -> None:
    with pytest.raises(error) as caught:
        kind(**values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [Policy, ModelCard, TrainConfig])
def test_values_without_a_name_are_refused(kind: type[DocumentedModel]) -> None:
    with pytest.raises(kind.refusal, match="received 0.3 without a name; expected values by name"):
        kind(0.3)  # type: ignore[call-arg]


@pytest.mark.parametrize("values", ["x", None, 3, [("cost_weight", 1)]])
def test_what_is_no_mapping_is_refused(values: Any) -> None:
    with pytest.raises(PolicyError, match="mine: received .*; expected a mapping of settings"):
        Policy.parse(values, source="mine")


def test_a_long_value_is_shown_in_part() -> None:
    with pytest.raises(DataError) as caught:
        ModelCard(model="x", num_params="9" * 5000 + "x")  # type: ignore[arg-type]
    assert len(str(caught.value)) < 300


def test_a_copy_checks_what_it_changes() -> None:
    policy = Policy(cost_weight=0.3)
    assert policy.model_copy(update={"max_cost_usd": 1}).cost_weight == 0.3
    assert policy.model_copy() == policy
    with pytest.raises(PolicyError, match="unknown setting 'max_cost'"):
        policy.model_copy(update={"max_cost": 0.3})
    with pytest.raises(PolicyError, match="max_cost_usd = -1"):
        policy.model_copy(update={"max_cost_usd": -1})


def test_a_copy_keeps_names_and_groups() -> None:
    card = ModelCard(model="x", json=True)
    assert card.model_copy(update={"model": "y"}) == ModelCard(model="y", json=True)
    assert card.model_copy(update={"json_output": False}) == ModelCard(model="x", json=False)
    config = TrainConfig(training=TrainingConfig(patience=2))
    assert config.model_copy(update={"seed": 3}).training.patience == 2


def test_pydantics_own_methods_raise_pydantics_error() -> None:
    with pytest.raises(ValidationError, match="max_cost"):
        Policy.model_validate({"max_cost": 0.3})
