"""The network and what serves of it say the same, to 1e-6, whatever is asked and left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

import graphrouter as gr
from graphrouter.bench.simulate import simulate_people
from graphrouter.config import Part
from graphrouter.encoders import HashingEncoder
from graphrouter.features.channels import NUM_CHANNELS
from graphrouter.features.prompts import PromptReading
from graphrouter.nn.layers import LARGE_POOL
from graphrouter.router.encoded_queries import encode_queries
from graphrouter.scoring.forecaster import EncodedView
from graphrouter.scoring.nearest import find_nearest
from graphrouter.scoring.scorer import Scorer
from graphrouter.scoring.state import Targets
from graphrouter.types import Embedding, Queries

PROMPTS = ["", "Hi.", "Prove that 17 is prime.", "x = 1; " * 20_000, "翻译“你好”。\n\n" * 3]
DATASETS = (
    "zeroeval",
    "mmlu_pro",
    "bfcl_v1",
    "routerbench_subset",
    "llmrouter_default",
    "helm_mmlu",
    "reasoning_gym",
)


def to_tensors(part: Any) -> Any:
    """The named tuple, or the dataclass, of arrays as one of tensors."""
    if is_dataclass(part):
        return type(part)(*(to_tensors(getattr(part, field.name)) for field in fields(part)))
    if isinstance(part, tuple):
        changed = map(to_tensors, part)
        return part._make(changed) if hasattr(part, "_make") else tuple(changed)
    return None if part is None else torch.from_numpy(np.asarray(part))


def check(
    router: gr.GraphRouter,
    prompts: list[str],
    views: tuple[EncodedView, ...] = (),
    asker: Any = None,
) -> None:
    """The network and the scorer of its weights agree on prompts, of tasks known and not."""
    with torch.no_grad():  # as training leaves none of them
        for name, weight in router.learned.net.named_parameters():
            if "perceptron.out" in name or "by_query" in name:
                weight += 0.05 * torch.randn(weight.shape, generator=torch.manual_seed(1))
    net = router.learned.net.double()
    weights = {name: part.numpy() for name, part in net.state_dict().items()}
    scorer = Scorer(weights, router.config.network)
    state = router._states.support
    reading = PromptReading.of(prompts, router.encoder)
    transform = router.learned.transforms.features.prompts
    text = transform.text(reading.embeddings).astype(np.float64)
    asked = Targets(
        transform.principal(*reading).astype(np.float64),
        np.arange(len(prompts)) % (len(state.task) + 1) - 1,
        *find_nearest(text, state.query_text, router.config.graph.num_neighbours),
        np.zeros((len(prompts), NUM_CHANNELS)),
        asker=asker,
        views=tuple(view.find_alike(of, 8) for view, of in zip(views, state.views, strict=True)),
    )
    found = scorer.score(state, asked)
    with torch.inference_mode():
        expected = net.score(to_tensors(state), to_tensors(asked))
    for name in ("location", "log_scale", "task_share", "deviation"):
        received, wanted = getattr(found, name), getattr(expected, name).numpy()
        assert np.isfinite(wanted).all()
        np.testing.assert_allclose(received, wanted, rtol=0, atol=1e-9, err_msg=name)
    alone = scorer.score(state, asked.take(slice(1, 2)))
    np.testing.assert_allclose(alone.location[:, 0], found.location[:, 1], rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow]) for name in DATASETS[1:]] + [DATASETS[0]]
)
def test_on_real_outcomes(name: str, shared_data: Callable[[str], Path]) -> None:
    data = gr.load_dataset(shared_data(name))
    drawn = np.random.default_rng(0).permutation(data.queries["query_id"])[:500]
    router = gr.GraphRouter.fit(data.select_queries(sorted(drawn)), instant=True)
    check(router, [*PROMPTS, *data.queries["prompt"][:20]])


@pytest.mark.parametrize("left_out", [(), *((part,) for part in get_args(Part))])
def test_whatever_part_is_left_out(left_out: tuple[Part, ...]) -> None:
    data = gr.simulate(num_queries=80, num_models=4, seed=1).data
    config = gr.load_config()
    network = config.network.model_copy(update={"leave_out": left_out})
    config = config.model_copy(update={"network": network})
    router = gr.GraphRouter.fit(data, config, encoder=HashingEncoder(32), instant=True)
    check(router, PROMPTS)


@pytest.mark.parametrize("num_tasks", [0, 1])
def test_with_hardly_any_task_and_a_newcomer(num_tasks: int) -> None:
    data = gr.simulate(num_queries=80, num_models=3, seed=2).data
    answers = data.outcomes.merge(data.queries, on="query_id")
    columns = ["prompt", "model", "effect", *(["task"] if num_tasks else [])]
    router = gr.GraphRouter.fit(
        answers.assign(task="all")[columns], encoder=HashingEncoder(32), instant=True
    )
    check(router.add_model(gr.ModelCard(model="late", description="Small.")), PROMPTS)


def test_with_a_pool_that_the_network_computes_otherwise() -> None:
    data = gr.simulate(num_queries=150, num_models=LARGE_POOL + 2, seed=3, density=0.1).data
    check(gr.GraphRouter.fit(data, encoder=HashingEncoder(32), instant=True), PROMPTS)


@pytest.mark.parametrize("num_teams", [0, 2])
def test_with_people_who_ask(num_teams: int) -> None:
    world = simulate_people(num_queries=120, num_models=4, num_users=5, num_teams=num_teams)
    router = gr.GraphRouter.fit(world.data, encoder=HashingEncoder(32), instant=True)
    asker = np.array([0, 3, -1, 5 + num_teams, 4])
    assert router._states.support.tastes is not None
    check(router, PROMPTS, asker=asker[: len(PROMPTS)])


def test_with_people_who_ask_with_documents() -> None:
    data = simulate_people(num_queries=120, num_models=4, num_users=5, num_teams=2).data
    told = data.queries.assign(context=[f"Of {i % 7}." if i % 3 else None for i in range(120)])
    data = gr.RoutingDataset.from_frames(
        queries=told, models=data.models, outcomes=data.outcomes, tasks=data.tasks
    )
    router = gr.GraphRouter.fit(data, encoder=HashingEncoder(32), instant=True)
    asked = Queries.of(PROMPTS, contexts=[None, "Of 3.", ["Of 1.", "No."], None, "x " * 9000])
    views = encode_queries(router.learned, router.encoder, asked, {}).views
    state = router._states.support
    assert state.tastes is not None
    assert len(views) == len(state.views) == 2
    check(router, PROMPTS, views, asker=np.array([0, 3, -1, 7, 4]))


@pytest.mark.parametrize("num_models", [4, LARGE_POOL + 2])
def test_with_what_goes_with_queries_beside_their_texts(num_models: int) -> None:
    data = gr.simulate(num_queries=150, num_models=num_models, seed=4, density=0.3).data
    rng, count = np.random.default_rng(0), len(data.queries)
    vectors = rng.normal(size=(count, 6)).tolist()
    told = data.queries.assign(
        context=[[f"Of {i}.", "No."] if i % 3 else None for i in range(count)],
        embedding=[vector if i % 4 else None for i, vector in enumerate(vectors)],
        embedding_encoder=[("a", "b")[i % 2] if i % 4 else None for i in range(count)],
    )
    data = gr.RoutingDataset.from_frames(
        queries=told, models=data.models, outcomes=data.outcomes, tasks=data.tasks
    )
    router = gr.GraphRouter.fit(data, encoder=HashingEncoder(32), instant=True)
    asked = Queries.of(
        PROMPTS,
        contexts=[None, "Of 3.", ["Of 1.", "No."], None, "x " * 9000],
        embeddings=[None, None, *(Embedding.of(rng.normal(size=6), "b") for _ in range(3))],
    )
    views = encode_queries(router.learned, router.encoder, asked, {}).views
    assert len(views) == len(router._states.support.views) == 4
    check(router, PROMPTS, views)
