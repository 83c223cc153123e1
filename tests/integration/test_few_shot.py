"""The few-shot comparison of the paper runs, goes on where it was, and says what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import graphrouter as gr
from experiments.newcomers import few_shot
from graphrouter.bench.baselines.methods import paper
from graphrouter.bench.baselines.methods.paper import PaperGraphRouter
from graphrouter.bench.evaluation.grid import prepared_split
from graphrouter.bench.evaluation.newcomers import newcomer_split
from graphrouter.bench.evaluation.newcomers.newcomer_results import NewcomerEvaluation

QUICK = (
    "training.max_epochs=1",
    "training.steps_per_epoch=2",
    "encoder.name=hashing",
    "encoder.dimension=64",
)


@pytest.mark.slow
def test_it_measures_everybody_and_does_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared_split._load.cache_clear()
    prepared_split._prepare.cache_clear()
    newcomer_split._prepare.cache_clear()
    monkeypatch.setattr(paper, "NUM_STEPS", 20)
    gr.simulate(num_queries=120, num_models=5, seed=7).data.save(tmp_path / "world")
    words = [str(tmp_path / "world"), "--seeds", "2", "--out", str(tmp_path / "run")]
    words += [word for each in QUICK for word in ("--set", each)]
    few_shot.main(words)
    file = tmp_path / "run" / "world-few-shot.json"
    first = file.read_bytes()
    found = NewcomerEvaluation.from_json(json.loads(first))
    assert set(found.held_out) == {0, 1}
    for name in few_shot.PAPER:
        again = few_shot.name_retrained(name)
        rewards = {
            shot: found.figure(again, shot, "reward_balanced").value for shot in found.labels
        }
        assert np.isfinite(list(rewards.values())).all()
        assert len(set(rewards.values())) == 1, "one training stands for every number"
        assert found.seconds[again]["all"] > 0
        assert np.isfinite(list(found.seconds[name].values())).all()
    assert np.isfinite(found.figure("graphrouter", "5", "reward_cost_first").value)

    def refuse(*given: object) -> None:
        raise AssertionError("it is trained twice")

    monkeypatch.setattr(PaperGraphRouter, "learn", refuse)
    few_shot.main(words)
    assert file.read_bytes() == first
