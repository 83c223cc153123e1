"""Tasks of a real set as routes: most are matched, and most prompts of none are told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphrouter as gr

DATA = Path(__file__).parents[3] / "shared" / "data" / "llmrouter_default"
TASKS = ("commongen", "arc_challenge", "agentverse-logicgrid")
NUM_EXAMPLES = 10


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the real data sets")
def test_tasks_of_a_real_set_as_routes() -> None:
    data = gr.load_dataset(DATA)
    rng = np.random.default_rng(3)
    # The router has not seen the tasks that are routes: they are kinds of prompts of its user.
    solved = data.queries[~data.queries["task"].isin(TASKS)]
    others = rng.permutation(solved["query_id"])
    router = gr.GraphRouter.fit(
        data.select_queries(sorted(others[:600])), gr.TrainConfig(), instant=True
    )
    routes, prompts, truth = [], [], []
    for task in TASKS:
        texts = data.queries["prompt"][data.queries["task"] == task].tolist()
        texts = [str(text) for text in rng.permutation(texts)]
        words = data.tasks["description"][data.tasks["task"] == task].iloc[0]
        examples = list(dict.fromkeys(texts[:NUM_EXAMPLES]))
        model = router.models[0]
        routes.append({"name": task, "description": words, "examples": examples, "model": model})
        prompts += texts[-40:]
        truth += [task] * 40
    unseen = solved.set_index("query_id").loc[others[600:720], "prompt"].tolist()
    named = gr.Routes(routes)
    found = router.match_routes(prompts + unseen, named)
    right = [match.route == task for match, task in zip(found, truth, strict=False)]
    sent = [match.route is not None for match in found[len(prompts) :]]
    assert np.mean(right) > 0.7
    assert np.mean(sent) < 0.25
    assert router.match_routes(prompts[:1], named)[0] == found[0]
    assert router.route(prompts[0], routes=named).route == found[0].route
