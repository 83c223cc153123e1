"""Training: reproducible, resumable, on one device or several; and it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import graphrouter as gr
from graphrouter.encoders import create_encoder
from graphrouter.graph.channels import ChannelScaler, OutcomeColumns
from graphrouter.training.fit import build_network, fit_network
from graphrouter.training.module import is_structural, preset_reward
from graphrouter.training.prepare import TrainingTables, prepare
from graphrouter.training.progress import describe_metrics


def test_two_runs_are_bit_identical_and_another_seed_is_not(tables: TrainingTables, config: gr.TrainConfig) -> None:
    first, second = (fit_network(tables, config) for _ in range(2))
    other = fit_network(tables, config.model_copy(update={"seed": 1}))
    assert first.metrics == second.metrics
    for name, weight in first.net.state_dict().items():
        assert torch.equal(weight, second.net.state_dict()[name]), name
    assert any(not torch.equal(w, other.net.state_dict()[n]) for n, w in first.net.state_dict().items())


def test_training_leaves_the_global_state_of_torch_alone(tables: TrainingTables, config: gr.TrainConfig) -> None:
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    fit_network(tables, config)
    assert torch.equal(torch.rand(3), expected)
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_work_folder_of_another_run_is_not_resumed(
    tables: TrainingTables, config: gr.TrainConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fresh = fit_network(tables, config)
    fit_network(tables, config.model_copy(update={"seed": 9}), work_dir=tmp_path, fingerprint="a")
    again = fit_network(tables, config, work_dir=tmp_path, fingerprint="a")
    assert "starting over" in caplog.text
    assert again.metrics == fresh.metrics


def test_structural_parameters_are_few_and_named() -> None:
    tables_free = build_network.__doc__
    assert tables_free is not None
    assert is_structural("base.ability_mass.log")
    assert is_structural("path_attention.path_mix")
    assert not is_structural("query_encoder.linear.1.weight")


def test_preset_reward_chooses_by_expectation_among_observed_pairs() -> None:
    expected_effect = np.array([[0.9, 0.5, 0.1], [0.2, 0.8, 0.3]])
    effect = np.array([[np.nan, 1.0, 0.0], [1.0, 0.0, 1.0]])
    cost = np.array([[0.1, 0.4, 0.2], [0.1, 0.2, 0.3]])
    assert preset_reward(expected_effect, cost, effect, cost, 1.0, 0.0) == pytest.approx((1.0 + 0.0) / 2)
    reward = preset_reward(expected_effect, cost, effect, cost, 0.5, 0.5)
    assert reward == pytest.approx(((0.5 - 0.2) + (0.0 - 0.1)) / 2)
    nothing = np.full_like(cost, np.nan)
    assert preset_reward(expected_effect, nothing, effect, nothing, 0.5, 0.5) is None


def test_it_learns_which_model_solves_which_kind_of_prompt() -> None:
    """Two models, each perfect on one kind of prompt and useless on the other: the loss must come close to zero."""
    words = ["integral", "triangle", "fraction"], ["function", "compiler", "pointer"]
    queries = pd.DataFrame(
        {
            "query_id": [f"q{i}" for i in range(120)],
            "task": "all",
            "prompt": [
                f"About the {words[i % 2][i // 2 % 3]}, number {i}: explain the {words[i % 2][i % 3]}." for i in range(120)
            ],
        }
    )
    outcomes = pd.DataFrame(
        [(f"q{i}", model, float(i % 2 == kind)) for i in range(120) for kind, model in enumerate(("maths", "code"))],
        columns=["query_id", "model", "effect"],
    )
    data = gr.RoutingDataset.from_frames(queries=queries, models=pd.DataFrame({"model": ["maths", "code"]}), outcomes=outcomes)
    config = gr.load_config(overrides=["training.max_epochs=8", "training.learning_rate=3e-3", "training.newcomer_share=0"])
    tables = prepare(data, gr.split_dataset(data, config.split), create_encoder(config.encoder))
    assert fit_network(tables, config).metrics["log_loss"] < 0.2


@pytest.mark.slow
def test_several_processes_train_together(tables: TrainingTables, config: gr.TrainConfig) -> None:
    settings = config.model_copy(update={"training": config.training.model_copy(update={"accelerator": "cpu", "devices": 2})})
    several, one = fit_network(tables, settings), fit_network(tables, config)
    assert several.metrics["log_loss"] == pytest.approx(one.metrics["log_loss"], abs=0.1)
    assert several.metrics != one.metrics


def test_scaler_fit_ignores_validation_rows(tables: TrainingTables) -> None:
    train = tables.train.channels[1:3]
    assert torch.nanmean(train, dim=1).abs().max() < 1e-3  # standardised by training rows alone
    assert torch.nanmean(tables.validation.channels[1:3], dim=1).abs().max() > 1e-3
    assert isinstance(tables.transforms.channels, ChannelScaler)
    assert OutcomeColumns.__doc__


def test_the_bar_shows_the_figures_that_matter_on_standard_error(
    tables: TrainingTables, config: gr.TrainConfig, capfd: pytest.CaptureFixture[str]
) -> None:
    assert describe_metrics({"train/effect": 0.5, "val/log_loss": 0.25, "other": 1.0}) == "loss 0.500  log loss 0.250"
    fit_network(tables, config, progress=True)
    captured = capfd.readouterr()
    assert captured.out == ""
