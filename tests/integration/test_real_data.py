"""Real outcomes through the real path: load, split, train, save, load, evaluate, route."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.bench.baselines import fit_baselines
from graphrouter.bench.evaluation import evaluate
from graphrouter.exceptions import PolicyError
from graphrouter.features.channels import SpendUnit
from graphrouter.router import saved_states

SPEND_UNITS = {
    "zeroeval": SpendUnit.TOKENS,
    "mmlu_pro": SpendUnit.TOKENS,
    "bfcl_v1": SpendUnit.TOKENS,
    "routerbench_subset": SpendUnit.PRICE,
    "llmrouter_default": SpendUnit.NONE,
    "helm_mmlu": SpendUnit.TOKENS,
    "reasoning_gym": SpendUnit.TOKENS,
}
LIKE_ZEROEVAL = ("mmlu_pro", "helm_mmlu", "reasoning_gym")
"""Tables of the same columns: `make test-all` has them too."""
MOST_QUERIES = 400
"""Of a dataset: the same path as with all of them, in a small part of the time."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in LIKE_ZEROEVAL else [])
        for name in SPEND_UNITS
    ],
)
def test_every_dataset_trains_evaluates_and_routes(
    name: str, shared_data: Callable[[str], Path], tmp_path: Path
) -> None:
    data = gr.load_dataset(shared_data(name))
    drawn = np.random.default_rng(0).permutation(data.queries["query_id"])[:MOST_QUERIES]
    data = data.select_queries(sorted(drawn))
    config = gr.load_config(
        overrides=[
            "training.max_epochs=1",
            "training.steps_per_epoch=2",
            "training.support_queries=256",
        ]
    )
    gr.GraphRouter.fit(data, config).save(tmp_path / "artifact")
    router = gr.load_router(tmp_path / "artifact")
    assert router.learned.transforms.channels.spend_unit is SPEND_UNITS[name]

    split = router.provenance.split
    baselines = fit_baselines(
        data, ["best_single", "task_mean"], split=split, encoder=router.encoder
    )
    evaluation = evaluate(
        router, data, split.test, baselines=baselines, cost_scale=router.cost_scale, num_draws=50
    )
    figures = json.loads(json.dumps(evaluation.to_json()))["settings"]["task_known"]["routers"][
        "graphrouter"
    ]
    assert figures["log_loss"]["value"] < 0.69
    assert (figures["reward_balanced"]["value"] is None) == (name == "llmrouter_default")
    assert (figures["log_rmse_latency"]["value"] is None) == (name != "bfcl_v1")

    prompt = data.queries["prompt"].iloc[0]
    if name == "llmrouter_default":
        with pytest.raises(PolicyError, match="without cost_usd, and without tokens"):
            router.route(prompt, policy=gr.Policy.preset("balanced"))
    else:
        assert router.route(prompt, policy=gr.Policy.preset("balanced")).cost_usd is not None
    assert router.route(prompt).model in router.models


def test_the_split_of_routerbench_is_kept(shared_data: Callable[[str], Path]) -> None:
    data = gr.load_dataset(shared_data("routerbench_subset"))
    split = gr.split_dataset(data, gr.TrainConfig().split)
    assert set(split.test) == set(data.queries.loc[data.queries["split"] == "test", "query_id"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["zeroeval", "mmlu_pro"])
def test_log_loss_beats_the_simple_predictors(
    name: str, shared_data: Callable[[str], Path]
) -> None:
    data = gr.load_dataset(shared_data(name))
    router = gr.GraphRouter.fit(data)
    split = router.provenance.split
    baselines = fit_baselines(data, split=split, encoder=router.encoder)
    evaluation = evaluate(
        router, data, split.test, baselines=baselines, cost_scale=router.cost_scale
    )
    for setting in ("task_known", "task_hidden"):
        for baseline in ("task_mean", "rasch", "knn"):
            difference = evaluation.settings[setting].paired[baseline]["log_loss"]  # type: ignore[index]
            assert difference.high < 0, f"{setting}, {baseline}: {difference}"


def test_saved_states_predict_as_computed_ones(
    shared_data: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = gr.load_dataset(shared_data("zeroeval"))
    prompts = data.queries["prompt"].tolist()
    gr.GraphRouter.fit(data, instant=True).save(tmp_path / "artifact")
    saved = gr.load_router(tmp_path / "artifact").predict(prompts[::20])
    monkeypatch.setattr(saved_states, "STATES_VERSION", 0)
    computed = gr.load_router(tmp_path / "artifact").predict(prompts[::20])
    for name in ("effect", "effect_low", "effect_high", "cost_usd", "familiarity"):
        assert getattr(saved, name).tobytes() == getattr(computed, name).tobytes(), name
