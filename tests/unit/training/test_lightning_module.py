"""Validation of a large pool looks at the pairs that were observed, and says what all would."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import graphrouter as gr
from graphrouter.training import lightning_module
from graphrouter.training.episodes import validation_graph
from graphrouter.training.lightning_module import RoutingModule
from graphrouter.training.prepare import TrainingTables
from graphrouter.training.start import build_network


def test_a_large_pool_is_validated_on_what_was_observed(
    tables: TrainingTables, config: gr.TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_kept = torch.rand(
        len(tables.validation.query), generator=torch.Generator().manual_seed(0)
    ).lt(0.4)
    sparse = dataclasses.replace(tables, validation=tables.validation.take(is_kept))
    module = RoutingModule(
        build_network(tables, config).eval(),
        config,
        tables.transforms.channels,
        tables.transforms.cost,
        tables.pool,
        tables.tokens,
        tables.tariff,
        num_steps=1,
    )
    scored: list[int] = []
    score = module.net.score

    def count_models(*args: object) -> object:
        found = score(*args)
        scored.append(found.location.shape[2])
        return found

    monkeypatch.setattr(module.net, "score", count_models)

    def validate(*, is_large: bool) -> dict[str, float]:
        logged: dict[str, float] = {}
        monkeypatch.setattr(lightning_module, "is_large_pool", lambda number: is_large)
        monkeypatch.setattr(
            module, "log", lambda name, value, **kwargs: logged.__setitem__(name, float(value))
        )
        with torch.inference_mode():
            module.validation_step(validation_graph(sparse, config, task_known=True), 0)
        return logged

    whole, observed = validate(is_large=False), validate(is_large=True)
    assert scored[0] == len(tables.pool) > scored[1]
    assert observed == pytest.approx(whole, rel=1e-6)
    assert whole["val/reward"] != 0
