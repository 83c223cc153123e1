"""Training: reproducible, resumable, on one device or several; and it learns."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

import graphrouter as gr
from graphrouter.encoders import create_encoder
from graphrouter.exceptions import ConfigError, TrainingError
from graphrouter.nn import population
from graphrouter.nn.layers import list_structural
from graphrouter.training import checkpoints, lightning_module, trainer
from graphrouter.training.checkpoints import LAST, hash_run, load_checkpoint
from graphrouter.training.lightning_module import preset_reward
from graphrouter.training.prepare import TrainingTables, prepare
from graphrouter.training.progress import describe_metrics
from graphrouter.training.start import build_network
from graphrouter.training.trainer import fit_network


def test_two_runs_are_bit_identical_and_another_seed_is_not(
    tables: TrainingTables, config: gr.TrainConfig
) -> None:
    first, second = (fit_network(tables, config) for _ in range(2))
    other = fit_network(tables, config.model_copy(update={"seed": 1}))
    assert first.metrics == second.metrics
    assert (
        first.metrics["objective"] == first.metrics["log_loss"]
    )  # rewards on few queries are too noisy to stop by
    for name, weight in first.net.state_dict().items():
        assert torch.equal(weight, second.net.state_dict()[name]), name
    assert any(
        not torch.equal(w, other.net.state_dict()[n]) for n, w in first.net.state_dict().items()
    )


def test_callbacks_see_every_epoch(
    tables: TrainingTables, config: gr.TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "beats_start", lambda trained, start: True)
    seen: list[float] = []

    class Watch(Callback):
        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            seen.append(float(trainer.callback_metrics["val/objective"]))

    metrics = fit_network(tables, config, callbacks=[Watch()]).metrics
    assert len(seen) == config.training.max_epochs
    assert min(seen) == pytest.approx(metrics["objective"])


def test_training_leaves_the_global_state_of_torch_alone(
    tables: TrainingTables, config: gr.TrainConfig
) -> None:
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
    fit_network(tables, config.model_copy(update={"seed": 9}), work_dir=tmp_path)
    again = fit_network(tables, config, work_dir=tmp_path)
    assert "starting over" in caplog.text
    assert again.metrics == fresh.metrics


def test_structural_parameters_are_few_and_the_weights_many(
    tables: TrainingTables, config: gr.TrainConfig
) -> None:
    sizes = {True: 0, False: 0}
    names: dict[bool, list[str]] = {True: [], False: []}
    net = build_network(tables, config)
    structural = list_structural(net)
    for name, parameter in net.named_parameters():
        sizes[name in structural] += parameter.numel()
        names[name in structural].append(name)
    assert 0 < sizes[True] < 150 < 5_000 < sizes[False]
    assert {"base.ability_mass.log", "path_attention.path_mix", "text_easiness.scale"} <= set(
        names[True]
    )
    assert all(name.endswith(("weight", "bias")) for name in names[False])


def test_preset_reward_chooses_by_expectation_among_observed_pairs() -> None:
    expected_effect = np.array([[0.9, 0.5, 0.1], [0.2, 0.8, 0.3]])
    effect = np.array([[np.nan, 1.0, 0.0], [1.0, 0.0, 1.0]])
    cost = np.array([[0.1, 0.4, 0.2], [0.1, 0.2, 0.3]])
    assert preset_reward(expected_effect, cost, effect, cost, 1.0, 0.0) == pytest.approx(
        (1.0 + 0.0) / 2
    )
    reward = preset_reward(expected_effect, cost, effect, cost, 0.5, 0.5)
    assert reward == pytest.approx(((0.5 - 0.2) + (0.0 - 0.1)) / 2)
    nothing = np.full_like(cost, np.nan)
    assert preset_reward(expected_effect, nothing, effect, nothing, 0.5, 0.5) is None


def test_it_learns_which_model_solves_which_kind_of_prompt() -> None:
    """Two models, each perfect on one kind of prompt and useless on the other: the loss must come
    close to zero."""
    words = ["integral", "triangle", "fraction"], ["function", "compiler", "pointer"]
    queries = pd.DataFrame(
        {
            "query_id": [f"q{i}" for i in range(120)],
            "task": "all",
            "prompt": [
                f"About the {words[i % 2][i // 2 % 3]}, number {i}: explain the "
                f"{words[i % 2][i % 3]}."
                for i in range(120)
            ],
        }
    )
    outcomes = pd.DataFrame(
        [
            (f"q{i}", model, float(i % 2 == kind))
            for i in range(120)
            for kind, model in enumerate(("maths", "code"))
        ],
        columns=["query_id", "model", "effect"],
    )
    data = gr.RoutingDataset.from_frames(
        queries=queries, models=pd.DataFrame({"model": ["maths", "code"]}), outcomes=outcomes
    )
    config = gr.load_config(
        overrides=[
            "training.max_epochs=8",
            "training.learning_rate=3e-3",
            "training.newcomer_share=0",
        ]
    )
    tables = prepare(data, gr.split_dataset(data, config.split), create_encoder(config.encoder))
    assert fit_network(tables, config).metrics["log_loss"] < 0.2


@pytest.mark.slow
def test_several_processes_train_together(
    tables: TrainingTables, config: gr.TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "beats_start", lambda trained, start: True)
    settings = config.model_copy(
        update={"training": config.training.model_copy(update={"accelerator": "cpu", "devices": 2})}
    )
    several, one = fit_network(tables, settings), fit_network(tables, config)
    assert several.metrics["log_loss"] == pytest.approx(one.metrics["log_loss"], abs=0.1)
    assert several.metrics != one.metrics


def test_scalers_are_fitted_on_training_rows_alone(tables: TrainingTables) -> None:
    assert torch.nanmean(tables.train.channels[1:3], dim=1).abs().max() < 1e-3
    assert torch.nanmean(tables.validation.channels[1:3], dim=1).abs().max() > 1e-3


def test_the_bar_shows_the_figures_that_matter_on_standard_error(
    tables: TrainingTables,
    config: gr.TrainConfig,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal, as far as rich is concerned
    assert (
        describe_metrics({"train/effect": 0.5, "val/log_loss": 0.25, "other": 1.0})
        == "loss 0.500  log loss 0.250"
    )
    fit_network(tables, config, progress=True)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "Training" in captured.err
    assert "log loss 0." in captured.err


class TestResume:
    def test_a_run_that_early_stopping_ended_is_not_trained_on(
        self, tables: TrainingTables, config: gr.TrainConfig, tmp_path: Path
    ) -> None:
        changes = {
            "patience": 1,
            "max_epochs": 12,
            "learning_rate": 0.1,
            "structural_speed": 1.0,
        }  # gets worse at once
        hasty = config.model_copy(update={"training": config.training.model_copy(update=changes)})
        first = fit_network(tables, hasty, work_dir=tmp_path)
        stopped = load_checkpoint(tmp_path, LAST)["epoch"]
        assert stopped + 1 < 12, "early stopping must fire for this test to mean anything"
        again = fit_network(tables, hasty, work_dir=tmp_path)
        assert load_checkpoint(tmp_path, LAST)["epoch"] == stopped
        assert again.metrics == first.metrics

    def test_the_last_epoch_is_kept_also_when_it_is_not_the_best(
        self, tables: TrainingTables, config: gr.TrainConfig, tmp_path: Path
    ) -> None:
        changes = {"patience": 9, "max_epochs": 4, "learning_rate": 0.02, "structural_speed": 1.0}
        worse = config.model_copy(update={"training": config.training.model_copy(update=changes)})
        metrics = fit_network(tables, worse, work_dir=tmp_path).metrics
        assert metrics["best_epoch"] < 4
        assert load_checkpoint(tmp_path, LAST)["epoch"] == 3

    def test_other_rows_or_another_order_are_another_run(
        self, tables: TrainingTables, config: gr.TrainConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        identity = hash_run(tables, config)
        fewer = dataclasses.replace(
            tables, train=tables.train.take(torch.arange(len(tables.train.query) - 1))
        )
        swapped = dataclasses.replace(
            tables, train_queries=tables.validation_queries, validation_queries=tables.train_queries
        )
        others = [hash_run(fewer, config), hash_run(swapped, config)]
        others.append(hash_run(tables, config.model_copy(update={"seed": 1})))
        assert len({identity, *others}) == 4
        assert hash_run(tables, config) == identity
        # Weights of an older format have other names: such a run starts over.
        monkeypatch.setattr(checkpoints, "FORMAT_VERSION", 3)
        assert hash_run(tables, config) != identity

    @pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut short"])
    @pytest.mark.parametrize("file", ["last.ckpt", "best.ckpt", "run.json"])
    def test_damaged_files_mean_a_new_start(
        self,
        tables: TrainingTables,
        config: gr.TrainConfig,
        tmp_path: Path,
        file: str,
        damage: bytes,
    ) -> None:
        short = config.model_copy(
            update={
                "training": config.training.model_copy(
                    update={"max_epochs": 1, "steps_per_epoch": 1}
                )
            }
        )
        first = fit_network(tables, short, work_dir=tmp_path)
        (tmp_path / file).write_bytes(damage)
        assert fit_network(tables, short, work_dir=tmp_path).metrics == first.metrics


def test_a_training_that_diverges_is_refused(
    tables: TrainingTables, config: gr.TrainConfig
) -> None:
    changes = {"learning_rate": 1.0, "structural_speed": 1e6, "gradient_clip": 1e9, "max_epochs": 3}
    wild = config.model_copy(update={"training": config.training.model_copy(update=changes)})
    with pytest.raises(TrainingError, match="learning_rate"):
        fit_network(tables, wild)


def test_a_training_that_fails_on_a_pool_says_where_and_blames_no_setting(
    tables: TrainingTables, config: gr.TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise TrainingError("The network cannot compute the thing.")

    monkeypatch.setattr(population, "decompose", fail)
    with pytest.raises(TrainingError, match="cannot compute the thing") as caught:
        fit_network(tables, config)
    message = str(caught.value)
    assert "in training step 1, where the weights are as they should be" in message
    assert re.search(r"the support held \d+ outcomes on \d+ queries of \d+ tasks: \S+ \d+", message)
    assert "and 1 more models" in message
    assert "learning_rate" not in message


def test_a_loss_that_is_not_finite_is_refused_at_once_and_named(
    tables: TrainingTables, config: gr.TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = lightning_module.episode_losses
    monkeypatch.setattr(
        lightning_module,
        "episode_losses",
        lambda *args, **options: whole(*args, **options)._replace(latency=torch.tensor(torch.nan)),
    )
    with pytest.raises(TrainingError, match="The loss of latency is not finite.* training step 1"):
        fit_network(tables, config)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_not_there_is_refused(tables: TrainingTables, config: gr.TrainConfig) -> None:
    on_gpu = config.model_copy(
        update={"training": config.training.model_copy(update={"accelerator": "gpu"})}
    )
    with pytest.raises(ConfigError, match=r"training\.accelerator = gpu"):
        fit_network(tables, on_gpu)
